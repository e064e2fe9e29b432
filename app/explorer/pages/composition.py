"""Heads beside heads: who reads what which other one writes, and which are alike."""

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
    """Of the heads of its key/value group that read so by keys or values, the one that does most."""
    cs: float
    fdr: float
    """Of the pairs with so much and more, at most this share is what pairs in the wrong order have, too."""
    siblings: tuple[Address, ...] = ()
    """The other heads of that group."""


COLOURED = (1.5, 1.75, 2.0, 2.5, 3.0)
"""Composition scores from which on a pair has the next colour, the first of them faint: from the second on it stands out."""

COUNTED = (1.25, *COLOURED)
"""From which on it is told how many pairs there are."""


class CompositionStep(NamedTuple):
    """From a score on, how many pairs there are."""

    least: float
    n_pairs: int
    fdr: float


class CompositionCell(NamedTuple):
    """A pair as the map draws it: by its writer and its reader (a group of heads for keys and values), over layers."""

    row: int
    column: int
    cs: float


@dataclass(frozen=True, slots=True)
class CompositionPage:
    """Which heads of a model read what which other heads write."""

    address: Address
    model: Model
    view: View
    kind: Composed
    writer: int | None
    """Only heads of that layer as writers; None: of all."""
    reader: int | None
    steps: tuple[CompositionStep, ...]
    """Of all layers."""
    n_pairs: int
    """In order, of the layers that are shown."""
    pairs: tuple[HeadPair, ...]
    """The strongest, falling."""
    cells: tuple[CompositionCell, ...]
    """All from 1.5 on, or the strongest of them."""
    per_layer: int
    """Columns of a layer."""
    table: tuple[tuple[HeadPair, ...], ...]
    """Of two layers: a row for each writer, its pair with each reader; else none."""
    unbuilt: Unbuilt | None = None
    """Why nothing is shown, where that is so."""
    coloured: ClassVar[tuple[float, ...]] = COLOURED


class AlikeHead(NamedTuple):
    """A head, or a key/value group, whose subspace is held against this one's."""

    head: Address
    """Of a group the first of its heads."""
    n_heads: int
    """Of the group; 1 for a head by itself."""
    overlap: float
    share: float
    """Of the smaller subspace."""
    percentile: float | None
    """Of pairs of the same layer distance that are no siblings, so many share less, in percent; None for siblings."""


@dataclass(frozen=True, slots=True)
class AlikeSide:
    """One of a head's subspaces beside those of all others."""

    side: SpanSide
    rank: int
    chance: float
    """What random subspaces of those sizes share."""
    spread: float
    """Standard deviation of the overlap of random subspaces."""
    nearest: tuple[AlikeHead, ...]
    """Falling; no siblings among them."""
    siblings: tuple[AlikeHead, ...]
    is_shared: bool
    """The siblings have it in common, by construction."""


@dataclass(frozen=True, slots=True)
class AlikePage:
    """The heads that are most like one."""

    address: Address
    model: Model
    view: View
    sides: tuple[AlikeSide, ...]
    previous: Address | None
    next: Address | None
    unbuilt: Unbuilt | None = None
    """Why nothing is shown, where that is so."""
