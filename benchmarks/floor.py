"""The floor of readouts: the time of their products alone, at the measured rate of one large product."""

import statistics

import torch

from benchmarks.clock import time_work

MOST_BYTES = 2**30
"""Bytes of the product's result."""
ROWS = 3072


class Floor:
    """One large product of a shape, timed now and then among the work that it is compared with."""

    def __init__(self, d_model: int, d_vocab: int, dtype: torch.dtype, device: str) -> None:
        self.dtype = dtype
        self._device = device
        rows = min(ROWS, MOST_BYTES // (dtype.itemsize * d_vocab))
        self._vectors = torch.rand(rows, d_model, device=device).to(dtype)
        self._table = torch.rand(d_vocab, d_model, device=device).to(dtype)
        # Allocated once, so that the first use of this memory is no part of the time.
        self._out = torch.zeros(rows, d_vocab, dtype=dtype, device=device)
        self._seconds: list[float] = []
        self.sample()
        self._seconds.clear()  # the first product is a warm-up

    def sample(self, times: int = 1) -> None:
        """Time the product, and keep the seconds."""
        for _ in range(times):
            product = time_work(self._device, torch.mm, self._vectors, self._table.T, out=self._out)
            self._seconds.append(product.seconds)

    @property
    def rate(self) -> float:
        """Compute floating-point operations a second, by the median of the samples."""
        return self._operations(len(self._vectors)) / statistics.median(self._seconds)

    def seconds(self, n_vectors: int) -> float:
        """Compute the least seconds to read out so many vectors, if every product is taken in this dtype."""
        return self._operations(n_vectors) / self.rate

    def _operations(self, n_vectors: int) -> int:
        return 2 * n_vectors * self._table.numel()


def floor_dtype(device: str) -> torch.dtype:
    """Choose the dtype of the floor's product on this kind of device."""
    return torch.bfloat16 if device.startswith("cuda") else torch.float32
