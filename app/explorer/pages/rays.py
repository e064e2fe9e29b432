"""What a ray is on a page: tokens, hits, and how readable it is beside random ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.core.address import Address, Sign
from app.core.judging.discovery import FDR
from app.core.judging.rays import HEADLINE, RayClass, Reading, is_significant


class Token(NamedTuple):
    """One entry of a readout: a chip. A named tuple because a head's page has a thousand of them."""

    id: int
    text: str
    """What the token decodes to, hostile characters and all."""
    shown: str
    """The text made visible: `·` for a leading space, `↵`, `→`, escapes; never longer than 40 characters."""
    kind: str
    """`text`, `special` or `byte`."""
    score: float
    """Dot product of the token's vector with the direction, or their cosine; negative on the minus ray."""
    place: Address | None = None
    """Where it leads, if it is no token but a neuron or a head's direction."""


TermKind = Literal["word", "phrase", "token", "ray"]
"""What a term of a search is."""


class Hit(NamedTuple):
    """A token that has the text that a visitor looks for."""

    ray: Sign
    place: int
    """In the order of its ray, from 1; behind those that a table shows, too."""
    token: Token
    is_whole: bool
    """It is the text, but for capitals and white space around it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One ray beside random ones: how alike its top tokens are in the model's space, and in spelling.

    None where it has too few trained tokens to tell, or too few forms: words, each once, whatever case and space.
    """

    coherence: tuple[float | None, ...]
    """Of its first 10, 20 and 50 trained tokens."""
    z: tuple[float | None, ...]
    p: tuple[float | None, ...]
    q: float | None
    """The false discovery rate of the list that ends at this one, most coherent first: of all of the matrix's rays on this
    side. None, too, on a layer's page until the matrix is computed."""
    spelling_z: float | None
    spelling_p: float | None
    rotation_p: float | None = None
    """Among the rays of random rotations of the same span; None unless these were asked for."""
    forms_z: float | None = None
    """Of its forms in the place of its tokens."""
    forms_p: float | None = None
    beyond_z: float | None = None
    """Of those forms that neither begin nor end, with three letters, as one before them."""
    beyond_p: float | None = None
    beyond_share: float | None = None
    """How much alike these are beside all of its forms, each less what random rays are: 1 for as much. None where its forms
    are not shown to be alike."""
    n_forms: int = 0
    """Forms among its kept tokens."""
    letterless: bool = False
    """Most of its first 10 trained tokens, or of all that are kept, have no letter."""
    reading: Reading = "unknown"
    """What all that makes of the ray."""

    @property
    def is_readable(self) -> bool:
        """Its tokens are more alike than chance has it, at p < .01."""
        return is_significant(self.p[HEADLINE])

    @property
    def is_found(self) -> bool:
        """It is among those of its list of which a tenth may be false."""
        return self.q is not None and self.q < FDR

    @property
    def stands_out(self) -> bool:
        """Both: it is more alike than chance has it by itself, and in a list of so many."""
        return self.is_readable and self.is_found

    @property
    def is_spelling(self) -> bool:
        """Its forms are alike in spelling, at p < .01: whether it is readable by that alone, `reading` says."""
        return is_significant(self.spelling_p)


@dataclass(frozen=True, slots=True)
class Rays:
    """The judgements of both rays of a direction on one side."""

    plus: Judgement
    minus: Judgement | None = None
    """None where the basis has one ray a term, as have the others."""
    kind: RayClass | None = None
    difference_p: float | None = None
    """How often the rays of a random direction differ as much."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How readable all rays of one side of a matrix are."""

    side: str
    n_rays: int
    n_unknown: int
    """Rays besides, with too few trained tokens to be judged."""
    n_readable: int
    """At p < .01: about 1 in 100 of random ones."""
    n_found: int
    """At a false discovery rate of 10%."""
    n_spelling: int
    """Of the readable ones those that are so by their spelling alone."""
    classes: tuple[tuple[RayClass, int], ...]
    """Directions of each class; empty where the basis has one ray a term."""
    n_better: int | None = None
    """Rays better than 95% of those of random rotations of the same span; None unless these were asked for."""
    n_theme: int = 0
    """Of the readable ones: a theme; so are the next ones counted, each ray once."""
    n_one_word: int = 0
    n_partly: int = 0
    """Partly spelling."""
    n_letterless: int = 0


Words = Sequence[Sequence[Token]]
"""Words of an end, each with the tokens that are it but for case and white space."""


class NamedToken(NamedTuple):
    """A token that a visitor names, or may name: there is no score yet."""

    id: int
    text: str
    shown: str
    kind: str
    spelling: str
    """What names it in a link: its text, or `#1234` where that cannot."""
    typed: str
    """What names it in a box, spaces visible: its shown form, or its spelling where that names another."""
