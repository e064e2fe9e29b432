"""What is searched for, how it was understood, and what was found."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.core.address import Address, Kind, Ray, Sign
from app.core.judging.rays import Reading, is_significant
from app.explorer.header import Model
from app.explorer.pages.directions import RayReadout
from app.explorer.pages.rays import Hit, NamedToken, TermKind, Token
from app.explorer.view import View

SearchOrder = Literal["theme", "alignment"]
"""By how alike a ray's tokens are to the words, or by the product of its vector with theirs."""

SearchBasis = Literal["svd", "neuron"]
"""What is searched: singular directions, or the neurons of MLPs."""

Evidence = Literal["clear", "weak", "chance"]
"""What an alignment says: fewer than .01 as good are expected by chance, fewer than 1, or more."""

CLEAR, WEAK = 0.01, 1.0
"""Bounds of that, in numbers expected by chance."""

MOST_FALSE = 0.5
"""Where more of what is nearest may be chance, it does not stand out."""

USED = 0.5
"""The least gain of directions that are used as much as others."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is searched for, among which rays, and in which order; empty: any."""

    q: str = ""
    order: SearchOrder = "theme"
    basis: SearchBasis = "svd"
    side: str = ""
    kind: str = ""
    layers: str = ""
    """One of them, `20-29`, or `ends` for the model's own matrices."""
    readable: bool = False
    used: bool = False
    """Only directions whose gain is at least half an average one's."""
    page: int = 1


class Offer(NamedTuple):
    """Another spelling of a word: what to ask for in its place."""

    q: str
    token: NamedToken


@dataclass(frozen=True, slots=True)
class AskedTerm:
    """One term of a search, as it was understood."""

    text: str
    kind: TermKind
    is_minus: bool
    tokens: tuple[NamedToken, ...]
    """Whose vectors stand for it; of a ray those that it is searched with by theme."""
    left_out: tuple[NamedToken, ...] = ()
    """Punctuation and the most frequent tokens of a phrase."""
    untrained: tuple[NamedToken, ...] = ()
    """Of its tokens those that have no vector, since training never moved them."""
    variants: tuple[Offer, ...] = ()
    ray: Ray | None = None

    @property
    def is_cut(self) -> bool:
        """It is a word that is no single token."""
        return self.kind == "word" and len(self.tokens) + len(self.left_out) > 1


@dataclass(frozen=True, slots=True)
class FoundRay:
    """A ray that a search found."""

    address: Address
    """Of its direction."""
    ray: Sign
    side: str
    """Whose tokens and vector were compared: read, write, query or key."""
    theme: float
    """Mean likeness of its first tokens and what was asked for."""
    alignment: float | None
    """Product of its vector with that of what was asked for; None where that has no vector at this end of the model."""
    expected: float | None
    """Rays of the model that would be so aligned with any vector; None as well while that is not known."""
    gain: float
    """Its strength in root mean squares of its matrix's."""
    strength: float
    z: float | None
    p: float | None
    reading: Reading
    is_letterless: bool
    tokens: tuple[Token, ...]
    """Each with its likeness to what was asked for."""
    asked: tuple[Hit, ...]
    """Of its tokens those that were asked for, in any spelling."""
    other: RayReadout | None
    """The same ray on the other side of its direction, where that is the residual stream too."""

    @property
    def evidence(self) -> Evidence | None:
        """In a word what its alignment says; None where that is not known."""
        if self.expected is None:
            return None
        return "clear" if self.expected < CLEAR else "weak" if self.expected < WEAK else "chance"

    @property
    def is_readable(self) -> bool:
        """Its tokens are more alike than chance has it."""
        return is_significant(self.p)

    @property
    def is_faint(self) -> bool:
        """Its matrix hardly uses it."""
        return self.gain < USED


class StripRow(NamedTuple):
    """Where in depth the nearest rays of one kind of matrix are."""

    kind: Kind
    counts: tuple[int, ...]
    """Of each layer; of the model's own matrices one number."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search went through, and what of it chance alone would bring."""

    n_rays: int
    """That passed the filters and were compared."""
    share: float
    """Of the model's singular directions, or of its neurons, those that have been read."""
    n_controls: int
    """Rays of random directions that were asked the same; 0 while they are not there."""
    n_beyond: int
    """Rays with a better theme than every control."""
    rank: int
    """Up to which ray of the order by theme the next is meant."""
    fdr: float | None
    """The share of these that chance may have brought, at most; None while there are no controls."""
    n_aligned: int
    """Of these, those that are aligned with the words as fewer than one direction would be by chance."""
    stands_out: bool | None
    """Some of them do, by theme or by alignment; None where it is not known."""
    is_of_nearest: bool = False
    """Only those nearest by theme are ordered by alignment: it would take too long to read all vectors."""

    @property
    def is_theme(self) -> bool:
        """Of these most are not what chance would bring: by theme they stand out."""
        return self.fdr is not None and self.fdr <= MOST_FALSE


class Unbuilt(NamedTuple):
    """What a page rests on and only precomputing builds, where it is not here."""

    why: str
    """In a sentence, with the command."""
    command: str
    """What to type into a terminal to have it built."""
    job: str | None
    """One that computes matrices of the model, or waits to: it may be building it."""


@dataclass(frozen=True, slots=True)
class SearchPage:
    """The rays of a model that are nearest to words, tokens or other rays."""

    address: Address
    """Of the model."""
    model: Model
    view: View
    inquiry: Inquiry
    terms: tuple[AskedTerm, ...] = ()
    found: tuple[FoundRay, ...] = ()
    """On this page, the best first."""
    n_found: int = 0
    """On all pages."""
    n_pages: int = 1
    strip: tuple[StripRow, ...] = ()
    """Of all that was found, on whichever page."""
    searched: Searched | None = None
    """None where nothing was."""
    problem: str = ""
    """Why not, where the visitor can do something about it; empty where nothing was asked for, too."""
    is_cut: bool = False
    """Only the first tokens are searched for, since there are too many."""
    unbuilt: Unbuilt | None = None
    """What this model cannot be searched without, where that is not here."""
    place: Address | None = None
    """What the text names besides, if it is the name of a place."""
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What may be chosen: kinds of matrices, sides."""
    bases: tuple[SearchBasis, ...] = ("svd",)
    """What is searched of this model: neurons of the largest are not."""
    suggested: tuple[str, ...] = ()
    """Searches to begin with."""
    n_neurons: int = 0
    """Ends of single neurons that stand out for the words, where directions are searched without filters."""

    @property
    def is_whole(self) -> bool:
        """All of the model was searched, and held against chance."""
        return self.searched is not None and self.searched.share == 1 and self.searched.n_controls > 0


@dataclass(frozen=True, slots=True)
class EveryPage:
    """The same search in every model of a server, apart: each in its own weights."""

    q: str
    pages: tuple[SearchPage, ...]
    missing: tuple[tuple[str, str], ...]
    """Models that are not here yet, and why."""


class Suggestion(NamedTuple):
    """Where a text may lead."""

    address: Address
    under: str
    """A page of that place that no address is; empty for the place itself."""
    about: str = ""
    ray: str = ""
    """p or n, the anchor."""
    weights: str = ""
    """Those that were named with it."""
    shown: str = ""
    """What it is called, where that is a token."""


@dataclass(frozen=True, slots=True)
class SuggestPage:
    """Where what someone types may lead."""

    address: Address
    """Of the model."""
    model: Model
    view: View
    text: str
    shown: str
    """The same, made visible."""
    taken: Suggestion | None
    """Where the text itself leads; None: to the search."""
    places: tuple[Suggestion, ...]
