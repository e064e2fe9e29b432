"""Which way work goes, a GPU's or a CPU's: told in one place, by where the numbers are. Knows nothing of the work.

A GPU's way has few large steps, nothing that waits for the device, and no threads of its own.
"""

import torch
from torch import Tensor

EVERYWHERE = False
"""Whether a CPU goes a GPU's way, too: slow and right, so that tests can go it."""
ROOM = 2**32
"""Bytes that a CPU is taken to have for it."""


def takes_gpu_way(where: Tensor | str) -> bool:
    """Whether work on that tensor, or on that device, goes a GPU's way."""
    device = where.device if isinstance(where, Tensor) else torch.device(where)
    return EVERYWHERE or device.type == "cuda"


def total_memory(where: Tensor) -> int:
    """Bytes that the tensor's device has in all."""
    return torch.cuda.get_device_properties(where.device).total_memory if where.is_cuda else ROOM


def sent(tensor: Tensor, device: str) -> Tensor:
    """The tensor on that device; nobody waits for a GPU to have it."""
    ready = tensor.pin_memory() if torch.cuda.is_available() else tensor.clone()
    return ready.to(device, non_blocking=True)
