"""The readable rays of a model, as a gallery lists them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from app.core.address import Address
from app.core.judging.discovery import FDR
from app.core.judging.rays import RayClass, Reading, is_significant
from app.explorer.header import Model
from app.explorer.pages.directions import RayReadout, Turn
from app.explorer.view import View

GalleryList = Literal["themes", "letterless", "frequent", "untrained"]

GALLERY_LISTS: tuple[GalleryList, ...] = get_args(GalleryList)
"""The lists of a gallery."""

N_EXAMPLES = 3
"""Directions on the front page."""

N_FIRST = 16
"""Of a gallery, on a model's page."""


class Also(NamedTuple):
    """A ray by its name."""

    address: Address
    """Of its direction."""
    ray: Literal["p", "n"]
    side: str


@dataclass(frozen=True, slots=True)
class Sought:
    """What of a gallery is asked for; empty: any."""

    among: GalleryList = "themes"
    kind: str = ""
    side: str = ""
    layer: str = ""
    """A number, or `ends` for the model's own matrices."""
    page: int = 1


UNSOUGHT = Sought()


@dataclass(frozen=True, slots=True)
class Notable:
    """A ray of the gallery. Its numbers are None where it has too few trained tokens to tell."""

    address: Address
    """Of its direction."""
    ray: Literal["p", "n"]
    side: str
    """On which it was judged: read, write, query or key."""
    readouts: tuple[RayReadout, ...]
    """Of this ray on that side, and on the other where that is the residual stream too."""
    singular_value: float
    energy_share: float
    coherence: float | None
    z: float | None
    p: float | None
    q: float | None
    """The false discovery rate of the list, of all rays that were looked at, that ends at this one."""
    spelling_z: float | None
    spelling_p: float | None
    kind: RayClass
    turn: Turn | None
    """Of the direction, in a quantised copy; None of other weights, and where it is not known."""
    forms_z: float | None = None
    """Of its forms in the place of its tokens."""
    forms_p: float | None = None
    beyond_z: float | None = None
    """Of those forms that neither begin nor end, with three letters, as one before them."""
    beyond_p: float | None = None
    letterless: bool = False
    """Most of its first 10 trained tokens, or of all that are kept, have no letter."""
    reading: Reading = "unknown"
    """What all that makes of the ray."""
    own_q: float | None = None
    """As `q`, of the list of all rays of that side of its matrix; None until the matrix is computed."""
    also: tuple[Also, ...] = ()
    """Rays that say the same, and are not shown by themselves."""

    @property
    def others(self) -> tuple[Also, ...]:
        """Of them those that are no other side of this very ray, each ray once."""
        once = {one[:2]: one for one in reversed(self.also) if one[:2] != (self.address, self.ray)}
        return tuple(reversed(once.values()))

    @property
    def sides(self) -> set[str]:
        """Those on which this ray is one of the list."""
        return {self.side} | {one.side for one in self.also if one[:2] == (self.address, self.ray)}

    @property
    def stands_out(self) -> bool:
        """As on its direction's page: at p < .01, and among all of its side of its matrix, at a false discovery rate of 10%.

        False until the matrix is computed, too.
        """
        return is_significant(self.p) and self.own_q is not None and self.own_q < FDR

    @property
    def is_spelling(self) -> bool:
        """Its forms are alike in spelling too, at p < .01: whether it is readable by that alone, `reading` says."""
        return is_significant(self.spelling_p)


class ListCount(NamedTuple):
    """How long a list of a gallery is."""

    among: GalleryList
    n_shown: int
    """On all its pages."""
    n_rays: int
    """Behind them, a ray once a side."""
    n_ends: int
    """The same, each ray once."""


@dataclass(frozen=True, slots=True)
class NotablePage:
    """The gallery of a model: its readable rays, out of the strongest directions of every matrix.

    Of the list that is asked for one page, of the others the first few; rays that say the same are shown once.
    """

    address: Address
    """Of the model."""
    model: Model
    view: View
    rays: tuple[Notable, ...]
    """Those of words: first those that are alike beyond spelling, by `beyond_z`; then the others, by z."""
    letterless: tuple[Notable, ...]
    """As readable, but most of their first tokens have no letter: quotes, brackets, white space."""
    frequency: tuple[Notable, ...]
    """As readable, but mostly of frequent or very short tokens: set apart."""
    glitches: tuple[Notable, ...]
    """Mostly of tokens that were never trained, the strongest first."""
    n_layers: int
    """Layers that were read so far."""
    is_whole: bool
    """All layers were, and the model's ends."""
    is_judged: bool
    """False where the vocabulary is too small for a control: then there are no rays."""
    n_rays: int
    """That were looked at so far and could be judged; a ray counts once a side."""
    n_readable: int
    """Of them at p < .01."""
    n_found: int
    """At a false discovery rate of 10%."""
    failure: str = ""
    """Why something that is missing could not be computed; empty where it only takes its time."""
    sought: Sought = UNSOUGHT
    n_pages: int = 1
    """Of the list that is asked for."""
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What may be sought: kinds of matrices, sides, layers."""
    counts: tuple[ListCount, ...] = ()
    """Of each list, of what is sought."""

    @property
    def first(self) -> tuple[Notable, ...]:
        """Those on the model's page."""
        return self.rays[:N_FIRST]

    @property
    def examples(self) -> tuple[Notable, ...]:
        """Three of the first, the largest z first, that a newcomer can read: what heads of different layers write, themes,
        determined. Once all are read and fewer are so, others, too, those that lack least of it."""
        chosen: list[Notable] = []
        for is_wanted in EXAMPLES if self.is_whole else EXAMPLES[:1]:
            for one in sorted(self.first, key=lambda ray: -(ray.z or 0)):
                if one not in chosen and is_wanted(one, chosen):
                    chosen.append(one)
        return tuple(chosen[:N_EXAMPLES])


def _is_plain(one: Notable) -> bool:
    """What a head writes, a theme, determined."""
    is_theme = one.reading in {"theme", "partly spelling"} and (one.turn is None or one.turn.is_determined)
    return is_theme and one.address.circuit == "ov" and one.side == "write"


EXAMPLES: tuple[Callable[[Notable, Sequence[Notable]], bool], ...] = (
    lambda one, before: _is_plain(one) and one.address.layer not in {other.address.layer for other in before},
    lambda one, before: _is_plain(one) and one.address.parent not in {other.address.parent for other in before},
    lambda one, before: one.reading == "theme" and one.address.matrix not in {other.address.matrix for other in before},
    lambda one, before: True,
)
"""What is asked of the rays on the front page, given those that stand there already, and what of the others where these
are too few."""
