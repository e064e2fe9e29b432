"""The floor that readouts stand on: the time of their products alone, at the rate of one large product, here and now."""

import statistics

import torch

from benchmarks.clock import timed

MOST_BYTES = 2**30
"""Of the product's result."""
ROWS = 3072


class Floor:
    """One large product of a shape, timed now and then among what it is compared with."""

    def __init__(self, d_model: int, d_vocab: int, dtype: torch.dtype, device: str) -> None:
        self.dtype = dtype
        self._device = device
        rows = min(ROWS, MOST_BYTES // (dtype.itemsize * d_vocab))
        self._vectors = torch.rand(rows, d_model, device=device).to(dtype)
        self._table = torch.rand(d_vocab, d_model, device=device).to(dtype)
        # Taken once, so that the first use of this memory is no part of the time.
        self._out = torch.zeros(rows, d_vocab, dtype=dtype, device=device)
        self._seconds: list[float] = []
        self.sample()
        self._seconds.clear()  # the first product is for getting ready

    def sample(self, times: int = 1) -> None:
        """Multiply, and note the seconds."""
        for _ in range(times):
            product = timed(self._device, torch.mm, self._vectors, self._table.T, out=self._out)
            self._seconds.append(product.seconds)

    @property
    def rate(self) -> float:
        """Floating-point operations a second, by the median of the samples."""
        return self._operations(len(self._vectors)) / statistics.median(self._seconds)

    def seconds(self, n_vectors: int) -> float:
        """What so many vectors cannot be read out faster than, if every product is to be taken in this dtype."""
        return self._operations(n_vectors) / self.rate

    def _operations(self, n_vectors: int) -> int:
        return 2 * n_vectors * self._table.numel()


def floor_dtype(device: str) -> torch.dtype:
    """The numbers that a product on this kind of device is expected to be taken in."""
    return torch.bfloat16 if device.startswith("cuda") else torch.float32
