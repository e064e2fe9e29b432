"""The front page, a model's page with the map of its heads, and a layer's page."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import PlainSerializer, computed_field

from app.core.address import Address
from app.core.judging.rays import HEADLINE
from app.explorer.header import Model
from app.explorer.pages.directions import Direction
from app.explorer.pages.gallery import Notable, NotablePage
from app.explorer.pages.rays import Judgement, Rays, Token
from app.explorer.pages.shared import JsonLink, Labelled, Linked, OfWeights
from app.explorer.pages.using.statistics import ModelUse
from app.explorer.serial import UNREAD, AddressText, ForPeople, Numbers
from app.explorer.view import Processing, View

Ranked = Literal["first", "all"]

N_RANKED = 20
"""Heads in the short list beside a map."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model on the front page."""

    slug: str
    """The name of the model in links."""
    state: Literal["imported", "importing", "failed"]
    model: Model | None
    """None until it is imported."""
    message: str
    """Progress or failure in a sentence; when imported, how much is precomputed, if anything."""
    done: int
    total: int
    job: ForPeople[str | None] = None
    """The job that imports it, or failed to."""

    @computed_field
    @property
    def json(self) -> JsonLink["ModelEntry"]:
        """The model's page as JSON."""
        return self


@dataclass(frozen=True, slots=True)
class HomePage:
    """The models of this server, and the gallery of one of them."""

    models: tuple[ModelEntry, ...]
    gallery: ForPeople[NotablePage | None] = None
    """Gallery of the first model that has readable examples; None while none has."""

    @computed_field
    @property
    def examples(self) -> tuple[Notable, ...]:
        """Rays of that gallery to begin with; empty while no model has any."""
        return self.gallery.examples if self.gallery else ()

    @property
    def is_growing(self) -> bool:
        """True while a model is being imported."""
        return any(entry.state == "importing" for entry in self.models)

    @property
    def first(self) -> Model | None:
        """The first imported model."""
        return next((entry.model for entry in self.models if entry.model), None)


def _write_texts(tokens: tuple[Token, ...]) -> list[str]:
    return [token.text for token in tokens]


Texts = Annotated[tuple[Token, ...], UNREAD, PlainSerializer(_write_texts, return_type=list[str])]


@dataclass(frozen=True, slots=True)
class Cell:
    """One head on the map."""

    address: AddressText
    value: float
    rank: int
    """1 for the largest value; heads of the same value share a rank."""
    is_kept: ForPeople[bool]
    """True if both matrices are in the store: the head's page opens at once."""
    plus: Texts = ()
    """First tokens that its strongest OV direction writes at the + end; empty until its layer was computed."""
    minus: Texts = ()
    """First tokens of the - end."""


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
    """The score on the map, one of `scores`: `copying`, or a circuit and a score of its matrix, as `ov-stable-rank`."""
    scores: tuple[str, ...]
    """The keys to choose from."""
    rows: tuple[tuple[Cell, ...], ...]
    """One row a layer, first layer first."""
    mlps: ForPeople[tuple[tuple[MatrixCell, ...], ...]]
    """The matrices of each layer's MLP; none for a mixture of experts."""
    low: float
    """Smallest value on the map."""
    high: float
    """Largest value on the map."""

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
class ModelPage(Linked):
    """A model: its facts and the map of its heads."""

    address: AddressText
    model: Model
    view: ForPeople[View]
    map: HeadMap
    matrices: ForPeople[tuple[MatrixCell, ...]]
    """Matrices that belong to no layer."""
    gallery: ForPeople[NotablePage | None]
    """None until a layer has been read: then it is loaded as a fragment."""
    is_filling: ForPeople[bool]
    """True while a job computes its heads: soon more of them open at once."""
    ranked: ForPeople[Ranked] = "first"
    """Whether the list beside the map names the first heads or all."""
    is_only: ForPeople[bool] = False
    """True if it is the server's only model, and so its front page."""
    use: ModelUse | None = None
    """What its heads' directions do on text; null unless it was computed."""

    @computed_field
    @property
    def weights(self) -> Processing:
        """The weight processing."""
        return self.view.weights

    @property
    def listed(self) -> list[Cell]:
        """The heads of the list beside the map."""
        return self.map.ranked[: None if self.ranked == "all" else N_RANKED]


@dataclass(frozen=True, slots=True)
class HeadSummary:
    """The summary of one circuit of one head, for the layer's small multiples."""

    address: AddressText
    """The matrix's address."""
    singular_values: tuple[float, ...]
    scores: Numbers
    """Scores of the matrix; OV has `copying` first."""
    strongest: tuple[Direction, ...]
    """The first three directions; fewer where the rank is lower."""


@dataclass(frozen=True, slots=True)
class HeadPair:
    """The summaries of both circuits of a head."""

    ov: HeadSummary
    qk: HeadSummary


@dataclass(frozen=True, slots=True)
class LayerPage(Labelled, Linked, OfWeights):
    """A layer: the summaries of its heads."""

    address: AddressText
    model: ForPeople[Model]
    view: ForPeople[View]
    heads: tuple[HeadPair, ...]
    matrices: tuple[AddressText, ...]
    """The matrices of its MLP."""
    previous: ForPeople[Address | None]
    next: ForPeople[Address | None]

    @property
    def shown(self) -> tuple[Rays, ...]:
        """The judged sides of all directions that are shown."""
        sides = (
            side
            for pair in self.heads
            for summary in (pair.ov, pair.qk)
            for direction in summary.strongest
            for side in (direction.left, direction.right)
        )
        return tuple(side.rays for side in sides if side.rays)

    @property
    def judged(self) -> tuple[Judgement, ...]:
        """Judgements of the shown + rays that have a q."""
        return tuple(rays.plus for rays in self.shown if rays.plus.q is not None)

    @property
    def is_whole(self) -> bool:
        """True if all shown rays with a p have a q, too."""
        return all(rays.plus.q is not None or rays.plus.p[HEADLINE] is None for rays in self.shown)
