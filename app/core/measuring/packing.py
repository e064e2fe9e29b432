"""Packing of an overcomplete dictionary: the angles of its atoms to each other, to samples, to other directions.

Each number stands beside that of random vectors, since in many dimensions most vectors are nearly orthogonal, and every
unit vector has a cosine of `1 / sqrt(d)` or more to one of any d orthonormal ones. Knows nothing of how the atoms were
found.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from app.core.measuring.coding import relative_errors, squared_errors
from app.core.measuring.comparison import find_partners

BINS = 200
"""Bins of cosines from -1 to 1, each 0.01 wide."""
FINER = 64
"""Points in a bin at which the density of random cosines is taken."""
ROWS = 512
"""Atoms whose cosines are held at a time."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
QUARTILES = (0.25, 0.5, 0.75)


class Cosines(NamedTuple):
    """Cosines of all pairs of atoms, in equal bins from -1 to 1."""

    counts: Int64[Tensor, " bins"]
    expected: Float64[Tensor, " bins"]
    """Expected counts for as many pairs of random unit vectors, by the exact density of their cosines."""


class Needs(NamedTuple):
    """How many atoms it takes to approximate samples."""

    errors: Float64[Tensor, " most"]
    """Relative error of all samples with at most 1, 2 … atoms each."""
    counts: Int64[Tensor, "thresholds _"]
    """Samples whose own relative error falls to the threshold with 0, 1 … atoms; the last: not with `most`."""
    quartiles: Int64[Tensor, "thresholds 3"]
    """Quartiles of the number of atoms over the samples; `most + 1`: more than that."""


class Nearness(NamedTuple):
    """How near atoms come to any of the directions, whichever sign these have."""

    cosines: Float64[Tensor, " m"]
    """The largest |cosine| of each atom."""
    control: Float64[Tensor, " quantiles"]
    """QUANTILES of the same for random vectors."""

    @property
    def is_far(self) -> Bool[Tensor, " m"]:
        """True for atoms that come less near than 95% of random vectors do."""
        return self.cosines < self.control[0]


def pairwise_cosines(atoms: Float[Tensor, "m d"]) -> Cosines:
    """Count the cosines of all pairs of unit atoms in bins."""
    exact, (m, d) = atoms.double(), atoms.shape
    counts = torch.zeros(BINS, dtype=torch.int64, device=atoms.device)
    for start in range(0, m, ROWS):
        products = exact[start : start + ROWS] @ exact[start:].T
        pairs = products[torch.ones_like(products, dtype=torch.bool).triu_(1)]
        bins = ((pairs + 1) * (BINS / 2)).long().clamp_(0, BINS - 1)
        counts += torch.bincount(bins, minlength=BINS)
    return Cosines(counts, random_cosines(d).to(atoms.device) * (m * (m - 1) / 2))


def random_cosines(d: int) -> Float64[Tensor, " bins"]:
    """Compute the share of each bin for random unit vectors of d >= 2 dimensions: density `(1 - c^2)^((d - 3) / 2)`.

    For many dimensions that is N(0, 1 / d).
    """
    points = (torch.arange(BINS * FINER, dtype=torch.float64) + 0.5) * (2 / (BINS * FINER)) - 1
    density = (1 - points.square()).pow((d - 3) / 2).view(BINS, FINER).sum(dim=1)
    return density / density.sum()


def count_needs(
    samples: Float[Tensor, "n d"], atoms: Float[Tensor, "m d"], most: int, thresholds: Sequence[float]
) -> Needs:
    """Measure the samples' errors with 1 to `most` atoms, and how many each needs for given relative errors."""
    left = squared_errors(samples, atoms, most)
    # A sample of zeros needs nothing; errors never grow, so those above the threshold are the first ones.
    needed = torch.stack([(left > threshold**2 * left[:, :1]).sum(dim=1) for threshold in thresholds])
    counts = torch.stack([torch.bincount(row, minlength=most + 2) for row in needed])
    shares = torch.tensor(QUARTILES, dtype=torch.float64, device=samples.device)
    quartiles = needed.double().quantile(shares, dim=1, interpolation="lower").long().T
    return Needs(relative_errors(left), counts, quartiles)


def measure_nearness(
    atoms: Float[Tensor, "m d"], directions: Float[Tensor, "r d"], control: Float[Tensor, "c d"]
) -> Nearness:
    """Compute each atom's largest |cosine| with any direction, and that of the control's vectors; all unit rows."""
    of_control = find_partners(control, directions).cosines.abs()
    quantiles = torch.tensor(QUANTILES, dtype=torch.float64, device=atoms.device)
    return Nearness(find_partners(atoms, directions).cosines.abs(), of_control.quantile(quantiles))
