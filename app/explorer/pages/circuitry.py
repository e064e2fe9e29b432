"""The pages of a token, of a direction's surroundings and of two heads. Knows no HTTP and no arrays."""

from dataclasses import dataclass
from typing import Literal

from pydantic import computed_field

from app.core.address import Address, Ray, Sign
from app.explorer.header import Model
from app.explorer.layout import Part
from app.explorer.pages.directions import Hop, Path
from app.explorer.pages.rays import NamedToken, NamedTokenValue
from app.explorer.pages.search import Unbuilt
from app.explorer.pages.shared import Labelled, Linked, LinkedToItself, OfWeights
from app.explorer.serial import AddressText, Entries, ForPeople
from app.explorer.view import StreamSide, View
from app.models.vocabulary import TokenEntry


@dataclass(frozen=True, slots=True)
class Aligned:
    """One end of a direction, or of a neuron, compared with a vector or a token."""

    end: ForPeople[Ray]
    """The end that lies along the end that it is compared with; on a token's page the end that the token lies along."""
    side: StreamSide
    """The side that was compared."""
    value: float
    """The cosine of its + end with the end that it is compared with: negative where its - end lies on that side. On a
    token's page the strength times the product with the token."""
    z: float
    """The value in standard deviations."""
    expected: float
    """How many of the compared rows would be so far out by chance."""
    gain: float
    """Strength relative to its matrix: 1 for an average direction."""
    tokens: Entries
    """The first tokens that the end reads, or writes."""
    rank: int | None = None
    """Rank of the token along this end, counted from 1; None off a token's page, or where it was not counted."""
    row: ForPeople[int] = -1
    """Row of the bank."""

    @computed_field
    @property
    def address(self) -> AddressText:
        """Address of the direction."""
        return self.end.address

    @computed_field
    @property
    def label(self) -> str:
        """The short name of the address."""
        return self.end.address.label

    @computed_field
    @property
    def ray(self) -> Sign:
        """The end that lies along the end that it is compared with, or along the token."""
        return self.end.sign


@dataclass(frozen=True, slots=True)
class Alignments:
    """The rows of one group that stand out."""

    found: tuple[Aligned, ...]
    """Sorted from the farthest out."""
    n_found: int
    """Rows beyond chance, shown or not."""
    n_rows: int
    """Rows that were compared."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A pair of a direction that is written and a head that reads it."""

    writer: AddressText
    part: Part
    heads: tuple[AddressText, ...]
    """One head for a query; for a key or a value all heads of its group."""
    specificity: float
    """CS: 1 for a random direction."""
    false_share: float
    """Largest share of pairs so specific at this distance that may be false."""
    distance: int
    """Layers from the writer to the reader."""
    ray: Sign | None = None
    """The writer's end on the side of the end that is asked about; None on the writer's own page."""
    gain: float | None = None
    """Gain of the writer; None on its own page."""
    tokens: ForPeople[tuple[tuple[TokenEntry, ...], tuple[TokenEntry, ...]]] = ((), ())
    """First tokens of the writer's + and - end; empty on its own page."""
    strength: float | None = None
    """CS times the writer's singular value, by what the norm before the reader divides the stream by on the reference text;
    null without statistics of use."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Pairs of a direction and a head that pass the bounds of CS and false share."""

    found: tuple[Reading, ...]
    """Sorted from the most specific."""
    n_found: int
    n_weaker: int
    """Other pairs with a CS of at least 2."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The surroundings of one side of a direction, a side that is the residual stream."""

    side: StreamSide
    writes: bool
    """True if the side writes to the stream; else it reads it."""
    tokens: ForPeople[tuple[tuple[TokenEntry, ...], tuple[TokenEntry, ...]]]
    """First tokens of its + and - end."""
    neighbours: Alignments
    """Directions of other matrices that do the same."""
    others: Alignments
    """Directions that read what it writes, or write what it reads."""
    neurons: Alignments
    """Single neurons that read what it writes, or write what it reads."""
    readings: Readings | None
    """Heads that read what it writes, or directions that this head reads with this side; None for kinds without
    readings, or while not all layers are built."""
    reader: ForPeople[tuple[Part, tuple[Address, ...]] | None] = None
    """The part and the heads that read, where the side reads."""


@dataclass(frozen=True, slots=True)
class AroundPage(Labelled, Linked, OfWeights):
    """The directions that a direction is like, that read it and that write it, by the weights alone."""

    address: AddressText
    model: ForPeople[Model]
    view: ForPeople[View]
    sides: tuple[Surroundings, ...]
    path: Path
    """The visitor's path; it ends with the ray of this direction that the page is about."""
    share: float
    """Share of the model's directions that were compared."""
    unbuilt: ForPeople[Unbuilt | None] = None
    """Why there are no sides; None where there are."""


@dataclass(frozen=True, slots=True)
class TokenGroup:
    """The rays that do one thing to a token."""

    does: Literal["writes", "reads", "queries", "keys", "neurons-write", "neurons-read"]
    rays: tuple[Aligned, ...]
    """Sorted from the farthest out."""
    n_rows: int
    """Directions that were compared, two rays each."""
    n_beyond: int
    """Directions so far out that fewer than .05 are expected by chance."""


class OfToken:
    """A value about one token."""

    __slots__ = ()
    entry: TokenEntry | NamedToken

    @computed_field
    @property
    def id(self) -> int:
        """The token's id."""
        return self.entry.id

    @computed_field
    @property
    def token(self) -> str:
        """The decoded text of the token."""
        return self.entry.text


@dataclass(frozen=True, slots=True)
class NearToken(OfToken):
    """A token near another one, by embedding."""

    entry: ForPeople[TokenEntry]
    cosine: float


@dataclass(frozen=True, slots=True)
class TokenPage(Linked, OfToken, OfWeights):
    """One token: the rays that write it, read it, query by it or have it as a key, and similar tokens."""

    address: ForPeople[Address]
    """The model's address."""
    model: ForPeople[Model]
    view: ForPeople[View]
    entry: ForPeople[NamedToken]
    known: bool
    """True if the tokenizer has this token; else its id pads the embedding."""
    trained: bool | None
    """True if training has moved it; None where that is not known."""
    length: float | None
    """Norm of its row of the embedding, as stored; None where nothing is built."""
    typical_length: float | None
    """Median norm of all tokens."""
    n_tokens: int
    """Tokens that the tokenizer knows."""
    variants: tuple[NamedTokenValue, ...]
    """Other spellings of the same word."""
    groups: tuple[TokenGroup, ...]
    """Empty where nothing is built, and for a token that the tokenizer does not know."""
    near: tuple[NearToken, ...]
    """The nearest tokens by embedding."""
    unbuilt: ForPeople[Unbuilt | None]
    """Why there are no groups; None where there are."""
    share: float
    """Share of the model's directions that were compared."""
    is_whole: ForPeople[bool]
    """True with single neurons and all ranks, which take longer."""

    @computed_field
    @property
    def spelling(self) -> str:
        """The token's name in a query: its text, or `#1234` where the text cannot name it."""
        return self.entry.spelling


@dataclass(frozen=True, slots=True)
class PairCell:
    """A direction of one head beside one of another."""

    writer_end: ForPeople[Ray]
    reader_end: ForPeople[Ray]
    cosine: float
    """Cosine of both + ends."""
    expected: float
    """How many cells of the map would be so far out by chance."""
    written: ForPeople[tuple[TokenEntry, ...]]
    read: ForPeople[tuple[TokenEntry, ...]]
    """First tokens of the reader's end, as `written` of the writer's."""

    @computed_field
    @property
    def writer(self) -> AddressText:
        """Address of the direction that writes."""
        return self.writer_end.address

    @computed_field
    @property
    def writer_ray(self) -> Sign:
        """The end of the writer."""
        return self.writer_end.sign

    @computed_field
    @property
    def reader(self) -> AddressText:
        """Address of the direction that reads."""
        return self.reader_end.address

    @computed_field
    @property
    def reader_ray(self) -> Sign:
        """The reader's end that lies along that end of the writer."""
        return self.reader_end.sign


@dataclass(frozen=True, slots=True)
class Passage:
    """A direction of the first head that a path leads to, and how the second head reads it."""

    end: ForPeople[Ray]
    through: float
    """CS with the whole circuit of the second head."""
    taken_in: float | None
    """CS with its query, key or value matrix alone; None where that is hardly above chance, or not computed."""
    cells: tuple[PairCell, ...]
    """Cells of this direction, sorted from the farthest out."""

    @computed_field
    @property
    def address(self) -> AddressText:
        """Address of the direction."""
        return self.end.address

    @computed_field
    @property
    def ray(self) -> Sign:
        """The end that the path leads to."""
        return self.end.sign


@dataclass(frozen=True, slots=True)
class AskedPairPage:
    """A request for two heads that names them only in part."""

    a: str
    b: str
    part: Part


@dataclass(frozen=True, slots=True)
class PairPage(LinkedToItself, OfWeights):
    """Directions that one head writes beside those that another reads with."""

    a: AddressText
    b: AddressText
    model: ForPeople[Model]
    view: ForPeople[View]
    part: Part
    """The part that b reads with."""
    rows: tuple[AddressText, ...]
    """Directions of a's OV, the strongest first, as many as are drawn."""
    columns: tuple[AddressText, ...]
    """Directions of b's side that reads, likewise."""
    cosines: tuple[tuple[float, ...], ...]
    """Cosines of rows and columns, both + ends."""
    specificities: tuple[float, ...]
    """CS of each row with the whole circuit of b."""
    whole: float
    """CS of all that a writes."""
    strongest: tuple[PairCell, ...]
    """Cells of all directions of both, drawn or not, sorted from the farthest out."""
    n_beyond: int
    """Cells beyond chance, of all directions."""
    later: bool
    """True if b reads after a has written."""
    chance: float
    """Standard deviation of such a cosine by chance, over all of a's directions."""
    unbuilt: ForPeople[Unbuilt | None] = None
    """Why there are no directions; None where there are."""
    path: Path = ()
    """The path that was walked to a direction of the first head; empty where none leads there."""
    passage: Passage | None = None
    """That direction, and how the second head reads it; None without a path."""

    @property
    def address(self) -> Address:
        """The address that the page belongs to: that of the first head."""
        return self.a

    def hops(self, ray: Ray) -> tuple[Hop, ...]:
        """Return the path to a ray of the first head: the visitor's where it leads to this ray, else the ray alone."""
        return self.path if self.path and self.path[-1].ray == ray else (Hop(ray),)
