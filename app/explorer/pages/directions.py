"""A direction on a page: both readouts, warnings about it, and its own page."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import PlainSerializer, computed_field

from app.core.address import Address, Ray, Sign, format_short
from app.core.measuring.determinacy import is_determined
from app.explorer.header import Model
from app.explorer.pages.rays import Hits, Rays, Tokens, Words
from app.explorer.pages.shared import AtDistance, Labelled, Linked, Notes, OfMatrix, OfWeights, WithReadouts
from app.explorer.pages.using.statistics import Axis, DirectionUse
from app.explorer.serial import UNREAD, AddressText, ForPeople
from app.explorer.view import Side, StreamSide, Tab, View

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def name_deed(side: str) -> str:
    """Name what a direction does on a side, for a label: `reads`, `writes`; of other sides their name."""
    return f"{side}s" if side in {"read", "write"} else side


@dataclass(frozen=True, slots=True)
class SideReadout:
    """One side of a direction read out as tokens, at both ends: a sign is a convention."""

    side: Side
    """The side. With `token`, `neuron`, `position` or `head` the scores are the vector's own entries, zeros left out."""
    plus: Tokens
    """Largest scores first."""
    minus: Tokens
    """Smallest (most negative) scores first; empty where the basis has one ray a term."""
    rays: Rays | None = None
    """None for the vector's own entries, tokens among them, and where the vocabulary is too small for a control."""
    found: Hits = ()
    """Hits of the text search `find`: among the tokens here, and the first behind them."""
    words: ForPeople[tuple[Words, Words] | None] = field(default=None, compare=False)
    """Words of the plus and the minus end, out of all kept tokens; for tables on pages only."""

    def list_tokens(self, ray: Sign) -> Tokens:
        """List the tokens of one end."""
        return self.plus if ray == "p" else self.minus

    def stands_out(self, ray: Sign) -> bool:
        """Return whether the tokens of one end are more alike than those of random directions."""
        judged = None if self.rays is None else self.rays.plus if ray == "p" else self.rays.minus
        return judged is not None and judged.stands_out


@dataclass(frozen=True, slots=True)
class Badge:
    """A warning that rounding of the stored weights can rotate this direction towards its neighbours."""

    kind: Literal["subspace", "close"]
    """subspace: by more than 10 degrees, only the span of first..last is defined; close: by 1 to 10."""
    degrees: float
    """By so much rounding can rotate it."""
    first: int
    """First of the directions that are one subspace with this one, itself included; for close: of its neighbours."""
    last: int
    """Last of these directions."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The median angle, in degrees, by which another rounding, like a quantised copy's, rotates a direction."""

    left: float
    right: float

    @computed_field
    @property
    def determined(self) -> bool:
        """True if the copy's numbers determine the direction: on both sides it rotates by less than 15 degrees."""
        return is_determined(self.left, self.right)


@dataclass(frozen=True, slots=True)
class Rest:
    """The share of a span that another rounding keeps, on both sides."""

    left: float
    right: float


@dataclass(frozen=True, slots=True)
class Determinacy:
    """The directions of a matrix that the numbers of a quantised copy determine."""

    first: int
    """Number of determined directions before the first that is not."""
    degrees: float | None
    """The largest rotation among these; None where there is none."""
    later: int
    """Number of determined directions after that."""
    rest: Rest | None
    """The share kept of the span of the first undetermined direction and all after it; None where all are
    determined."""


@dataclass(frozen=True, slots=True)
class Direction(Labelled, OfMatrix):
    """One term of a decomposition with its readouts: a row of the table, and the heart of the direction's page."""

    address: AddressText
    index: int
    """The index in the address: its place in the order of the basis; in the neuron basis the number of the neuron or
    coordinate."""
    singular_value: float
    """The strength of the term; a singular value only in the basis svd."""
    energy_share: float
    """Share of the matrix's squared norm: its squared strength over the sum of all."""
    gap: float | None
    """Relative distance of its strength to the nearest one; None where the terms of a basis cannot rotate towards each
    other."""
    badge: Badge | None
    left: SideReadout
    right: SideReadout
    merit: float | None = None
    """The number that the basis orders by, where that is not the strength: variance, excess kurtosis, usage,
    frequency, share of the output."""
    unit: int | None = None
    """In the neuron basis the number of the neuron, or of the coordinate of the stream, that the term is."""
    turn: Turn | None = None
    """Rotation by another rounding, for a quantised copy; None for other weights, and where it is not known."""
    axis: Axis | None = None
    """What it is a mixture of, and what it makes of other text; None but for the axes of a head's output."""


@dataclass(frozen=True, slots=True)
class RayReadout:
    """The first tokens of one ray on one side."""

    side: StreamSide
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of a matrix's terms, or of one of them."""

    address: Address
    model: Model
    view: View
    index: tuple[int, ...]
    """The index in the address of each term."""
    strength: tuple[float, ...]
    names: tuple[Side, Side]
    """Names of the left and the right side: read, write, query, key, neuron …"""
    sides: Mapping[str, "NDArray[np.float32]"]
    """left and right, [n d] each, for sides that are the residual stream or neurons."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How a direction scores the whole vocabulary: counts in equal bins from `low` to `high`."""

    low: float
    high: float
    counts: tuple[int, ...]
    skewness: float | None
    """None where one token lies so far out that the bins are too coarse."""
    kurtosis: float | None
    """Excess kurtosis: 0 for a normal distribution."""


@dataclass(frozen=True, slots=True)
class ControlSpread:
    """The coherence of random directions read with the same vectors, from which a ray's z and p are taken."""

    side: str
    low: float
    high: float
    counts: tuple[int, ...]
    """Random rays in equal bins of coherence from `low` to `high`."""
    mean: float
    spread: float
    """Standard deviation."""


Relation = Literal["", "like", "reads", "writes"]
"""The relation of a ray to the one before it: like it, reading it, or writing what it reads."""


class Hop(NamedTuple):
    """A ray on the path that a visitor walked."""

    ray: Ray
    relation: Relation = ""
    """Relation to the ray before it; empty for the first."""


def _write_path(hops: tuple[Hop, ...]) -> list[str]:
    return [format_short(hop.ray) for hop in hops]


Path = Annotated[tuple[Hop, ...], UNREAD, PlainSerializer(_write_path, return_type=list[str])]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionPage(Direction, Linked, OfWeights, WithReadouts, AtDistance):
    """One direction, both rays, with up to 50 tokens a ray, where a table shows 8."""

    model: ForPeople[Model]
    view: ForPeople[View]
    rank: int
    singular_values: tuple[float, ...]
    """The strengths of all terms, in the basis's order."""
    indices: ForPeople[tuple[int, ...]]
    """The index in the address of the term with each of these strengths."""
    left_histogram: Histogram
    right_histogram: Histogram
    controls: tuple[ControlSpread | None, ControlSpread | None]
    """Controls of the left and the right side."""
    rotations: tuple[ControlSpread | None, ControlSpread | None]
    """Controls from random rotations of the matrix's directions; None unless `rotated` was asked for."""
    positions: tuple[float, ...]
    """The direction's value at every position, for the positional embedding."""
    same: tuple[AddressText, ...]
    """The same neuron in the other matrices of its MLP, as far as it has weights there."""
    tabs: ForPeople[tuple[Tab, ...]]
    notes: Notes
    """Facts that a reader must know before trusting the numbers, a word each; the page for people has a sentence for it."""
    largest_distance: ForPeople[int | None]
    """The largest distance to choose; None where the matrix does not depend on distance."""
    previous: ForPeople[Address | None]
    next: ForPeople[Address | None]
    use: DirectionUse | None = None
    """What it does on text; None where no statistics of the model's own text were computed, and for all but a head's OV."""
    path: ForPeople[tuple[Hop, ...]] = ()
    """The visitor's path, with this direction at its end; empty without a path."""
    prompt: ForPeople[str] = ""
    """The key of the prompt that the visitor came from; empty for none."""

    @property
    def gain(self) -> float:
        """Its strength divided by the root mean square of its matrix's: 1 for an average one."""
        return math.sqrt(self.energy_share * len(self.singular_values))

    @property
    def is_judged(self) -> bool:
        """True if either side is judged."""
        return any(self.controls)
