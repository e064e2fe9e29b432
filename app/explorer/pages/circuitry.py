"""The values of the pages that tell what tokens and directions have to do with each other. Knows no HTTP and no arrays."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.core.address import Address, Ray, Sign
from app.explorer.header import Model
from app.explorer.layout import Part
from app.explorer.pages.directions import Hop
from app.explorer.pages.rays import NamedToken
from app.explorer.pages.search import Unbuilt
from app.explorer.view import View
from app.models.vocabulary import TokenEntry


@dataclass(frozen=True, slots=True)
class Aligned:
    """One end of a direction, or of a neuron, beside something that it is held against."""

    ray: Ray
    side: str
    """Which of its sides: read, write, query or key."""
    value: float
    """The cosine of its + end with the end that it is held against: negative where it is the - end that lies on that side. On
    a token's page the strength times the product with the token."""
    z: float
    """How far out that is, in standard deviations."""
    expected: float
    """How many of those that were looked at would be so far out by chance."""
    gain: float
    """1 for an average direction of its matrix."""
    tokens: tuple[TokenEntry, ...]
    """The first that the end reads, or writes."""
    rank: int | None = None
    """Of the token in the order of this end, counted from 1; None where no token is asked about, or nobody has counted."""
    row: int = -1
    """Of the bank."""


@dataclass(frozen=True, slots=True)
class Alignments:
    """What stands out of some rays."""

    found: tuple[Aligned, ...]
    """The farthest out first."""
    n_found: int
    """That are beyond chance, shown or not."""
    n_rows: int
    """Directions that were looked at."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A pair of a direction that is written and a head that reads it."""

    writer: Address
    part: Part
    heads: tuple[Address, ...]
    """One for a query, all that share it for a key or a value."""
    specificity: float
    false_share: float
    """At most: of pairs so specific at this distance, those that mean nothing."""
    distance: int
    """Layers between them."""
    sign: Sign | None = None
    """Which end of the writer lies on the side of the end that is asked about; None where the writer is what is given."""
    gain: float | None = None
    """Of the writer, likewise."""
    tokens: tuple[tuple[TokenEntry, ...], tuple[TokenEntry, ...]] = ((), ())
    """Of its + and its - end, likewise."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Pairs that pass both bounds."""

    found: tuple[Reading, ...]
    """The most specific first."""
    n_found: int
    n_weaker: int
    """Others from CS 2 on."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of one side of a direction that is the residual stream."""

    side: str
    writes: bool
    """Whether it writes to the stream; else it reads it."""
    tokens: tuple[tuple[TokenEntry, ...], tuple[TokenEntry, ...]]
    """The first of its + and of its - end."""
    neighbours: Alignments
    others: Alignments
    """Directions that read what it writes, or write what it reads."""
    neurons: Alignments
    """The same of single neurons."""
    readings: Readings | None
    """Heads that read what it writes; or directions that this head's reader of it reads; None where
    there are none of its kind, or not all layers have been held against the heads yet."""
    reader: tuple[Part, tuple[Address, ...]] | None = None
    """Whose readings these are, where the side reads."""


@dataclass(frozen=True, slots=True)
class AroundPage:
    """What a direction is like, what reads it and what writes it, by the weights alone."""

    address: Address
    model: Model
    view: View
    sides: tuple[Surroundings, ...]
    path: tuple[Hop, ...]
    """Walked so far; at its end this direction, as the end of it that everything here is said of."""
    share: float
    """Of the model's directions, those that were looked at."""
    unbuilt: Unbuilt | None = None
    """Why there are no sides, where that is so."""


@dataclass(frozen=True, slots=True)
class TokenGroup:
    """The rays that do one thing to a token."""

    does: Literal["writes", "reads", "queries", "keys", "neurons-write", "neurons-read"]
    rays: tuple[Aligned, ...]
    """The farthest out first."""
    n_rows: int
    """Directions that were looked at, two rays each."""
    n_beyond: int
    """Of them, those that fewer than one in twenty random directions would bring."""


class NearToken(NamedTuple):
    """A token near to another."""

    token: TokenEntry
    cosine: float


@dataclass(frozen=True, slots=True)
class TokenPage:
    """One token: what writes it, what reads it, what looks for it, whose key it is, and what it is like."""

    address: Address
    """Of the model."""
    model: Model
    view: View
    token: NamedToken
    is_known: bool
    """Whether the tokenizer has such a token; else it is a row that pads the embedding."""
    is_trained: bool | None
    """Whether training has moved it; None where that is not known."""
    length: float | None
    """Of its row of the embedding, as stored; None where nothing is built."""
    typical_length: float | None
    """The median of all tokens'."""
    n_known: int
    variants: tuple[NamedToken, ...]
    """The same word, written otherwise."""
    groups: tuple[TokenGroup, ...]
    """Empty where nothing is built, and of a token that the tokenizer does not know."""
    near: tuple[NearToken, ...]
    unbuilt: Unbuilt | None
    """Why there are no groups, where that is so."""
    share: float
    is_whole: bool
    """With single neurons and all ranks, which take longer."""


@dataclass(frozen=True, slots=True)
class PairCell:
    """A direction of one head beside one of another."""

    writer: Ray
    reader: Ray
    cosine: float
    """Of both + ends."""
    expected: float
    """How many cells of the map would be so far out by chance."""
    written: tuple[TokenEntry, ...]
    read: tuple[TokenEntry, ...]
    """First tokens of either end."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A direction of the first head that a visitor came from, and what of the second reads it."""

    ray: Ray
    through: float
    """CS with the whole circuit of the second head."""
    taken_in: float | None
    """CS with its query, key or value matrix alone; None where that is hardly above chance, or nobody has computed it."""
    cells: tuple[PairCell, ...]
    """Of this direction, the farthest out first."""


@dataclass(frozen=True, slots=True)
class AskedPairPage:
    """Two heads that are to be named yet, as far as they were."""

    a: str
    b: str
    part: Part


@dataclass(frozen=True, slots=True)
class PairPage:
    """Directions that one head writes beside those that another reads with."""

    a: Address
    b: Address
    model: Model
    view: View
    part: Part
    """What b reads with."""
    rows: tuple[Address, ...]
    """Directions of a's OV, the strongest first, as many as are drawn."""
    columns: tuple[Address, ...]
    """Of b's side that reads, likewise."""
    cosines: tuple[tuple[float, ...], ...]
    """Of each row and each column, both + ends."""
    specificities: tuple[float, ...]
    """Of each row: its CS with the whole circuit of b."""
    whole: float
    """CS of all that a writes."""
    strongest: tuple[PairCell, ...]
    """Of all directions of both, drawn or not, the farthest out first."""
    n_beyond: int
    """Cells beyond chance, of all directions."""
    is_later: bool
    """Whether b reads after a has written."""
    chance: float
    """Standard deviation of such a cosine by chance, over all of a's directions."""
    unbuilt: Unbuilt | None = None
    """Why there are no directions, where that is so."""
    path: tuple[Hop, ...] = ()
    """To a direction of the first head, where a visitor came from one."""
    passage: Passage | None = None
    """That direction, likewise."""

    @property
    def address(self) -> Address:
        """Where the page belongs: of the first head."""
        return self.a

    def hops(self, ray: Ray) -> tuple[Hop, ...]:
        """The path to that ray of the first head: one that began elsewhere, where it is this ray that it leads to."""
        return self.path if self.path and self.path[-1].ray == ray else (Hop(ray),)
