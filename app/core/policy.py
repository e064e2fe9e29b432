"""Policy: work goes a GPU's way or a CPU's, decided in one place by where the tensors are.

A GPU's way has few large steps, nothing that waits for the device, and no threads of its own. Knows nothing of the
work.
"""

import torch
from torch import Tensor

EVERYWHERE = False
"""True to send a CPU a GPU's way, too: slow and right, so that tests cover it."""
ROOM = 2**32
"""Bytes that a CPU is taken to have for a GPU's way."""


def takes_gpu_way(where: Tensor | str) -> bool:
    """Return whether work on that tensor, or on that device, goes a GPU's way."""
    device = where.device if isinstance(where, Tensor) else torch.device(where)
    return EVERYWHERE or device.type == "cuda"


def total_memory(where: Tensor) -> int:
    """Return the bytes that the tensor's device has in all."""
    return torch.cuda.get_device_properties(where.device).total_memory if where.is_cuda else ROOM


def send_to(tensor: Tensor, device: str) -> Tensor:
    """Copy a tensor to a device without waiting for a GPU to receive it."""
    ready = tensor.pin_memory() if torch.cuda.is_available() else tensor.clone()
    return ready.to(device, non_blocking=True)
