"""The pages of a search and of suggestions: the query, its terms, and the rays that were found."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.core.address import Address, Kind, Ray, Sign
from app.core.judging.rays import Reading, is_significant
from app.explorer.header import Model
from app.explorer.pages.directions import RayReadout
from app.explorer.pages.rays import Hit, NamedToken, TermKind, Token
from app.explorer.view import View

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
class FoundRay:
    """A ray that a search found."""

    address: Address
    """The direction's address."""
    ray: Sign
    side: str
    """The side whose tokens and vector were compared: read, write, query or key."""
    theme: float
    """Mean likeness of its first tokens to the query."""
    alignment: float | None
    """Product of its vector with the query's; None where the query has no vector at this end of the model."""
    expected: float | None
    """Number of the model's rays that would be so aligned by chance; None while that is not known."""
    gain: float
    """Its strength divided by the root mean square of its matrix's."""
    strength: float
    z: float | None
    p: float | None
    reading: Reading
    is_letterless: bool
    tokens: tuple[Token, ...]
    """Its first tokens, each scored by its likeness to the query."""
    asked: tuple[Hit, ...]
    """Its tokens that the query asks for, in any spelling."""
    other: RayReadout | None
    """The same ray on the other side of its direction, where that is the residual stream too."""

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

    n_rays: int
    """Rays that passed the filters and were compared."""
    share: float
    """Share of the model's singular directions, or of its neurons, that the bank has."""
    n_controls: int
    """Random rays that were compared with the same query; 0 while they are not there."""
    n_beyond: int
    """Rays with a better theme than every control."""
    n_beyond_by_chance: float
    """How many of as many random rays would have one, too."""
    rank: int
    """Number of nearest rays by theme that `fdr` and `n_aligned` are about."""
    fdr: float | None
    """False discovery rate of these, at most; None while there are no controls."""
    n_aligned: int
    """Number of these with an alignment that fewer than one direction would have by chance."""
    stands_out: bool | None
    """True if they stand out, by theme or by alignment; None where it is not known."""
    is_of_nearest: bool = False
    """True if only the rays nearest by theme are ordered by alignment: reading all vectors would take too long."""

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
class SearchPage:
    """The rays of a model that are nearest to words, tokens or other rays."""

    address: Address
    """The model's address."""
    model: Model
    view: View
    inquiry: Inquiry
    terms: tuple[AskedTerm, ...] = ()
    found: tuple[FoundRay, ...] = ()
    """Rays on this page, the best first."""
    n_found: int = 0
    """Rays on all pages."""
    n_pages: int = 1
    strip: tuple[StripRow, ...] = ()
    """Counts over layers of all rays found, on all pages."""
    searched: Searched | None = None
    """None where nothing was searched."""
    problem: str = ""
    """Why nothing was searched, where the visitor can mend it; empty for an empty query, too."""
    is_cut: bool = False
    """True if only the first tokens are searched for, since there are too many."""
    unbuilt: Unbuilt | None = None
    """The missing bank, without which this model cannot be searched; None where it is there."""
    place: Address | None = None
    """The place that the text names, too, if it names one."""
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Values of the filters: kinds of matrices, sides."""
    bases: tuple[SearchBasis, ...] = ("svd",)
    """Bases that this model is searched in: the largest models' neurons are not searched."""
    suggested: tuple[str, ...] = ()
    """Searches to begin with."""
    n_neurons: int = 0
    """Ends of single neurons that stand out for the query, where directions are searched without filters."""

    @property
    def is_whole(self) -> bool:
        """True if all of the model was searched, and compared with random directions."""
        return self.searched is not None and self.searched.share == 1 and self.searched.n_controls > 0


@dataclass(frozen=True, slots=True)
class EveryPage:
    """The same search in every model of a server, each in its own weights."""

    q: str
    pages: tuple[SearchPage, ...]
    missing: tuple[tuple[str, str], ...]
    """Models that are not here yet, and why."""


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
