"""How far the numbers of a stored matrix may be off: independent errors, as large as rows and columns let them be.

A quantised file keeps numbers a block at a time, each as one of a few levels that stand a step apart: what is read is
off by anything up to half a step either way. Whatever scales or turns a matrix does the same to its errors, and their
variances are scaled by the squares. Knows nothing of files, or of what is made of the matrix.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

BLOCK = 2**12
"""Rows of a matrix that are squared at a time."""


@dataclass(frozen=True)
class Noise:
    """Errors of a matrix's numbers, of mean 0 and with the variances `rows (x) columns`."""

    rows: Float64[Tensor, " n"]
    columns: Float64[Tensor, " m"]

    @property
    def transposed(self) -> "Noise":
        """Of the transposed matrix."""
        return Noise(self.columns, self.rows)

    @property
    def is_nothing(self) -> bool:
        """Whether every number is just what it was."""
        return not (bool(self.rows.any()) and bool(self.columns.any()))

    def scaled(self, rows: Float[Tensor, " n"] | None = None, columns: Float[Tensor, " m"] | None = None) -> "Noise":
        """Of the matrix whose rows and columns are multiplied by these."""
        return Noise(
            self.rows if rows is None else self.rows * rows.double().square(),
            self.columns if columns is None else self.columns * columns.double().square(),
        )

    def turned(self, by: Float[Tensor, "m k"]) -> "Noise":
        """Of the product with `by`; that its columns are off together then, where theirs differ, is left out."""
        return Noise(self.rows, self.columns @ by.double().square())

    def to(self, device: str) -> "Noise":
        """The same with its numbers on that device."""
        return Noise(self.rows.to(device), self.columns.to(device))


def known(*factors: Noise | None) -> tuple[Noise, ...] | None:
    """Of a matrix's factors together: nothing is known of their product where it is not of each."""
    noise = tuple(factor for factor in factors if factor is not None)
    return noise if len(noise) == len(factors) else None


def of_steps(weights: Float[Tensor, "n m"], step: float) -> Noise:
    """Errors uniform in half a step either way, of weights whose blocks lie within a column each.

    `step` is the root mean square over all numbers. A block's own is its range in so many parts: from column to column
    they are taken to go with the size of the weights there, which is within a few percent of what files say.
    """
    # In squares of the largest, so that those of tiny weights are not zero.
    largest = (float(weights.abs().amax()) if weights.numel() else 0.0) or 1.0
    columns = weights.new_zeros(weights.shape[1], dtype=torch.float64)
    for rows in torch.split(weights, BLOCK):
        columns += (rows.double() / largest).square_().sum(dim=0)
    mean = float(columns.mean()) if columns.numel() else 0.0
    share = columns / mean if mean else torch.ones_like(columns)
    return Noise(weights.new_ones(len(weights), dtype=torch.float64), share * (step**2 / 12))
