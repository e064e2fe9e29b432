"""The ways to write a matrix as a sum of rank-one terms: which there are, for which matrices, with which parameters.

One line for each; `app.core.bases` has a file of the same name for it. Knows no torch, so that pages can say what there
is before anything is computed.
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
"""Says (done, total) between its steps, and gives the terms at its end."""

STACKS: tuple[Kind, ...] = ("heads/write", "heads/read")
ENDS: tuple[Kind, ...] = ("embed", "unembed")


class Samples(NamedTuple):
    """The size of a matrix seen as points in the residual stream."""

    n: int
    """Tokens, neurons, positions, heads' vectors; d_model for a circuit of a head."""
    d_model: int


@dataclass(frozen=True)
class Parameter:
    """A whole number that a visitor may choose."""

    name: str
    low: int
    high: int
    """At most; less where the matrix is smaller."""
    default: int
    per_d: int = 0
    """At most so many for each dimension of the stream; 0: whatever the stream's width."""

    def bounds(self, samples: Samples) -> tuple[int, int]:
        """The least and the largest value for a matrix of that size."""
        most = min(self.high, samples.n, self.per_d * samples.d_model) if self.per_d else self.high
        return min(self.low, most), most

    def default_for(self, samples: Samples) -> int:
        """What is meant where nothing is said."""
        return min(self.default, self.bounds(samples)[1])


MOST_ATOMS = 8_192
"""Of a dictionary, whose fit holds products of all pairs of them."""
SEED = Parameter("seed", low=0, high=9_999, default=0)
COMPONENTS = Parameter("components", low=2, high=512, default=64, per_d=1)


@dataclass(frozen=True)
class Basis:
    """One way."""

    name: BasisName
    kinds: tuple[Kind, ...]
    """The matrices that have it."""
    parameters: tuple[Parameter, ...] = ()
    is_fitted: bool = False
    """It takes minutes: not computed for whoever opens a page."""
    is_one_sided: bool = False
    """Its terms have one ray: the other sign means nothing."""
    has_neighbours: bool = False
    """Its terms can turn towards each other where their strengths are near: gaps and badges mean something."""

    def values(self, given: Mapping[str, int | None], samples: Samples) -> dict[str, int]:
        """All parameters, with defaults for what is not given; ValueError naming the range of one that is beyond it."""
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
        """The matrix's terms, with every parameter said."""
        fitting: Fitting = import_module(f"app.core.bases.{self.name}").decompose(matrix, parameters)
        return fitting


BASES: dict[BasisName, Basis] = {
    basis.name: basis
    for basis in (
        Basis("svd", KINDS, has_neighbours=True),
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
"""In the order of their tabs."""
