"""The front page, a model's page with the map of its heads, and a layer's page."""

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
"""Heads in the short list beside a map."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model on the front page."""

    slug: str
    state: Literal["imported", "importing", "failed"]
    model: Model | None
    """None until it is imported."""
    message: str
    """Progress or failure in a sentence; when imported, how much is precomputed, if anything."""
    done: int
    total: int
    job: str | None = None
    """The job that imports it, or failed to."""


@dataclass(frozen=True, slots=True)
class HomePage:
    """The models of this server, and the gallery of one of them."""

    models: tuple[ModelEntry, ...]
    gallery: "NotablePage | None" = None
    """Gallery of the first model that has readable examples; None while none has."""

    @property
    def is_growing(self) -> bool:
        """True while a model is being imported."""
        return any(entry.state == "importing" for entry in self.models)

    @property
    def first(self) -> Model | None:
        """The first imported model."""
        return next((entry.model for entry in self.models if entry.model), None)


@dataclass(frozen=True, slots=True)
class Cell:
    """One head on the map."""

    address: Address
    value: float
    rank: int
    """1 for the largest value; heads of the same value share a rank."""
    is_kept: bool
    """True if both matrices are in the store: the head's page opens at once."""
    written: tuple[tuple[Token, ...], tuple[Token, ...]] = ((), ())
    """First tokens written by its strongest OV direction, at the + and - end; empty until its layer was computed."""


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """A matrix that belongs to no head."""

    address: Address
    is_kept: bool
    """True if its singular directions are in the store: its page opens at once."""


@dataclass(frozen=True, slots=True)
class HeadMap:
    """The map of layers x heads, coloured by one score."""

    score: str
    """One of `scores`: `copying`, or a circuit and a key of core.scores.SCORES, such as `ov-stable-rank`."""
    scores: tuple[str, ...]
    """The keys to choose from."""
    rows: tuple[tuple[Cell, ...], ...]
    """One row a layer, first layer first."""
    mlps: tuple[tuple[MatrixCell, ...], ...]
    """The matrices of each layer's MLP; none for a mixture of experts."""
    low: float
    high: float
    """Smallest and largest value on the map."""

    @property
    def n_kept(self) -> int:
        """Number of heads that open at once."""
        return sum(cell.is_kept for row in self.rows for cell in row)

    @property
    def is_whole(self) -> bool:
        """True if every cell opens at once."""
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
    """Matrices that belong to no layer."""
    gallery: NotablePage | None
    """None until a layer has been read: then it is loaded as a fragment."""
    is_filling: bool
    """True while a job computes its heads: soon more of them open at once."""
    ranked: Ranked = "first"
    """Whether the list beside the map names the first heads or all."""
    is_only: bool = False
    """True if it is the server's only model, and so its front page."""

    @property
    def listed(self) -> list[Cell]:
        """The heads of the list beside the map."""
        return self.map.ranked[: None if self.ranked == "all" else N_RANKED]


@dataclass(frozen=True, slots=True)
class HeadSummary:
    """The summary of one circuit of one head, for the layer's small multiples."""

    address: Address
    """The matrix's address."""
    singular_values: tuple[float, ...]
    scores: tuple[tuple[str, float], ...]
    """(key of SCORES, value); OV has `copying` first."""
    strongest: tuple[Direction, ...]
    """The first three directions; fewer where the rank is lower."""


@dataclass(frozen=True, slots=True)
class LayerPage:
    """A layer: the summaries of its heads."""

    address: Address
    model: Model
    view: View
    heads: tuple[tuple[HeadSummary, HeadSummary], ...]
    """(OV, QK) of each head."""
    matrices: tuple[Address, ...]
    """The matrices of its MLP."""
    previous: Address | None
    next: Address | None

    @property
    def judged(self) -> tuple[Judgement, ...]:
        """Judgements of the shown + rays that have a q."""
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
        """True if all shown rays with a p have a q, too."""
        return all(
            side.rays is None or side.rays.plus.q is not None or side.rays.plus.p[HEADLINE] is None
            for pair in self.heads
            for summary in pair
            for direction in summary.strongest
            for side in (direction.left, direction.right)
        )
