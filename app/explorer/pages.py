"""What the pages show: one frozen value for each kind of page.

The HTML page, the fragment and the JSON answer render the same value. Knows no HTML, no HTTP and no torch.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.core.address import Address
from app.store.jobs import Job

Processing = Literal["folded", "raw"]
PROCESSINGS: tuple[Processing, ...] = ("folded", "raw")
"""`folded`: what the network computes through its norms. `raw`: the weights as stored."""

Sort = Literal["strength", "weakest", "gap", "closest"]
SORTS: tuple[Sort, ...] = ("strength", "weakest", "gap", "closest")
"""Orders of the direction table: singular value falling or rising, gap falling or rising."""


Note = Literal[
    "folded",
    "raw",
    "raw-read",
    "raw-encoder",
    "stream-read",
    "post-norm",
    "raw-post-norm",
    "tied",
    "untied",
    "no-unembedding",
    "sinks",
    "qk-no-write",
    "qk-norm",
    "raw-qk-norm",
    "no-rotation",
    "rotation",
    "still-layer",
    "zero-matrix",
]
"""What a reader must know before believing a table; web.glossary.NOTES has a sentence for each."""


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
    """Dot product of the token's vector with the direction; negative on the minus ray."""


@dataclass(frozen=True, slots=True)
class SideReadout:
    """One side of a direction read out as tokens, at both ends: a sign is a convention."""

    side: str
    """read, write, query or key."""
    plus: tuple[Token, ...]
    """Largest dot products first."""
    minus: tuple[Token, ...]
    """Smallest (most negative) first."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A warning that rounding of the stored weights can turn this direction towards its neighbours."""

    kind: Literal["subspace", "close"]
    """subspace: by more than 10 degrees, only the span of first..last is defined; close: by 1 to 10."""
    degrees: float
    first: int
    last: int
    """The directions that are one subspace with this one, itself included (for close: the neighbours nearest to it)."""


@dataclass(frozen=True, slots=True)
class Direction:
    """One term of a decomposition with its readouts: a row of the table, and the heart of the direction's page."""

    address: Address
    index: int
    singular_value: float
    energy_share: float
    gap: float
    badge: Badge | None
    left: SideReadout
    right: SideReadout


@dataclass(frozen=True, slots=True)
class Model:
    """What every page of a model says in its header."""

    slug: str
    name: str
    """As people know it: `gpt2`, `singular-lens demo`."""
    fingerprint: str
    pin: str
    """The first digits of the fingerprint, for links that name these very weights."""
    n_layers: int
    n_heads: int
    d_model: int
    d_head: int
    d_vocab: int
    n_ctx: int
    n_params: int
    dtype: str
    tied: bool
    """Embedding and unembedding are one matrix."""
    source: str
    """Hub id or `local folder`; never a path."""
    revision: str | None
    architecture: str
    """The checkpoint's own word, such as `GPT2LMHeadModel`."""
    n_kv_heads: int
    """Key/value heads; fewer than heads where queries share them."""
    n_experts: int
    """Of each MLP; 0 where it is one dense MLP."""
    positions: Literal["learned", "rotary", "alibi"]
    """Where positions come in: vectors in the stream, turned queries and keys, or a slope on the scores."""
    normalization: Literal["LN", "RMS"]
    qk_norm: Literal["none", "RMS", "LN"]
    """Queries and keys pass through norms of their own."""
    reads_normed: bool
    """Attention reads the stream through a norm."""
    post_norm: bool
    """What the heads write passes through a norm on its way to the stream."""
    sinks: bool
    """Attention may go to nothing."""
    encoder: bool
    """Reads both ways and has no unembedding: both sides of OV are read with the embedding."""
    checks: tuple[tuple[str, float], ...]
    """The identities that the weights were held to at import, each with its largest relative error over all layers."""
    unfoldable: str | None
    """Why `folded` means nothing for these weights, as a sentence; None where they can be folded."""

    @property
    def processings(self) -> tuple[Processing, ...]:
        """The weight processings to choose from."""
        return PROCESSINGS if self.unfoldable is None else ("raw",)


@dataclass(frozen=True, slots=True)
class View:
    """What stands in the query string, with the choices it had: enough to print every link of the page."""

    weights: Processing
    default_weights: Processing
    sort: Sort = "strength"
    page: int = 1
    find: str = ""
    """Only directions among whose tokens, as the table shows them, this text occurs, case ignored."""
    distance: int = 0
    """Positions from the query back to the key, for QK of a rotary model."""
    still: tuple[int, ...] = ()
    """Layers beside this one that do not turn queries and keys: links to them lose the distance."""


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


@dataclass(frozen=True, slots=True)
class HomePage:
    """The models of this server."""

    models: tuple[ModelEntry, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One head on the map."""

    address: Address
    value: float
    rank: int
    """1 for the largest of all."""
    is_kept: bool
    """Both matrices were computed before: the head's page opens at once."""


@dataclass(frozen=True, slots=True)
class HeadMap:
    """Layers x heads, coloured by one score."""

    score: str
    """One of `scores`: `copying`, or a circuit and a key of core.scores.SCORES, such as `ov-stable-rank`."""
    scores: tuple[str, ...]
    """The keys to choose from."""
    rows: tuple[tuple[Cell, ...], ...]
    """One row a layer, first layer first."""
    low: float
    high: float
    """Smallest and largest value on the map."""

    @property
    def n_kept(self) -> int:
        """Heads that open at once."""
        return sum(cell.is_kept for row in self.rows for cell in row)


@dataclass(frozen=True, slots=True)
class Notable:
    """A ray worth a look."""

    direction: Direction
    ray: Literal["p", "n"]
    coherence: float
    """Mean pairwise cosine of the top tokens' centred vectors."""


@dataclass(frozen=True, slots=True)
class NotablePage:
    """The gallery of a model: a lazy fragment of its page, since it reads every head."""

    model: Model
    view: View
    rays: tuple[Notable, ...]


@dataclass(frozen=True, slots=True)
class ModelPage:
    """A model: its facts and the map of its heads."""

    address: Address
    model: Model
    view: View
    map: HeadMap
    gallery: NotablePage | None
    """None until every head has been read: then it follows as a fragment."""
    is_filling: bool
    """A job is computing heads of it: soon more of them open at once."""


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
    previous: Address | None
    next: Address | None


@dataclass(frozen=True, slots=True)
class MatrixPage:
    """A matrix's table of directions; a head's page shows two of them."""

    address: Address
    model: Model
    view: View
    rank: int
    singular_values: tuple[float, ...]
    scores: tuple[tuple[str, float], ...]
    """(key of SCORES, value): top, stable rank, participation ratio, entropy rank …; OV has `copying` first."""
    bias: SideReadout | None
    """What belongs to no direction: the constant that OV writes, or QK's bias towards keys."""
    directions: tuple[Direction, ...]
    """The rows of this page of the table, in the view's order."""
    n_found: int
    """Directions that pass the filter, over all pages."""
    n_pages: int
    """At least 1; on a head's page the view's page may be past the end of the shorter table, which is then empty."""
    notes: tuple[Note, ...]
    """Keys of web.glossary.NOTES: what a reader must know before believing this table."""
    farthest: int | None
    """The largest distance to choose; None where distance means nothing: OV, and QK that no rotation turns."""
    previous: Address | None
    next: Address | None
    """The same matrix of the heads before and after."""


@dataclass(frozen=True, slots=True)
class HeadPage:
    """A head: what it reads and writes, and where it looks."""

    address: Address
    model: Model
    view: View
    ov: MatrixPage
    qk: MatrixPage
    previous: Address | None
    next: Address | None


@dataclass(frozen=True, slots=True)
class Histogram:
    """How a direction scores the whole vocabulary: counts in equal bins from `low` to `high`."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DirectionPage:
    """One direction, both rays, as many tokens as are kept."""

    address: Address
    model: Model
    view: View
    direction: Direction
    """With up to 50 tokens a ray, where a table shows 8."""
    rank: int
    singular_values: tuple[float, ...]
    left_histogram: Histogram
    right_histogram: Histogram
    notes: tuple[Note, ...]
    farthest: int | None
    """The largest distance to choose; None where distance means nothing."""
    previous: Address | None
    next: Address | None


@dataclass(frozen=True, slots=True)
class JobPage:
    """A job that computes every head of a model, and how far it is."""

    job: Job
    title: str
    """`demo: OV and QK, folded`."""
    progress: str
    """How far it is in a few words, as in the terminal."""
    command: str
    """What does the same in a terminal."""
    seconds: float | None
    """Since it began, or that it took; None before."""
    is_ending: bool
    """Somebody has cancelled it, and it is not at the end of its step yet."""
    may_cancel: bool
    may_start: bool
    """Visitors may start the same again: it goes on where this one was."""


@dataclass(frozen=True, slots=True)
class Startable:
    """A model for which visitors may start jobs."""

    slug: str
    processings: tuple[Processing, ...]


@dataclass(frozen=True, slots=True)
class JobsPage:
    """The jobs of this server's models, newest first."""

    model: str | None
    """Only the jobs of this model; None for all."""
    live: bool
    """Only jobs that wait or run."""
    jobs: tuple[JobPage, ...]
    startable: tuple[Startable, ...]
    """Empty where visitors may start nothing."""
