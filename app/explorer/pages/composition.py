"""The pages on pairs of heads: composition scores and similar heads."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from app.core.address import Address
from app.explorer.header import Model
from app.explorer.layout import Composed, SpanSide
from app.explorer.pages.search import Unbuilt
from app.explorer.view import View


class HeadPair(NamedTuple):
    """A head that reads what another one writes."""

    writer: Address
    reader: Address
    """The strongest head of its key/value group, for keys or values."""
    cs: float
    fdr: float
    """Largest false discovery rate of the pairs with this score or more, by pairs in the wrong order."""
    siblings: tuple[Address, ...] = ()
    """The other heads of that group."""


COLOURED = (1.5, 1.75, 2.0, 2.5, 3.0)
"""Least composition score of each colour, the first of them faint: from the second on a pair stands out."""

COUNTED = (1.25, *COLOURED)
"""Composition scores from which on pairs are counted."""


class CompositionStep(NamedTuple):
    """The number of pairs from a score on."""

    least: float
    n_pairs: int
    fdr: float


class CompositionCell(NamedTuple):
    """A pair on the map, by the numbers of its writer and reader (a group of heads for keys and values) over layers."""

    row: int
    column: int
    cs: float


@dataclass(frozen=True, slots=True)
class CompositionPage:
    """The composition scores of a model: the pairs of heads of which one reads what the other writes."""

    address: Address
    model: Model
    view: View
    kind: Composed
    writer: int | None
    """The layer of the writers; None for all layers."""
    reader: int | None
    steps: tuple[CompositionStep, ...]
    """Counts over all layers."""
    n_pairs: int
    """Pairs in order, of the layers that are shown."""
    pairs: tuple[HeadPair, ...]
    """The strongest pairs, falling."""
    cells: tuple[CompositionCell, ...]
    """Pairs with a score of at least 1.5, or the strongest of them."""
    per_layer: int
    """Columns a layer."""
    table: tuple[tuple[HeadPair, ...], ...]
    """For two layers, a row for each writer with its pair for each reader; else empty."""
    unbuilt: Unbuilt | None = None
    """Why nothing is shown; None where something is."""
    coloured: ClassVar[tuple[float, ...]] = COLOURED


class AlikeHead(NamedTuple):
    """A head, or a key/value group, whose subspace is compared with this one's."""

    head: Address
    """The head, or the first one of a group."""
    n_heads: int
    """Heads of the group; 1 for a single head."""
    overlap: float
    share: float
    """Overlap as a share of the smaller subspace."""
    percentile: float | None
    """Percentage of pairs of the same layer distance, siblings left out, that share less; None for siblings."""


@dataclass(frozen=True, slots=True)
class AlikeSide:
    """One of a head's subspaces compared with those of all others."""

    side: SpanSide
    rank: int
    chance: float
    """Expected overlap of random subspaces of these sizes."""
    spread: float
    """Standard deviation of the overlap of random subspaces."""
    nearest: tuple[AlikeHead, ...]
    """Sorted by overlap, falling, without siblings."""
    siblings: tuple[AlikeHead, ...]
    is_shared: bool
    """True if the siblings share the subspace by construction."""


@dataclass(frozen=True, slots=True)
class AlikePage:
    """The heads that are most like one head."""

    address: Address
    model: Model
    view: View
    sides: tuple[AlikeSide, ...]
    previous: Address | None
    next: Address | None
    unbuilt: Unbuilt | None = None
    """Why nothing is shown; None where something is."""
