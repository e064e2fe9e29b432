"""Why a head looks from one position of a prompt at another: the score it gives, as three sums that are exact."""

from dataclasses import dataclass
from typing import Literal

from app.core.address import Address
from app.explorer.header import Model
from app.explorer.pages.circuitry import OfToken
from app.explorer.pages.shared import Labelled, Linked, OfWeights
from app.explorer.pages.using.prompts import OfPrompt
from app.explorer.serial import AddressText, Entries, ForPeople
from app.explorer.view import View
from app.models.vocabulary import TokenEntry

Split = Literal["pair", "row", "planes"]
"""How a score is split: by the directions of QK at the pair's distance, by the query's directions and beside all other
sources, or by the planes that positions rotate."""

LISTED = 10
"""Terms that are listed; the others are one bar."""


@dataclass(frozen=True, slots=True)
class SeenToken(OfToken):
    """A token of the prompt as the head sees it from the position."""

    position: int
    entry: ForPeople[TokenEntry]
    attention: float | None
    """The head's attention to it; null behind the position."""
    score: float | None
    """The score behind that, before the softmax; null where it is masked."""


@dataclass(frozen=True, slots=True)
class PairTerm(Labelled):
    """What a direction of QK at the pair's distance adds to the score: what the query has of it times what the key has."""

    address: AddressText
    """Address of the direction, in its QK at that distance."""
    read: float
    """The query's coefficient."""
    held: float
    """The key's coefficient, times the singular value and what the model scales scores by."""
    term: float
    """The product of both."""
    query_tokens: Entries
    """The first tokens of the end along which the query lies."""
    key_tokens: Entries
    """The first tokens of the end along which the key lies."""


@dataclass(frozen=True, slots=True)
class QueryTerm(Labelled):
    """What a query's direction adds to a source's score beyond what it adds to all other sources'."""

    address: AddressText
    """Address of the direction, in its QK at distance 0."""
    read: float
    """The query's coefficient."""
    held: float
    """What the source holds for each unit of it."""
    others: float
    """What all other sources hold, by the attention that they have."""
    term: float
    """What is read, times what the source holds beyond the others."""
    query_tokens: Entries
    """The first tokens of the end along which the query lies."""


@dataclass(frozen=True, slots=True)
class PlaneTerm:
    """What a plane that positions rotate adds to the score."""

    plane: int
    period: float
    """Positions of one whole turn."""
    size: float
    """What it would add if query and key pointed one way in it."""
    angle: float
    """Degrees between query and key, the rotation included."""
    term: float
    """The size times the angle's cosine."""


@dataclass(frozen=True, slots=True)
class BiasParts:
    """What biases of queries and keys add to the score."""

    query: float
    """The query's content with the key's bias."""
    key: float
    """The key's content with the query's bias."""
    both: float
    """Both biases."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.query + self.key + self.both


@dataclass(frozen=True, slots=True)
class PlacedToken(OfToken):
    """A token at its position."""

    position: int
    entry: ForPeople[TokenEntry]


@dataclass(frozen=True, slots=True)
class MadePair:
    """A pair of positions of an example prompt, and what a direction adds to its score."""

    key: str
    """The prompt's name in links."""
    text: str
    """The prompt."""
    tokens: ForPeople[tuple[TokenEntry, ...]]
    """The prompt, token by token."""
    to: PlacedToken
    """The position that looks."""
    source: PlacedToken
    """The position that is looked at."""
    term: float
    """What the direction adds to the score."""
    score: float
    """The whole score, before cap and softmax."""
    attention: float
    """What attention the source gets."""


@dataclass(frozen=True, slots=True)
class PairsPage(Labelled, Linked, OfWeights):
    """The pairs of positions of example prompts that a direction of a head's QK does most for, or against."""

    address: AddressText
    """Address of the direction."""
    model: ForPeople[Model]
    view: ForPeople[View]
    distance: int
    """Positions between the two of a pair; where a model rotates nothing, any number is, and this is 0."""
    pairs: tuple[MadePair, ...]
    """The pairs, those that it adds most to first, whichever way."""
    n_pairs: int
    """All pairs of that distance in the examples, but for those of the first position."""
    n_prompts: int
    """Example prompts."""
    rotates: ForPeople[bool]
    """Positions rotate the head's queries and keys."""


@dataclass(frozen=True, slots=True)
class WhyPage(OfPrompt, Linked, OfWeights):
    """Why a head looks from one position of a prompt at another."""

    address: ForPeople[Address]
    """The model's address."""
    model: ForPeople[Model]
    view: ForPeople[View]
    tokens: tuple[SeenToken, ...]
    head: AddressText
    """Address of the head that looks."""
    to: int
    """The position that looks: what is found goes there."""
    source: int
    """The position that is looked at."""
    distance: int
    """Positions between them: what QK is rotated by; 0 where the model rotates nothing."""
    score: float
    """The score of the pair before cap and softmax."""
    cap: float | None
    """What scores are capped at behind that; null: at nothing."""
    split: Split
    """How the score is split here."""
    terms: tuple[PairTerm, ...] | tuple[QueryTerm, ...] | tuple[PlaneTerm, ...]
    """All terms of the split, the largest first."""
    still: float | None
    """What coordinates that no position rotates add; null but for planes."""
    biases: BiasParts | None
    """What biases add besides; null where the head has none, and for planes, which hold them."""
    settled: int
    """Terms, the largest first, until their sum stays within a tenth of the sum of all."""
    settled_random: float | None
    """The same in random bases of the query's span, the mean of eight; null for planes."""
    splits: ForPeople[tuple[Split, ...]]
    """The splits that there are."""

    @property
    def listed(self) -> tuple[PairTerm, ...] | tuple[QueryTerm, ...] | tuple[PlaneTerm, ...]:
        """The terms that are listed."""
        return self.terms[:LISTED]

    @property
    def rest(self) -> float:
        """What the other terms add."""
        return sum(one.term for one in self.terms[LISTED:])

    @property
    def total(self) -> float:
        """What all terms add."""
        return sum(one.term for one in self.terms) + (self.still or 0.0)
