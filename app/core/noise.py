"""Noise of a stored matrix: independent errors of its numbers, with variances by row and column.

A quantised file keeps numbers a block at a time, each as one of a few levels that are a step apart: each number is off
by up to half a step. Whatever scales or rotates a matrix does the same to its errors, and their variances are scaled by
the squares. Knows nothing of files, or of what is made of the matrix.
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
        """The noise of the transposed matrix."""
        return Noise(self.columns, self.rows)

    @property
    def is_zero(self) -> bool:
        """True if every error is zero."""
        return not (bool(self.rows.any()) and bool(self.columns.any()))

    def scale(self, rows: Float[Tensor, " n"] | None = None, columns: Float[Tensor, " m"] | None = None) -> "Noise":
        """Return the noise of the matrix whose rows and columns are multiplied by these numbers."""
        return Noise(
            self.rows if rows is None else self.rows * rows.double().square(),
            self.columns if columns is None else self.columns * columns.double().square(),
        )

    def multiply(self, by: Float[Tensor, "m k"]) -> "Noise":
        """Return the noise of the product with `by`. Correlations that this gives to its columns are left out."""
        return Noise(self.rows, self.columns @ by.double().square())

    def to(self, device: str) -> "Noise":
        """Return the noise with its numbers on a device."""
        return Noise(self.rows.to(device), self.columns.to(device))


def noise_of_factors(*factors: Noise | None) -> tuple[Noise, ...] | None:
    """Collect the noise of a matrix's factors; None if that of any factor is unknown."""
    noise = tuple(factor for factor in factors if factor is not None)
    return noise if len(noise) == len(factors) else None


def noise_of_steps(weights: Float[Tensor, "n m"], step: float) -> Noise:
    """Compute the noise of weights rounded to levels `step` apart, whose blocks lie within a column each.

    `step` is the root mean square over all numbers, and errors are uniform in half a step either way. A block's own
    step is its range divided by the number of levels: it is taken to go with the size of the column's weights, which is
    within a few percent of what files say.
    """
    # In squares of the largest, so that those of tiny weights are not zero.
    largest = (float(weights.abs().amax()) if weights.numel() else 0.0) or 1.0
    columns = weights.new_zeros(weights.shape[1], dtype=torch.float64)
    for rows in torch.split(weights, BLOCK):
        columns += (rows.double() / largest).square_().sum(dim=0)
    mean = float(columns.mean()) if columns.numel() else 0.0
    share = columns / mean if mean else torch.ones_like(columns)
    return Noise(weights.new_ones(len(weights), dtype=torch.float64), share * (step**2 / 12))
