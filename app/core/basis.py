"""The ways to write a matrix as a sum of rank-one terms: their names, matrices and parameters.

Each has a file of the same name in `app.core.bases`. Imports no torch, so that pages can list the bases before anything
is computed.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from app.core.address import CIRCUITS, KINDS, LAYER_KINDS, BasisName, Kind
from app.core.steps import Step

if TYPE_CHECKING:
    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix

Parameters = Mapping[str, int]
Fitting = Generator[Step, None, "Decomposition"]
"""A fit in steps: yields (done, total), and returns the terms."""

STACKS: tuple[Kind, ...] = ("heads/write", "heads/read")
ENDS: tuple[Kind, ...] = ("embed", "unembed")


class Samples(NamedTuple):
    """The size of a matrix seen as points in the residual stream."""

    n: int
    """Number of samples: tokens, neurons, positions or heads' vectors; d_model for a circuit of a head."""
    d_model: int


@dataclass(frozen=True)
class Parameter:
    """A whole number that a visitor may choose."""

    name: str
    low: int
    high: int
    """The largest value; less where the matrix is smaller."""
    default: int
    per_d: int = 0
    """The largest value for each dimension of the stream; 0: it does not depend on the width."""

    def bounds(self, samples: Samples) -> tuple[int, int]:
        """Return the least and the largest value for a matrix of that size."""
        most = min(self.high, samples.n, self.per_d * samples.d_model) if self.per_d else self.high
        return min(self.low, most), most

    def default_for(self, samples: Samples) -> int:
        """Return the default for a matrix of that size."""
        return min(self.default, self.bounds(samples)[1])


MOST_ATOMS = 8_192
"""Atoms of a dictionary at most: its fit holds products of all pairs of them."""
SEED = Parameter("seed", low=0, high=9_999, default=0)
COMPONENTS = Parameter("components", low=2, high=512, default=64, per_d=1)
STATISTICS = Parameter("statistics", low=0, high=2**32 - 1, default=0)
"""The number of the statistics that a basis of a text is fitted to; 0: those that are shown."""


@dataclass(frozen=True)
class Basis:
    """A way to write a matrix as a sum of rank-one terms."""

    name: BasisName
    kinds: tuple[Kind, ...]
    """Kinds of matrices that have this basis."""
    parameters: tuple[Parameter, ...] = ()
    is_fitted: bool = False
    """The fit takes minutes, so that opening a page does not start it."""
    is_one_sided: bool = False
    """Terms have one ray: their other sign means nothing."""
    has_neighbours: bool = False
    """Rounding can rotate terms of near strengths towards each other: gaps and badges mean something."""
    is_of_text: bool = False
    """Terms are fitted to what the model does on a reference text: they are there where statistics of use are, and take
    these besides the matrix, so that `decompose` is not for them."""

    def values(self, given: Mapping[str, int | None], samples: Samples) -> dict[str, int]:
        """Fill in defaults for parameters that are not given; ValueError naming the range that one is outside of."""
        values: dict[str, int] = {}
        for parameter in self.parameters:
            value, (low, high) = given.get(parameter.name), parameter.bounds(samples)
            usual = min(parameter.default_for(samples), values.get("atoms", MOST_ATOMS))
            values[parameter.name] = usual if value is None else value
            if not low <= values[parameter.name] <= high:
                raise ValueError(f"{parameter.name} goes from {low} to {high} here")
        if values.get("sparsity", 0) > values.get("atoms", MOST_ATOMS):
            raise ValueError(f"sparsity goes from 1 to {values['atoms']} with so many atoms")
        return values

    def decompose(self, matrix: "Matrix", parameters: Parameters) -> Fitting:
        """Decompose a matrix; every parameter must be given."""
        fitting: Fitting = import_module(f"app.core.bases.{self.name}").decompose(matrix, parameters)
        return fitting


BASES: dict[BasisName, Basis] = {
    basis.name: basis
    for basis in (
        Basis("svd", KINDS, has_neighbours=True),
        Basis("used", ("ov",), (STATISTICS,), is_of_text=True),
        Basis("pca", (*ENDS, "pos", *LAYER_KINDS, *STACKS), has_neighbours=True),
        Basis("nmf", (*ENDS, *LAYER_KINDS, *STACKS), (COMPONENTS, SEED), is_fitted=True, is_one_sided=True),
        Basis("ica", (*ENDS, *LAYER_KINDS, *STACKS), (COMPONENTS, SEED), is_fitted=True),
        Basis(
            "dictionary",
            (*ENDS, *STACKS),
            (
                Parameter("atoms", low=2, high=MOST_ATOMS, default=1_024, per_d=8),
                Parameter("sparsity", low=1, high=64, default=8, per_d=1),
                SEED,
            ),
            is_fitted=True,
        ),
        Basis("neuron", (*CIRCUITS, *LAYER_KINDS, *ENDS, *STACKS)),
        Basis("frequency", ENDS, (Parameter("groups", low=2, high=64, default=16, per_d=1),)),
    )
}
"""All bases, in the order of their tabs."""
