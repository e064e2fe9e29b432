"""The pages on pairs of heads: composition scores and similar heads."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from app.core.address import Address
from app.explorer.header import Model
from app.explorer.layout import Composed
from app.explorer.pages.search import Unbuilt
from app.explorer.pages.shared import Linked, OfWeights
from app.explorer.serial import AddressText, ForPeople
from app.explorer.view import StreamSide, View


@dataclass(frozen=True, slots=True)
class ComposedPair:
    """A head that reads what another one writes."""

    writer: AddressText
    reader: AddressText
    """The strongest head of its key/value group, for keys or values."""
    cs: float
    """The composition score: 1 for a random writer."""
    fdr: float
    """Largest false discovery rate of the pairs with this score or more, by pairs in the wrong order."""
    siblings: tuple[AddressText, ...] = ()
    """The other heads of that group."""
    strength: float | None = None
    """The score times the size of what the writer's OV writes, by what the norm before the reader divides the stream by on
    the reference text; null without statistics of use, and in files."""


COLOURED = (1.5, 1.75, 2.0, 2.5, 3.0)
"""Least composition score of each colour, the first of them faint: from the second on a pair stands out."""

COUNTED = (1.25, *COLOURED)
"""Composition scores from which on pairs are counted."""


@dataclass(frozen=True, slots=True)
class CompositionStep:
    """The number of pairs from a score on."""

    least: float
    pairs: int
    fdr: float


class CompositionCell(NamedTuple):
    """A pair on the map, by the numbers of its writer and reader (a group of heads for keys and values) over layers."""

    row: int
    column: int
    cs: float


@dataclass(frozen=True, slots=True)
class CompositionPage(Linked, OfWeights):
    """The composition scores of a model: the pairs of heads of which one reads what the other writes."""

    address: AddressText
    model: ForPeople[Model]
    view: ForPeople[View]
    kind: Composed
    writer: int | None
    """The layer of the writers; None for all layers."""
    reader: int | None
    steps: tuple[CompositionStep, ...]
    """Counts over all layers."""
    n_pairs: int
    """Pairs in order, of the layers that are shown."""
    pairs: tuple[ComposedPair, ...]
    """The strongest pairs, falling."""
    cells: ForPeople[tuple[CompositionCell, ...]]
    """Pairs with a score of at least 1.5, or the strongest of them."""
    per_layer: ForPeople[int]
    """Columns a layer."""
    table: ForPeople[tuple[tuple[ComposedPair, ...], ...]]
    """For two layers, a row for each writer with its pair for each reader; else empty."""
    unbuilt: ForPeople[Unbuilt | None] = None
    """Why nothing is shown; None where something is."""
    n_listed: ForPeople[int | None] = None
    """So many pairs were asked for; None: as many as usual."""
    coloured: ClassVar[tuple[float, ...]] = COLOURED


@dataclass(frozen=True, slots=True)
class AlikeHead:
    """A head, or a key/value group, whose subspace is compared with this one's."""

    head: AddressText
    """The head, or the first one of a group."""
    heads: int
    """Heads of the group; 1 for a single head."""
    overlap: float
    """The squared cosines of the principal angles between both subspaces, summed."""
    share: float
    """Overlap as a share of the smaller subspace."""
    percentile: float | None
    """Percentage of pairs of the same layer distance, siblings left out, that share less; None for siblings."""


@dataclass(frozen=True, slots=True)
class AlikeSide:
    """One of a head's subspaces compared with those of all others."""

    side: StreamSide
    rank: int
    chance: float
    """Expected overlap of random subspaces of these sizes."""
    spread: float
    """Standard deviation of the overlap of random subspaces."""
    nearest: tuple[AlikeHead, ...]
    """Sorted by overlap, falling, without siblings."""
    siblings: tuple[AlikeHead, ...]
    shared: bool
    """True if the siblings share the subspace by construction."""


@dataclass(frozen=True, slots=True)
class AlikePage(Linked, OfWeights):
    """The heads that are most like one head."""

    address: AddressText
    model: ForPeople[Model]
    view: ForPeople[View]
    sides: tuple[AlikeSide, ...]
    previous: ForPeople[Address | None]
    next: ForPeople[Address | None]
    unbuilt: ForPeople[Unbuilt | None] = None
    """Why nothing is shown; None where something is."""
