"""The pages of a search and of suggestions: the query, its terms, and the rays that were found."""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import GetPydanticSchema, PlainSerializer, computed_field

from app.core.address import Address, Kind, Ray
from app.core.judging.rays import Reading, is_significant
from app.explorer.header import Model
from app.explorer.pages.directions import RayReadout
from app.explorer.pages.rays import Hit, NamedToken, TermKind, Tokens
from app.explorer.pages.shared import Labelled, LinkedToItself, OfWeights, PageLink
from app.explorer.serial import UNREAD, AddressText, ForPeople, SignWord
from app.explorer.view import StreamSide, View

SearchOrder = Literal["theme", "alignment"]
"""Order by the likeness of a ray's tokens to the words, or by the product of its vector with theirs."""

SearchBasis = Literal["svd", "neuron"]
"""The searched directions: singular ones, or the neurons of MLPs."""

Evidence = Literal["clear", "weak", "chance"]
"""The weight of an alignment: fewer than .01 as good are expected by chance, fewer than 1, or more."""

CLEAR, WEAK = 0.01, 1.0
"""Bounds of clear and weak evidence, in numbers expected by chance."""

MOST_FALSE = 0.5
"""Largest false discovery rate at which the nearest rays stand out."""

USED = 0.5
"""Least gain of directions that count as used."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The query, filters and order of a search; empty: any."""

    q: str = ""
    order: SearchOrder = "theme"
    basis: SearchBasis = "svd"
    side: str = ""
    kind: str = ""
    layers: str = ""
    """One layer, a range as `20-29`, or `ends` for the model's own matrices."""
    readable: bool = False
    used: bool = False
    """Only directions whose gain is at least half an average one's."""
    page: int = 1


class Offer(NamedTuple):
    """Another spelling of a word, with the query that has it in its place."""

    q: str
    token: NamedToken


@dataclass(frozen=True, slots=True)
class AskedTerm:
    """One term of a search, as it was understood."""

    text: str
    kind: TermKind
    is_minus: bool
    tokens: tuple[NamedToken, ...]
    """Tokens whose vectors stand for it; for a ray those of its theme."""
    left_out: tuple[NamedToken, ...] = ()
    """Punctuation and the most frequent tokens of a phrase, which are not searched for."""
    untrained: tuple[NamedToken, ...] = ()
    """Its tokens without a vector, since training never moved them."""
    variants: tuple[Offer, ...] = ()
    ray: Ray | None = None

    @property
    def is_cut(self) -> bool:
        """True for a word that is no single token."""
        return self.kind == "word" and len(self.tokens) + len(self.left_out) > 1


@dataclass(frozen=True, slots=True)
class TermToken:
    """A token that stands for a part of a query."""

    id: int
    token: str
    """The decoded text of the token."""
    spelling: str
    """What finds it in `q` of a search, in quotes where a plain word is another token."""
    of: str
    """The word, phrase, id or ray of the query."""
    weight: float
    """1, or -1 where it is subtracted."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Another token that is the same word in another spelling; it is not searched for."""

    of: str
    """The word."""
    id: int
    token: str
    """The decoded text of the token."""
    spelling: str
    """What finds it in `q` of a search, in quotes where a plain word is another token."""


@dataclass(frozen=True, slots=True)
class CutWord:
    """A word that is no single token: the mean of its pieces is searched for, which says less."""

    word: str
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnderstoodQuery:
    """A query as it was understood."""

    tokens: tuple[TermToken, ...]
    variants: tuple[Variant, ...]
    pieces: tuple[CutWord, ...]
    left_out: tuple[TermToken, ...]
    """Punctuation and the most frequent tokens of phrases, and those beyond 32 tokens: they are not searched for."""


def understand(terms: tuple[AskedTerm, ...]) -> UnderstoodQuery:
    """Sum up the terms of a query."""
    return UnderstoodQuery(
        tokens=tuple(token for term in terms for token in _term_tokens(term, term.tokens)),
        variants=tuple(
            Variant(term.text, one.token.id, one.token.text, one.token.spelling)
            for term in terms
            for one in term.variants
        ),
        pieces=tuple(CutWord(term.text, tuple(token.text for token in term.tokens)) for term in terms if term.is_cut),
        left_out=tuple(token for term in terms for token in _term_tokens(term, term.left_out)),
    )


def _term_tokens(term: AskedTerm, of: tuple[NamedToken, ...]) -> list[TermToken]:
    weight = -1.0 if term.is_minus else 1.0
    return [TermToken(token.id, token.text, token.spelling, term.text, weight) for token in of]


def _write_ids(hits: tuple[Hit, ...]) -> list[int]:
    return [hit.token.id for hit in hits]


@dataclass(frozen=True, slots=True)
class FoundRay(Labelled):
    """A ray that a search found."""

    address: AddressText
    """The direction's address."""
    ray: SignWord
    side: StreamSide
    """The side whose tokens and vector were compared."""
    theme: float
    """Mean likeness of its first tokens to the query."""
    alignment: float | None
    """Product of its vector with the query's; None where the query has no vector at this end of the model."""
    expected: float | None
    """Number of the model's rays that would be so aligned by chance, with any vector: below .01 is clear, below 1 weak.
    None while that is not known."""
    gain: float
    """Its strength divided by the root mean square of its matrix's."""
    strength: float
    """Its singular value, or the norm of the neuron's weights."""
    z: float | None
    """How alike its tokens are, beside those of random directions; None where that was not judged."""
    p: float | None
    reading: Reading
    letterless: bool
    tokens: Tokens
    """Its first tokens, each scored by its likeness to the query."""
    asked: Annotated[tuple[Hit, ...], UNREAD, PlainSerializer(_write_ids, return_type=list[int])]
    """Ids of its tokens that the query asks for, in any spelling."""
    other: ForPeople[RayReadout | None]
    """The same ray on the other side of its direction, where that is the residual stream too."""
    view: ForPeople[View]

    @computed_field
    @property
    def page(self) -> PageLink["FoundRay"]:
        """The page of its direction."""
        return self

    @property
    def evidence(self) -> Evidence | None:
        """The weight of its alignment; None where that is not known."""
        if self.expected is None:
            return None
        return "clear" if self.expected < CLEAR else "weak" if self.expected < WEAK else "chance"

    @property
    def is_readable(self) -> bool:
        """True if its tokens are more alike than by chance."""
        return is_significant(self.p)

    @property
    def is_faint(self) -> bool:
        """True if its gain is below USED."""
        return self.gain < USED


class StripRow(NamedTuple):
    """Counts over layers of the nearest rays of one kind of matrix."""

    kind: Kind
    counts: tuple[int, ...]
    """One number a layer; a single one for the model's own matrices."""


@dataclass(frozen=True, slots=True)
class Searched:
    """The rays that a search compared, and how many of them chance alone would bring."""

    rays: int
    """Rays that passed the filters and were compared."""
    share_of_model: float
    """Share of the model's singular directions, or of its neurons, that the bank has."""
    controls: int
    """Random rays that were compared with the same query; 0 while they are not there."""
    beyond_controls: int
    """Rays with a better theme than every control."""
    beyond_controls_by_chance: float
    """How many of as many random rays would have one, too."""
    is_of_nearest: bool = False
    """True if only the 2,000 rays nearest by theme are ordered by alignment: reading all vectors would take too long."""


@dataclass(frozen=True, slots=True)
class NearestByChance:
    """How many of a search's nearest rays chance may have brought, at most."""

    rank: int
    """Number of nearest rays by theme that the other numbers are about."""
    fdr: float | None
    """False discovery rate of these, at most; None while there are no controls."""
    n_aligned: int
    """Number of these with an alignment that fewer than one direction would have by chance."""

    @computed_field
    @property
    def stands_out(self) -> bool | None:
        """False if more than half of them may be chance, by theme; null while there are no controls."""
        return None if self.fdr is None else self.is_theme

    @property
    def is_theme(self) -> bool:
        """True if most of them are not chance: they stand out by theme."""
        return self.fdr is not None and self.fdr <= MOST_FALSE


class Unbuilt(NamedTuple):
    """A missing part of a page that only precomputing builds."""

    why: str
    """The reason in a sentence, with the command."""
    command: str
    """The command that builds it."""
    job: str | None
    """A live job that computes matrices of the model: it may be building it."""


@dataclass(frozen=True, slots=True)
class SearchPage(LinkedToItself, OfWeights):
    """The rays of a model that are nearest to words, tokens or other rays."""

    address: AddressText
    """The model's address."""
    model: ForPeople[Model]
    view: ForPeople[View]
    inquiry: Inquiry
    terms: ForPeople[tuple[AskedTerm, ...]] = ()
    hits: tuple[FoundRay, ...] = ()
    """Rays on this page, the best first."""
    n_hits: int = 0
    """Rays on all pages, at most 200."""
    n_pages: int = 1
    strip: ForPeople[tuple[StripRow, ...]] = ()
    """Counts over layers of all rays found, on all pages."""
    searched: Annotated[Searched | None, GetPydanticSchema(lambda _, handler: handler(Searched))] = None
    """The rays that were compared, and what chance alone would bring."""
    fdr_at: Annotated[NearestByChance | None, GetPydanticSchema(lambda _, handler: handler(NearestByChance))] = None
    is_beyond_chance: ForPeople[bool | None] = None
    """True if the nearest rays are not chance alone, by theme or by alignment; None where it is not known."""
    problem: ForPeople[str] = ""
    """Why nothing was searched, where the visitor can mend it; empty for an empty query, too."""
    is_cut: ForPeople[bool] = False
    """True if only the first tokens are searched for, since there are too many."""
    unbuilt: ForPeople[Unbuilt | None] = None
    """The missing bank, without which this model cannot be searched; None where it is there."""
    place: ForPeople[Address | None] = None
    """The place that the text names, too, if it names one."""
    choices: ForPeople[tuple[tuple[str, tuple[str, ...]], ...]] = ()
    """Values of the filters: kinds of matrices, sides."""
    bases: ForPeople[tuple[SearchBasis, ...]] = ("svd",)
    """Bases that this model is searched in: the largest models' neurons are not searched."""
    suggested: ForPeople[tuple[str, ...]] = ()
    """Searches to begin with."""
    n_neurons: ForPeople[int] = 0
    """Ends of single neurons that stand out for the query, where directions are searched without filters."""

    @computed_field
    @property
    def query(self) -> UnderstoodQuery:
        """The query, as it was understood."""
        return understand(self.terms)

    @property
    def is_whole(self) -> bool:
        """True if all of the model was searched, and compared with random directions."""
        return self.searched is not None and self.searched.share_of_model == 1 and self.searched.controls > 0


@dataclass(frozen=True, slots=True)
class NotSearched:
    """A model that was not searched."""

    model: str
    detail: str
    """The reason in a sentence."""


@dataclass(frozen=True, slots=True)
class EveryPage(LinkedToItself):
    """The same search in every model of a server, each in its own weights."""

    q: str
    pages: ForPeople[tuple[SearchPage, ...]]
    """Searches of the models that are here, answered or not."""
    absent: ForPeople[tuple[NotSearched, ...]]
    """Models that are not here yet."""

    @computed_field
    @property
    def models(self) -> tuple[SearchPage, ...]:
        """The models that were searched."""
        return tuple(one for one in self.pages if one.searched is not None)

    @computed_field
    @property
    def missing(self) -> tuple[NotSearched, ...]:
        """The models that were not searched."""
        unanswered = (
            NotSearched(one.model.slug, one.unbuilt.why if one.unbuilt else one.problem)
            for one in self.pages
            if one.searched is None
        )
        return (*unanswered, *self.absent)


class Suggestion(NamedTuple):
    """A page that a text may lead to."""

    address: Address
    under: str
    """A page of that place without an address of its own; empty for the place itself."""
    about: str = ""
    ray: str = ""
    """The anchor, p or n."""
    weights: str = ""
    """Weight processing named with the place; empty for none."""
    shown: str = ""
    """The token as it is shown, if the page is a token's."""


@dataclass(frozen=True, slots=True)
class SuggestPage:
    """The pages that a typed text may lead to."""

    address: Address
    """The model's address."""
    model: Model
    view: View
    text: str
    shown: str
    """The text made visible."""
    taken: Suggestion | None
    """The page that the text itself names; None for the search."""
    places: tuple[Suggestion, ...]
