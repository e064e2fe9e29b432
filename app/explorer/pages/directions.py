"""A direction on a page: both its sides read out, how sure it is, and the page of its own."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from app.core.address import Address, Ray
from app.core.measuring.determinacy import is_determined
from app.explorer.header import Model, Note
from app.explorer.pages.rays import Hit, Rays, Token, Words
from app.explorer.view import Tab, View

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SideReadout:
    """One side of a direction read out as tokens, at both ends: a sign is a convention."""

    side: str
    """read, write, query or key; or token, neuron, position, head: then these are the vector's own entries."""
    plus: tuple[Token, ...]
    """Largest scores first."""
    minus: tuple[Token, ...]
    """Smallest (most negative) first; none where the basis has one ray a term."""
    rays: Rays | None = None
    """None for what is not read with the vocabulary's vectors, and where that is too small for a control."""
    found: tuple[Hit, ...] = ()
    """Where the text occurs that a visitor looks for: among the tokens here, and the first behind them."""
    words: tuple[Words, Words] | None = field(default=None, compare=False)
    """Of the plus end and of the minus end, out of all that is kept there: where a table has a row for people to read."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A warning that rounding of the stored weights can turn this direction towards its neighbours."""

    kind: Literal["subspace", "close"]
    """subspace: by more than 10 degrees, only the span of first..last is defined; close: by 1 to 10."""
    degrees: float
    first: int
    last: int
    """The directions that are one subspace with this one, itself included (for close: the neighbours nearest to it)."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How far another rounding, like that of a quantised copy, turns a direction: the median, in degrees."""

    left: float
    right: float

    @property
    def is_determined(self) -> bool:
        """The copy's numbers determine the direction, on both sides."""
        return is_determined(self.left, self.right)


@dataclass(frozen=True, slots=True)
class Determinacy:
    """Which directions of a matrix the numbers of a quantised copy determine."""

    first: int
    """So many are determined before the first that is not."""
    degrees: float | None
    """Of them, that which is turned most; None where there is none."""
    later: int
    """Determined ones after that."""
    rest: tuple[float, float] | None
    """Of the span of the first that is not determined and all after it the share that another rounding keeps, left and
    right; None where all are determined."""


@dataclass(frozen=True, slots=True)
class Direction:
    """One term of a decomposition with its readouts: a row of the table, and the heart of the direction's page."""

    address: Address
    index: int
    """What the address ends with: its place in the order of the basis; in the neuron basis the number of the neuron or
    coordinate."""
    singular_value: float
    """The strength of the term; in another basis than svd it is no singular value."""
    energy_share: float
    gap: float | None
    """None where the terms of a basis cannot turn towards each other."""
    badge: Badge | None
    left: SideReadout
    right: SideReadout
    merit: float | None = None
    """What the basis orders by, where that is not the strength."""
    unit: int | None = None
    """The neuron, or the coordinate of the stream, that the term is."""
    turn: Turn | None = None
    """Of a quantised copy; None of other weights, and where it is not known."""


@dataclass(frozen=True, slots=True)
class RayReadout:
    """The first tokens of one ray on one side."""

    side: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of a matrix's terms, or of one of them."""

    address: Address
    model: Model
    view: View
    index: tuple[int, ...]
    """What the address of each term ends with."""
    strength: tuple[float, ...]
    names: tuple[str, str]
    """Of the left and the right side: read, write, query, key, neuron …"""
    sides: Mapping[str, "NDArray[np.float32]"]
    """left and right, [n d] each, as far as they are the residual stream's or neurons'."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How a direction scores the whole vocabulary: counts in equal bins from `low` to `high`."""

    low: float
    high: float
    counts: tuple[int, ...]
    skewness: float | None
    """None where one token lies so far out that the bins cannot tell."""
    kurtosis: float | None
    """In excess of a normal distribution's."""


@dataclass(frozen=True, slots=True)
class ControlSpread:
    """How coherent random directions read with the same vectors are: what a ray's z and p are taken from."""

    side: str
    low: float
    high: float
    counts: tuple[int, ...]
    """Random rays in equal bins of coherence from `low` to `high`."""
    mean: float
    spread: float
    """Standard deviation."""


Relation = Literal["", "like", "reads", "writes"]
"""How one comes from a ray to the next: it is like the one before, reads it or writes what that one reads."""


class Hop(NamedTuple):
    """A ray on the path that a visitor walked."""

    ray: Ray
    relation: Relation = ""
    """To the one before it; empty for the first."""


@dataclass(frozen=True, slots=True)
class DirectionPage:
    """One direction, both rays, as many tokens as are kept."""

    address: Address
    model: Model
    view: View
    direction: Direction
    """With up to 50 tokens a ray, where a table shows 8."""
    rank: int
    singular_values: tuple[float, ...]
    indices: tuple[int, ...]
    """What the address of the term with each of these strengths ends with."""
    left_histogram: Histogram
    right_histogram: Histogram
    controls: tuple[ControlSpread | None, ControlSpread | None]
    """Of the left and the right side."""
    rotations: tuple[ControlSpread | None, ControlSpread | None]
    """The same of random rotations of the matrix's directions; nothing unless these were asked for."""
    positions: tuple[float, ...]
    """The direction's value at every position, for the matrix of positions."""
    same: tuple[Address, ...]
    """The same neuron in the other matrices of its MLP."""
    tabs: tuple[Tab, ...]
    notes: tuple[Note, ...]
    farthest: int | None
    """The largest distance to choose; None where distance means nothing."""
    previous: Address | None
    next: Address | None
    path: tuple[Hop, ...] = ()
    """How the visitor came here, this direction at its end; empty for the direction of no path."""

    @property
    def gain(self) -> float:
        """Its strength beside the root mean square of its matrix's: 1 for an average one."""
        return math.sqrt(self.direction.energy_share * len(self.singular_values))

    @property
    def is_judged(self) -> bool:
        """Whether either side is."""
        return any(self.controls)
