"""The front page, a model's page with the map of its heads, and a layer's."""

from dataclasses import dataclass
from typing import Literal

from app.core.address import Address
from app.core.judging.rays import HEADLINE
from app.explorer.header import Model
from app.explorer.pages.directions import Direction
from app.explorer.pages.gallery import NotablePage
from app.explorer.pages.rays import Judgement, Token
from app.explorer.view import View

Ranked = Literal["first", "all"]

N_RANKED = 20
"""Heads in the list beside a map, if not all."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A line of the front page."""

    slug: str
    state: Literal["imported", "importing", "failed"]
    model: Model | None
    """None until it is imported."""
    message: str
    """Progress or failure in a sentence; when imported, how much is precomputed, if anything."""
    done: int
    total: int
    job: str | None = None
    """The job that brings it, or was to."""


@dataclass(frozen=True, slots=True)
class HomePage:
    """The models of this server, and what one of them reads and writes."""

    models: tuple[ModelEntry, ...]
    gallery: "NotablePage | None" = None
    """Of the first model that has some of it; None while none has."""

    @property
    def is_growing(self) -> bool:
        """A model of it is on its way."""
        return any(entry.state == "importing" for entry in self.models)

    @property
    def first(self) -> Model | None:
        """The model that is here and stands first."""
        return next((entry.model for entry in self.models if entry.model), None)


@dataclass(frozen=True, slots=True)
class Cell:
    """One head on the map."""

    address: Address
    value: float
    rank: int
    """1 for the largest of all; heads of the same value share one."""
    is_kept: bool
    """Both matrices were computed before: the head's page opens at once."""
    written: tuple[tuple[Token, ...], tuple[Token, ...]] = ((), ())
    """First tokens that its strongest OV direction writes, at the + end and at the - end; none until its layer was read."""


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """A matrix that is no head's."""

    address: Address
    is_kept: bool
    """Its singular directions were computed before: its page opens at once."""


@dataclass(frozen=True, slots=True)
class HeadMap:
    """Layers x heads, coloured by one score."""

    score: str
    """One of `scores`: `copying`, or a circuit and a key of core.scores.SCORES, such as `ov-stable-rank`."""
    scores: tuple[str, ...]
    """The keys to choose from."""
    rows: tuple[tuple[Cell, ...], ...]
    """One row a layer, first layer first."""
    mlps: tuple[tuple[MatrixCell, ...], ...]
    """The matrices of each layer's MLP; none where it is no dense one."""
    low: float
    high: float
    """Smallest and largest value on the map."""

    @property
    def n_kept(self) -> int:
        """Heads that open at once."""
        return sum(cell.is_kept for row in self.rows for cell in row)

    @property
    def is_whole(self) -> bool:
        """Every cell opens at once."""
        return self.n_kept == sum(map(len, self.rows)) and all(place.is_kept for row in self.mlps for place in row)

    @property
    def ranked(self) -> list[Cell]:
        """All heads, the largest value first."""
        return sorted((cell for row in self.rows for cell in row), key=lambda cell: cell.rank)


@dataclass(frozen=True, slots=True)
class ModelPage:
    """A model: its facts and the map of its heads."""

    address: Address
    model: Model
    view: View
    map: HeadMap
    matrices: tuple[MatrixCell, ...]
    """Those that belong to no layer."""
    gallery: NotablePage | None
    """None until a layer has been read: then it follows as a fragment."""
    is_filling: bool
    """A job is computing heads of it: soon more of them open at once."""
    ranked: Ranked = "first"
    """How many heads the list beside the map names."""
    is_only: bool = False
    """It is the one model of its server, and so its front page."""

    @property
    def listed(self) -> list[Cell]:
        """The heads of that list."""
        return self.map.ranked[: None if self.ranked == "all" else N_RANKED]


@dataclass(frozen=True, slots=True)
class HeadSummary:
    """One circuit of one head in little: for the layer's small multiples."""

    address: Address
    """Of the matrix."""
    singular_values: tuple[float, ...]
    scores: tuple[tuple[str, float], ...]
    """(key of SCORES, value); OV has `copying` first."""
    strongest: tuple[Direction, ...]
    """The first three; fewer where the rank is lower."""


@dataclass(frozen=True, slots=True)
class LayerPage:
    """A layer: its heads in little."""

    address: Address
    model: Model
    view: View
    heads: tuple[tuple[HeadSummary, HeadSummary], ...]
    """(OV, QK) of each head."""
    matrices: tuple[Address, ...]
    """Of its MLP."""
    previous: Address | None
    next: Address | None

    @property
    def judged(self) -> tuple[Judgement, ...]:
        """The + rays that are shown and have a q."""
        shown = (
            side.rays.plus
            for pair in self.heads
            for summary in pair
            for direction in summary.strongest
            for side in (direction.left, direction.right)
            if side.rays
        )
        return tuple(ray for ray in shown if ray.q is not None)

    @property
    def is_whole(self) -> bool:
        """Whether all rays that are shown and have a p have a q."""
        return all(
            side.rays is None or side.rays.plus.q is not None or side.rays.plus.p[HEADLINE] is None
            for pair in self.heads
            for summary in pair
            for direction in summary.strongest
            for side in (direction.left, direction.right)
        )
