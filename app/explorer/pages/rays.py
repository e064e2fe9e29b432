"""A ray on a page: its tokens, hits, and how readable it is beside random ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import PlainSerializer
from typing_extensions import TypedDict

from app.core.address import Address, Sign
from app.core.judging.discovery import is_found
from app.core.judging.rays import HEADLINE, RayClass, Reading, is_significant
from app.explorer.serial import UNREAD, SignWord


class Token(NamedTuple):
    """One entry of a readout: a chip. A named tuple because a head's page has a thousand of them."""

    id: int
    text: str
    """The decoded token, hostile characters and all."""
    shown: str
    """The text made visible: `·` for a leading space, `↵`, `→`, escapes; never longer than 40 characters."""
    kind: str
    """`text`, `special` or `byte`."""
    score: float
    """Dot product of the token's vector with the direction, or their cosine; negative on the minus ray."""
    place: Address | None = None
    """The page that it leads to, if it is no token but a neuron or a head's direction."""


class TokenJson(TypedDict):
    """One token of a readout."""

    id: int
    token: str
    """The decoded text of the token; for an entry that is no token its name, such as `neuron 12` or `L5H3 OV 12+`."""
    score: float
    """Dot product of the token's vector with the direction, or their cosine, as `readout` says; on a side of own
    entries, such as `neuron`, the entry."""


def write_tokens(tokens: Sequence[Token]) -> list[TokenJson]:
    """Write tokens with their scores, all in one call: a head's page has a thousand of them."""
    return [{"id": id_, "token": text, "score": score} for id_, text, _, _, score, _ in tokens]


Tokens = Annotated[tuple[Token, ...], UNREAD, PlainSerializer(write_tokens, return_type=list[TokenJson])]

TermKind = Literal["word", "phrase", "token", "ray"]
"""The kind of a search term."""


class Hit(NamedTuple):
    """A token that contains the text that a visitor looks for."""

    ray: Sign
    place: int
    """Place along its ray, from 1; possibly behind the tokens that a table shows."""
    token: Token
    is_whole: bool
    """True if it equals the text but for capitals and white space around it."""


class HitJson(TokenJson):
    """A token that contains the text that was looked for."""

    ray: SignWord
    place: int
    """Place along its ray, from 1, out of the 50 tokens that are kept; possibly behind the tokens that are listed."""
    whole: bool
    """True if it equals the text but for capitals and white space around it."""


def _write_hits(hits: tuple[Hit, ...]) -> list[HitJson]:
    return [
        {"ray": one.ray, "place": one.place, **write_tokens((one.token,))[0], "whole": one.is_whole} for one in hits
    ]


Hits = Annotated[tuple[Hit, ...], UNREAD, PlainSerializer(_write_hits, return_type=list[HitJson])]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One ray beside random ones: how alike its top tokens are in the model's space, and in spelling.

    Numbers are None where it has too few trained tokens, or too few forms: words, each once, whatever case and space.
    """

    coherence: tuple[float | None, ...]
    """Coherence of its first 10, 20 and 50 trained tokens; z and p have the same three."""
    z: tuple[float | None, ...]
    p: tuple[float | None, ...]
    """Share of random rays that are as coherent; what the page for people shows is the last one."""
    q: float | None
    """The false discovery rate of the list that ends at this ray, most coherent first, of all of the matrix's rays on
    this side. None, too, on a layer's page until the matrix is computed."""
    spelling_z: float | None
    spelling_p: float | None
    rotation_p: float | None = None
    """p among the rays of random rotations of the same span; None unless `rotated` was asked for."""
    forms_z: float | None = None
    """z of its forms instead of its tokens; None where it has fewer than 10."""
    forms_p: float | None = None
    beyond_z: float | None = None
    """z of the forms that share neither their first nor their last three letters with one before them; None where
    these are fewer than 5."""
    beyond_p: float | None = None
    beyond_share: float | None = None
    """Coherence of these forms as a share of that of all its forms, both minus the mean of random rays. None where its
    forms are not shown to be alike."""
    n_forms: int = 0
    """Number of forms among its 50 kept tokens."""
    letterless: bool = False
    """True if most of its first 10 trained tokens, or of all kept ones, have no letter."""
    reading: Reading = "unknown"
    """The reading of the ray that follows from these numbers."""

    @property
    def is_readable(self) -> bool:
        """True if its tokens are more alike than by chance, at p < .01."""
        return is_significant(self.p[HEADLINE])

    @property
    def is_found(self) -> bool:
        """True if it is found at a false discovery rate of 10%."""
        return is_found(self.q)

    @property
    def stands_out(self) -> bool:
        """True if it is readable by itself and found among all rays of its list."""
        return self.is_readable and self.is_found

    @property
    def is_spelling(self) -> bool:
        """True if its forms are alike in spelling, at p < .01; `reading` says if it is readable by that alone."""
        return is_significant(self.spelling_p)


@dataclass(frozen=True, slots=True)
class Rays:
    """The judgements of both rays of a direction on one side."""

    plus: Judgement
    minus: Judgement | None = None
    """None where the basis has one ray a term; so are `kind` and `difference_p`."""
    kind: RayClass | None = None
    difference_p: float | None = None
    """Share of random directions whose two rays differ as much in coherence."""


Classes = Annotated[tuple[tuple[RayClass, int], ...], PlainSerializer(dict, return_type=dict[str, int])]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How readable all rays of one side of a matrix are."""

    side: str
    n_rays: int
    n_unknown: int
    """Further rays, with too few trained tokens to be judged."""
    n_readable: int
    """Rays at p < .01: about 1 in 100 of random ones."""
    n_found: int
    """Rays at a false discovery rate of 10%."""
    n_spelling: int
    """Readable rays whose reading is `spelling`."""
    classes: Classes
    """Number of directions of each class; empty where the basis has one ray a term."""
    n_better: int | None = None
    """Rays better than 95% of those of random rotations of the same span; None unless `rotated` was asked for."""
    n_theme: int = 0
    """Readable rays whose reading is a theme."""
    n_one_word: int = 0
    """Readable rays whose reading is one word."""
    n_partly: int = 0
    """Readable rays whose reading is partly spelling."""
    n_letterless: int = 0
    """Readable rays without letters: each readable ray is in one of these counts, or has another reading."""


Words = Sequence[Sequence[Token]]
"""Words of an end, each with its tokens, which differ in case and white space only."""


class NamedToken(NamedTuple):
    """A token that a visitor names, or may name; without a score."""

    id: int
    text: str
    shown: str
    kind: str
    spelling: str
    """Its name in a link: its text, or `#1234` where the text cannot name it."""
    typed: str
    """Its name in a text box, spaces visible: its shown form, or its spelling where that names another."""


class NamedTokenJson(TypedDict):
    """A token that is named, or may be."""

    id: int
    token: str
    """The decoded text of the token."""
    spelling: str
    """Its name in `token` and `text`: its text, or `#1234` where the text cannot name it."""


def write_named(token: NamedToken) -> NamedTokenJson:
    """Write a token with its name in a query."""
    return {"id": token.id, "token": token.text, "spelling": token.spelling}


NamedTokenValue = Annotated[NamedToken, UNREAD, PlainSerializer(write_named, return_type=NamedTokenJson)]
