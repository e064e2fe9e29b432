"""The page of a gallery: the readable rays of a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from app.core.address import Address, Sign
from app.core.judging.discovery import is_found
from app.core.judging.rays import RayClass, Reading, is_significant
from app.explorer.header import Model
from app.explorer.pages.directions import RayReadout, Turn
from app.explorer.pages.shared import Labelled, LinkedToItself, OfWeights
from app.explorer.serial import AddressText, ForPeople, SignWord
from app.explorer.view import StreamSide, View

GalleryList = Literal["themes", "letterless", "frequent", "untrained"]

GALLERY_LISTS: tuple[GalleryList, ...] = get_args(GalleryList)
"""The lists of a gallery."""

N_EXAMPLES = 3
"""Directions on the front page."""

N_FIRST = 16
"""Rays of a gallery on a model's page."""


@dataclass(frozen=True, slots=True)
class Also(Labelled):
    """The name of a ray: its direction, sign and side."""

    address: AddressText
    """The direction's address."""
    ray: SignWord
    side: StreamSide

    @property
    def end(self) -> tuple[Address, Sign]:
        """The ray, whatever side it was judged on."""
        return self.address, self.ray


@dataclass(frozen=True, slots=True)
class Sought:
    """The filters of a gallery; empty: any."""

    among: GalleryList = "themes"
    kind: str = ""
    side: str = ""
    layer: str = ""
    """A number, or `ends` for the model's own matrices."""
    page: int = 1


UNSOUGHT = Sought()


@dataclass(frozen=True, slots=True)
class Notable(Labelled):
    """A ray of the gallery. Its numbers are None where it has too few trained tokens to tell."""

    address: AddressText
    """The direction's address."""
    ray: SignWord
    side: StreamSide
    """The side on which it was judged: read, write, query or key."""
    readouts: tuple[RayReadout, ...]
    """Readouts of this ray on that side, and on the other where that is the residual stream, too."""
    singular_value: float
    energy_share: float
    coherence: float | None
    z: float | None
    p: float | None
    q: float | None
    """The false discovery rate of the list of all examined rays that ends at this one; a ray counts once a side."""
    spelling_z: float | None
    spelling_p: float | None
    kind: RayClass
    turn: Turn | None
    """Rotation of the direction by another rounding, for a quantised copy; None for other weights, or if not known."""
    forms_z: float | None = None
    """z of its forms instead of its tokens."""
    forms_p: float | None = None
    beyond_z: float | None = None
    """z of the forms that share neither their first nor their last three letters with one before them."""
    beyond_p: float | None = None
    letterless: bool = False
    """True if most of its first 10 trained tokens, or of all kept ones, have no letter."""
    reading: Reading = "unknown"
    """The reading of the ray that follows from these numbers."""
    own_q: float | None = None
    """The false discovery rate among all rays of that side of its matrix: with p < .01 it decides whether the ray stands
    out. None until the matrix is computed."""
    also: tuple[Also, ...] = ()
    """Rays that say the same and are not shown by themselves: the same ray on its other side, and those that share three
    of their ten first words with it."""

    @property
    def others(self) -> tuple[Also, ...]:
        """Other rays that say the same, each once; without this ray's own other side."""
        once = {one.end: one for one in reversed(self.also) if one.end != (self.address, self.ray)}
        return tuple(reversed(once.values()))

    @property
    def sides(self) -> set[str]:
        """Sides on which this ray is in the list."""
        return {self.side} | {one.side for one in self.also if one.end == (self.address, self.ray)}

    @property
    def stands_out(self) -> bool:
        """True if it is readable at p < .01, and found among its side of its matrix at a false discovery rate of 10%.

        False until the matrix is computed, too.
        """
        return is_significant(self.p) and is_found(self.own_q)

    @property
    def is_spelling(self) -> bool:
        """True if its forms are alike in spelling, too, at p < .01; `reading` says if it is readable by that alone."""
        return is_significant(self.spelling_p)


@dataclass(frozen=True, slots=True)
class ListCount:
    """The length of a list of a gallery."""

    among: GalleryList
    n_shown: int
    """Rays shown on all its pages."""
    n_rays: int
    """Rays with those that say the same; a ray counts once a side."""
    n_ends: int
    """Rays with those that say the same, each once."""


@dataclass(frozen=True, slots=True)
class NotablePage(LinkedToItself, OfWeights):
    """The gallery of a model: its readable rays, out of the strongest directions of every matrix.

    It holds one page of the list that is asked for and the first rays of the others; rays that say the same are shown
    once.
    """

    address: ForPeople[Address]
    """The model's address."""
    model: ForPeople[Model]
    view: ForPeople[View]
    rays: tuple[Notable, ...]
    """Themes of words: first those alike beyond spelling, by `beyond_z`; then the others, by z."""
    letterless: tuple[Notable, ...]
    """Readable rays most of whose first tokens have no letter: quotes, brackets, white space."""
    frequency: tuple[Notable, ...]
    """Readable rays of mostly frequent or very short tokens."""
    glitches: tuple[Notable, ...]
    """Rays of mostly untrained tokens, the strongest first."""
    layers: int
    """Layers read so far."""
    whole: bool
    """True if all layers and the model's ends were read."""
    judged: bool
    """False where the vocabulary is too small for a control: then there are no rays."""
    n_rays: int
    """Rays judged so far; a ray counts once a side."""
    n_readable: int
    """Judged rays at p < .01."""
    n_found: int
    """Judged rays at a false discovery rate of 10%."""
    failure: str = ""
    """Why a missing part could not be computed; empty while it is only being waited for."""
    sought: Sought = UNSOUGHT
    n_pages: int = 1
    """Pages of the list that is asked for."""
    choices: ForPeople[tuple[tuple[str, tuple[str, ...]], ...]] = ()
    """Values of the filters: kinds of matrices, sides, layers."""
    lists: tuple[ListCount, ...] = ()
    """Length of each list under the filters."""

    @property
    def first(self) -> tuple[Notable, ...]:
        """Rays on the model's page."""
        return self.rays[:N_FIRST]

    @property
    def examples(self) -> tuple[Notable, ...]:
        """Three of the first rays for a newcomer, the largest z first: determined themes of different layers' OV.

        Once all layers are read and there are fewer, the requirements are loosened in the order of EXAMPLES.
        """
        chosen: list[Notable] = []
        for is_wanted in EXAMPLES if self.whole else EXAMPLES[:1]:
            for one in sorted(self.first, key=lambda ray: -(ray.z or 0)):
                if one not in chosen and is_wanted(one, chosen):
                    chosen.append(one)
        return tuple(chosen[:N_EXAMPLES])


def _is_plain(one: Notable) -> bool:
    """True for a determined theme that a head writes."""
    is_theme = one.reading in {"theme", "partly spelling"} and (one.turn is None or one.turn.determined)
    return is_theme and one.address.circuit == "ov" and one.side == "write"


EXAMPLES: tuple[Callable[[Notable, Sequence[Notable]], bool], ...] = (
    lambda one, before: _is_plain(one) and one.address.layer not in {other.address.layer for other in before},
    lambda one, before: _is_plain(one) and one.address.parent not in {other.address.parent for other in before},
    lambda one, before: one.reading == "theme" and one.address.matrix not in {other.address.matrix for other in before},
    lambda one, before: True,
)
"""Requirements on a ray for the front page, given those chosen before; the later, looser ones fill up the list."""
