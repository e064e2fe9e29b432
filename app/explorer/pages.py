"""What the pages show: one frozen value for each kind of page.

The HTML page, the fragment and the JSON answer render the same value. Knows no HTML, no HTTP and no torch.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, get_args

from app.core.address import LAYER_KINDS, Address, BasisName, Kind
from app.core.address import Ray as ShortRay
from app.core.judging.bootstrap import Estimate
from app.core.judging.discovery import FDR
from app.core.judging.rays import HEADLINE, RayClass, Reading, is_significant
from app.core.measuring.determinacy import is_determined
from app.explorer.layout import Composed, SpanSide
from app.models.selection import EVERY, Selection
from app.models.vocabulary import Entry
from app.store.jobs import Job, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Processing = Literal["folded", "raw"]
PROCESSINGS: tuple[Processing, ...] = ("folded", "raw")
"""`folded`: what the network computes through its norms. `raw`: the weights as stored."""

End = Literal["read", "write"]
"""Which end of the model a side of the stream is read with."""
Depth = Literal["first", "middle", "last"]
"""Where in a model layers stand: the first one, the last fifth of them, and what lies between."""
SpanPart = Literal["all", "first"]
"""All directions of a matrix, beside random vectors of its span; or the first few, beside such as are weighted by its
singular values."""
CUT = "-cut"
"""What the name of a control of equal rank ends with, after that of the matrix that was cut down."""
SPAN, WEIGHTED, PRINCIPAL = "-span", "-weighted", "-pca"
"""The same of random vectors of a matrix's span, and of those weighted by its singular values; of principal components."""

Sort = Literal["order", "strength", "weakest", "gap", "closest", "readable", "readable-left", "readable-right"]
SORTS: tuple[Sort, ...] = get_args(Sort)
"""Orders of the direction table: the basis's own, strength falling or rising, gap falling or rising, z of the most
readable ray falling, of both sides or of one."""

Only = Literal[
    "all", "readable", "found", "meaning", "theme", "spelling", "one-sided", "antipodal", "neither", "undetermined"
]
ONLY: tuple[Only, ...] = get_args(Only)
"""Filters of the direction table. A direction passes if one of its sides does: with a ray readable at p < .01; found at
a false discovery rate of 10%; readable, and neither by spelling alone nor without letters; a theme; readable by spelling
alone; or of that class."""


GalleryList = Literal["themes", "letterless", "frequent", "untrained"]
GALLERY_LISTS: tuple[GalleryList, ...] = get_args(GalleryList)
"""The lists of a gallery."""

Ranked = Literal["first", "all"]
N_EXAMPLES = 3
"""Directions on the front page."""
N_FIRST = 16
"""Of a gallery, on a model's page."""

N_RANKED = 20
"""Heads in the list beside a map, if not all."""

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
    "raw-read-mlp",
    "mlp-in",
    "mlp-gate",
    "mlp-out",
    "mlp-raw-post-norm",
    "mlp-post-norm",
    "embed",
    "unembed",
    "unembed-folded",
    "tied-page",
    "tied-folded",
    "pos",
    "stack",
    "full-rows",
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
    """Dot product of the token's vector with the direction, or their cosine; negative on the minus ray."""
    place: Address | None = None
    """Where it leads, if it is no token but a neuron or a head's direction."""


Ray = Literal["p", "n"]
TermKind = Literal["word", "phrase", "token", "ray"]
"""What a term of a search is."""
"""The + end or the − end of a direction."""


class Hit(NamedTuple):
    """A token that has the text that a visitor looks for."""

    ray: Ray
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


@dataclass(frozen=True, slots=True)
class SideReadout:
    """One side of a direction read out as tokens, at both ends: a sign is a convention."""

    side: str
    """read, write, query or key; or token, neuron, position, head: then these are the vector's own entries."""
    plus: tuple[Token, ...]
    """Largest scores first."""
    minus: tuple[Token, ...]
    """Smallest (most negative) first; none where the basis has one ray a term."""
    rays: Rays | None = None
    """None for what is not read with the vocabulary's vectors, and where that is too small for a control."""
    found: tuple[Hit, ...] = ()
    """Where the text occurs that a visitor looks for: among the tokens here, and the first behind them."""
    words: tuple[Words, Words] | None = field(default=None, compare=False)
    """Of the plus end and of the minus end, out of all that is kept there: where a table has a row for people to read."""


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
class Turn:
    """How far another rounding, like that of a quantised copy, turns a direction: the median, in degrees."""

    left: float
    right: float

    @property
    def is_determined(self) -> bool:
        """The copy's numbers determine the direction, on both sides."""
        return is_determined(self.left, self.right)


@dataclass(frozen=True, slots=True)
class Determinacy:
    """Which directions of a matrix the numbers of a quantised copy determine."""

    first: int
    """So many are determined before the first that is not."""
    degrees: float | None
    """Of them, that which is turned most; None where there is none."""
    later: int
    """Determined ones after that."""
    rest: tuple[float, float] | None
    """Of the span of the first that is not determined and all after it the share that another rounding keeps, left and
    right; None where all are determined."""


@dataclass(frozen=True, slots=True)
class Direction:
    """One term of a decomposition with its readouts: a row of the table, and the heart of the direction's page."""

    address: Address
    index: int
    """What the address ends with: its place in the order of the basis; in the neuron basis the number of the neuron or
    coordinate."""
    singular_value: float
    """The strength of the term; in another basis than svd it is no singular value."""
    energy_share: float
    gap: float | None
    """None where the terms of a basis cannot turn towards each other."""
    badge: Badge | None
    left: SideReadout
    right: SideReadout
    merit: float | None = None
    """What the basis orders by, where that is not the strength."""
    unit: int | None = None
    """The neuron, or the coordinate of the stream, that the term is."""
    turn: Turn | None = None
    """Of a quantised copy; None of other weights, and where it is not known."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """How a copy's numbers were rounded to few levels."""

    kind: str
    """In llama.cpp's words, such as `Q4_1`."""
    bits: int
    """Of each number."""
    others: tuple[tuple[str, str], ...] = ()
    """Matrices that are stored as another kind, by their names in weights, such as `blocks.3.attn.W_V`."""


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
    """What the weights are kept in."""
    rounded: bool
    """The checkpoint has numbers of float64, and the nearest of float32 are kept."""
    tied: bool
    """Embedding and unembedding are one matrix."""
    source: str
    """Hub id or `local folder`; never a path."""
    hub: str | None
    """Whose and which model of the hub it is said to be."""
    licence: str | None
    revision: str | None
    architecture: str
    """The checkpoint's own word, such as `GPT2LMHeadModel`."""
    n_kv_heads: int
    """Key/value heads; fewer than heads where queries share them."""
    n_experts: int
    """Of each MLP; 0 where it is one dense MLP."""
    d_mlp: int
    """Neurons of each MLP; 0 where it is a mixture, or none."""
    gated: bool
    """The MLP's neurons are multiplied by gates, which read by a matrix of their own."""
    positions: Literal["learned", "rotary", "alibi"]
    """Where positions come in: vectors in the stream, turned queries and keys, or a slope on the scores."""
    normalization: Literal["LN", "RMS"]
    qk_norm: Literal["none", "RMS", "LN"]
    """Queries and keys pass through norms of their own."""
    reads_normed: bool
    """Attention reads the stream through a norm."""
    post_norm: bool
    """What the heads write passes through a norm on its way to the stream."""
    mlp_reads: Literal["ln2", "ln1", "stream"]
    """Through which norm the MLP reads the stream: its own, attention's, or none."""
    mlp_post_norm: bool
    """What the MLP writes passes through a norm on its way to the stream."""
    sinks: bool
    """Attention may go to nothing."""
    encoder: bool
    """Reads both ways and has no unembedding: both sides of OV are read with the embedding."""
    checks: tuple[tuple[str, float], ...]
    """The identities that the weights were held to at import, each with its largest relative error over all layers."""
    unfoldable: str | None
    """Why `folded` means nothing for these weights, as a sentence; None where they can be folded."""
    quantised: Quantised | None
    """None where they are no copy whose numbers were rounded to few levels."""

    @property
    def processings(self) -> tuple[Processing, ...]:
        """The weight processings to choose from."""
        return PROCESSINGS if self.unfoldable is None else ("raw",)

    @property
    def layer_kinds(self) -> tuple[Kind, ...]:
        """The matrices that each layer has besides its heads'."""
        if not self.d_mlp:
            return ()
        return tuple(kind for kind in LAYER_KINDS if self.gated or kind != "mlp-gate")

    @property
    def model_kinds(self) -> tuple[Kind, ...]:
        """The matrices that belong to no layer."""
        unembed: tuple[Kind, ...] = () if self.encoder else ("unembed",)
        pos: tuple[Kind, ...] = ("pos",) if self.positions == "learned" else ()
        return ("embed", *unembed, *pos, "heads/write", "heads/read")


@dataclass(frozen=True, slots=True)
class Choice:
    """A parameter of a basis, and what it could be here."""

    name: str
    value: int
    low: int
    high: int
    default: int


@dataclass(frozen=True, slots=True)
class View:
    """What stands in the query string, with the choices it had: enough to print every link of the page."""

    weights: Processing
    default_weights: Processing
    sort: Sort = "order"
    page: int = 1
    only: Only = "all"
    find: str = ""
    """Only directions among whose kept tokens this text occurs, case ignored; first those with a token that is the text."""
    distance: int = 0
    """Positions from the query back to the key, for QK of a rotary model."""
    still: tuple[int, ...] = ()
    """Layers beside this one that do not turn queries and keys: links to them lose the distance."""
    basis: BasisName = "svd"
    parameters: tuple[Choice, ...] = ()
    """Of that basis."""
    selection: Selection = EVERY
    """Tokens that readouts show, and by what they are ranked."""
    rotated: bool = False
    """Singular directions are held against random rotations of their span, too."""


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
class Place:
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
    mlps: tuple[tuple[Place, ...], ...]
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
class Readout:
    """The first tokens of one ray on one side."""

    side: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of a matrix's terms, or of one of them."""

    address: Address
    model: Model
    view: View
    index: tuple[int, ...]
    """What the address of each term ends with."""
    strength: tuple[float, ...]
    names: tuple[str, str]
    """Of the left and the right side: read, write, query, key, neuron …"""
    sides: Mapping[str, "NDArray[np.float32]"]
    """left and right, [n d] each, as far as they are the residual stream's or neurons'."""


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
    readouts: tuple[Readout, ...]
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


@dataclass(frozen=True, slots=True)
class ModelPage:
    """A model: its facts and the map of its heads."""

    address: Address
    model: Model
    view: View
    map: HeadMap
    matrices: tuple[Place, ...]
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


@dataclass(frozen=True, slots=True)
class Tab:
    """A basis that a matrix can be seen in."""

    basis: BasisName
    address: Address
    is_fitted: bool
    """It is computed on request only, not for whoever opens its page."""
    is_here: bool = True
    """It opens a table: no fit, or one that was computed for this matrix in these weights."""
    fit: tuple["Choice", ...] = ()
    """The parameters of the fit that it opens, where that with the defaults is not there."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How much of a matrix the first terms explain: of its squared size, by projection on their span."""

    at: tuple[int, ...]
    """Numbers of terms, rising from 0."""
    explained: tuple[float, ...]
    """By so many terms, and the mean where the basis takes that out."""
    svd: tuple[float, ...]
    """By as many singular directions: no other span explains more."""


@dataclass(frozen=True, slots=True)
class Need:
    """How many vectors samples need, written with one set of them."""

    who: Literal["atoms", "random", "pca"]
    """`random`: as many random vectors as there are atoms."""
    errors: tuple[float, ...]
    """Relative error with 1, 2 … vectors a sample."""
    quartiles: tuple[tuple[int, int, int], ...]
    """For each threshold, over samples; one more than `errors` has stands for more than that."""


@dataclass(frozen=True, slots=True)
class Lonely:
    """An atom that comes near no principal direction, though its tokens are alike."""

    address: Address
    cosine: float
    """The largest, in size, to any of them."""
    coherence: float
    """Of the tokens on its + ray."""


@dataclass(frozen=True, slots=True)
class Packing:
    """How a dictionary's atoms lie in the residual stream, without the direction of the samples' mean."""

    counts: tuple[int, ...]
    """Pairs of atoms by their cosine, in equal bins from -1 to 1."""
    expected: tuple[float, ...]
    """As many pairs of random unit vectors."""
    spread: float
    """Root mean square of the cosines."""
    spread_with_mean: float
    """The same of the atoms as they are; equal where the samples have no mean to speak of."""
    mean_share: float
    """How much of the samples' squared size their mean is."""
    random_spread: float
    """`1 / sqrt(d)`, that of random unit vectors."""
    thresholds: tuple[float, ...]
    needs: tuple[Need, ...]
    n_far: int
    """Atoms that come less near any principal direction than 95% of random vectors do."""
    n_coherent: int | None
    """Atoms, of all, whose tokens are more alike than those of 95% of random vectors."""
    n_lonely: int
    """Those that are both."""
    lonely: tuple[Lonely, ...]
    """The first of these, by usage."""
    far: float
    """The largest cosine that counts as far."""
    coherent: float | None
    """The smallest coherence that counts; None where the vocabulary is too small to tell."""


@dataclass(frozen=True, slots=True)
class MatrixPage:
    """A matrix's table of directions; a head's page shows two of them."""

    address: Address
    model: Model
    view: View
    rank: int
    singular_values: tuple[float, ...]
    """The strengths of all terms, in the basis's order."""
    indices: tuple[int, ...]
    """What the address of the term with each of these strengths ends with."""
    scores: tuple[tuple[str, float], ...]
    """(key of SCORES, value): top, stable rank, participation ratio, entropy rank …; OV has `copying` first.

    In another basis: what it says of itself, such as its `error`.
    """
    sides: tuple[str, str]
    """Names of the left and the right side."""
    bias: SideReadout | None
    """What belongs to no direction: the constant that OV writes, QK's bias towards keys, an MLP's biases, the mean."""
    bias_term: str
    """What that is called: a key of web.glossary.TERMS."""
    tabs: tuple[Tab, ...]
    """The bases that this matrix can be seen in."""
    verdicts: tuple[Verdict, ...]
    """Of the sides that are judged."""
    packing: Packing | None
    """Of a dictionary with two atoms or more that are not the samples' mean."""
    curve: Curve | None
    """None for the singular directions of heads: their shares say it."""
    determinacy: Determinacy | None
    """Of a quantised copy; None of other weights, and where it is not known."""
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

    @property
    def is_judged(self) -> bool:
        """Whether any side is."""
        return bool(self.verdicts)


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

    @property
    def is_judged(self) -> bool:
        """Whether either matrix is."""
        return self.ov.is_judged or self.qk.is_judged


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


class Apart(NamedTuple):
    """A token that says little where it stands."""

    why: Literal["never-trained", "hub"]
    """Training never moved it, or it is among the first ten at the ends of very many random directions."""
    ray: Ray
    token: Token


@dataclass(frozen=True, slots=True)
class FullRow:
    """One token's row (or column) of a full circuit: its ends, and where the token itself stands in it."""

    role: Literal["ov", "query", "key"]
    """The token as what is attended to, as the query, as the key."""
    readout: SideReadout
    """All tokens, as they score."""
    ordinary: SideReadout
    """Without those that are set apart; more of them, so that a page has enough words."""
    apart: tuple[Apart, ...]
    """Those of the first readout that are in no ordinary one."""
    own_score: float
    own_rank: int
    """1 for the largest score of all tokens."""


@dataclass(frozen=True, slots=True)
class FullPage:
    """A head's full circuits in vocabulary space, for one token: never the whole matrix."""

    address: Address
    """Of the head."""
    model: Model
    view: View
    token: NamedToken | None
    """None until a visitor names one."""
    rows: tuple[FullRow, ...]
    """OV, as a query, as a key; none without a token."""
    n_tokens: int
    """Tokens that a row has scores of; 0 without a token."""
    suggested: tuple[NamedToken, ...]
    """Other spellings of the token, or tokens to begin with."""
    notes: tuple[Note, ...]
    farthest: int | None
    """The largest distance to choose; None where distance means nothing."""
    previous: Address | None
    next: Address | None
    """The heads before and after."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How a direction scores the whole vocabulary: counts in equal bins from `low` to `high`."""

    low: float
    high: float
    counts: tuple[int, ...]
    skewness: float | None
    """None where one token lies so far out that the bins cannot tell."""
    kurtosis: float | None
    """In excess of a normal distribution's."""


@dataclass(frozen=True, slots=True)
class ControlSpread:
    """How coherent random directions read with the same vectors are: what a ray's z and p are taken from."""

    side: str
    low: float
    high: float
    counts: tuple[int, ...]
    """Random rays in equal bins of coherence from `low` to `high`."""
    mean: float
    spread: float
    """Standard deviation."""


Relation = Literal["", "like", "reads", "writes"]
"""How one comes from a ray to the next: it is like the one before, reads it or writes what that one reads."""


class Hop(NamedTuple):
    """A ray on the path that a visitor walked."""

    ray: ShortRay
    relation: Relation = ""
    """To the one before it; empty for the first."""


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
    indices: tuple[int, ...]
    """What the address of the term with each of these strengths ends with."""
    left_histogram: Histogram
    right_histogram: Histogram
    controls: tuple[ControlSpread | None, ControlSpread | None]
    """Of the left and the right side."""
    rotations: tuple[ControlSpread | None, ControlSpread | None]
    """The same of random rotations of the matrix's directions; nothing unless these were asked for."""
    positions: tuple[float, ...]
    """The direction's value at every position, for the matrix of positions."""
    same: tuple[Address, ...]
    """The same neuron in the other matrices of its MLP."""
    tabs: tuple[Tab, ...]
    notes: tuple[Note, ...]
    farthest: int | None
    """The largest distance to choose; None where distance means nothing."""
    previous: Address | None
    next: Address | None
    path: tuple[Hop, ...] = ()
    """How the visitor came here, this direction at its end; empty for the direction of no path."""

    @property
    def gain(self) -> float:
        """Its strength beside the root mean square of its matrix's: 1 for an average one."""
        return math.sqrt(self.direction.energy_share * len(self.singular_values))

    @property
    def is_judged(self) -> bool:
        """Whether either side is."""
        return any(self.controls)


BlindOf = Literal["all", "readable"]
Obstacle = Literal["unjudged", "unreadable"]
BLIND_OF: tuple[BlindOf, ...] = get_args(BlindOf)
"""Which rays a blind round is drawn from: any of the strongest directions of heads, or those readable at p < .01."""
Answer = Literal["l", "r"]
"""The left column, or the right one."""
Columns = tuple[tuple[Entry, ...], tuple[Entry, ...]]
"""Tokens on the left and on the right, without their scores: sizes of scores would tell which is which."""


@dataclass(frozen=True, slots=True)
class BlindResult:
    """A question of a blind round with its answer."""

    columns: Columns
    answer: Answer
    """What the visitor took for the model's."""
    right: Answer
    direction: Address
    side: str
    ray: Literal["p", "n"]
    z: float | None
    """Of the model's ray; None where it has too few trained tokens."""
    p: float | None


@dataclass(frozen=True, slots=True)
class BlindPage:
    """Ten times two columns of tokens, one read out of a ray of the model, one of a random direction.

    It holds nothing that tells which is which until all are answered.
    """

    address: Address
    """Of the model."""
    model: Model
    view: View
    seed: int
    of: BlindOf
    answers: str
    """Those given so far: `lrl`."""
    n_rounds: int
    n_directions: int
    """Strongest directions of each matrix that its rays come from."""
    obstacle: Obstacle | None
    """Why there is no question: the vocabulary is too small for a control, or no readable ray was found."""
    columns: Columns | None
    """The next question; None after the last."""
    results: tuple[BlindResult, ...]
    """All questions, once all are answered."""
    n_right: int
    by_chance: float
    """The probability of guessing at least so many right."""
    next_seed: int
    """Of ten other questions."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One basis of a comparison."""

    basis: BasisName
    parameters: tuple[Choice, ...]
    """Of a fit."""
    terms: int
    errors: tuple[float, ...]
    """Relative error of the samples less their mean with 1, 2 … vectors a sample."""
    error: float
    """With as many as the page is about."""
    control: float
    """The same of as many random vectors as the basis has."""
    explained: float
    """Share of the samples less their mean in the span of its first vectors."""
    others: tuple[tuple[Choice, ...], ...]
    """The other fits that are there."""


@dataclass(frozen=True, slots=True)
class Partner:
    """The vector of another basis that comes nearest to a chosen one."""

    basis: BasisName
    address: Address
    parameters: tuple[Choice, ...]
    cosine: float
    """Negative where they point against each other."""
    control: float
    """What 95% of random vectors stay below, in size."""
    direction: Direction | None
    """None where its tokens were not read out yet."""


@dataclass(frozen=True, slots=True)
class ComparePage:
    """The bases of a matrix side by side."""

    address: Address
    """Of the matrix."""
    model: Model
    view: View
    nonzeros: int
    most: int
    first: int
    """Vectors of each basis whose spans are held against each other."""
    firsts: tuple[int, ...]
    """The numbers to choose from."""
    mean_share: float
    """How much of the matrix's squared size is its samples' mean, which is taken out first."""
    bases: tuple[Compared, ...]
    overlaps: tuple[tuple[float, ...], ...]
    """Mean squared cosine of the principal angles, one row a basis."""
    smallest: tuple[tuple[float, ...], ...]
    """The smallest of the cosines."""
    chosen: Direction | None
    """None where its tokens were not read out yet."""
    direction: str
    """`svd/12`."""
    partners: tuple[Partner, ...]
    absent: tuple[Tab, ...]
    """Bases that this matrix has and that nobody has fitted."""


@dataclass(frozen=True, slots=True)
class CensusDepth:
    """How readable one kind is in a part of the layers: the first one, the middle ones, or the last fifth."""

    depth: Depth
    layers: range
    readable: Estimate
    mean: Estimate
    superiority: Estimate
    early: Estimate | None


@dataclass(frozen=True, slots=True)
class CensusKind:
    """How readable the rays of one kind of matrix are, at one side; z is against random directions read the same way."""

    group: str
    """`ov-write`, `qk-key`, `mlp-in`, `embed` …; with `-cut` at its end: that matrix, cut down to a head's rank."""
    end: End
    """What it is read with: the embedding, or the unembedding."""
    n_matrices: int
    """All of them; an estimate says how many independent ones it rests on."""
    n_rays: int
    n_unjudged: int
    """Rays of too few tokens that were ever trained, which count for nothing."""
    readable: Estimate
    """Share of the rays at p < .01."""
    discovered: float
    """Share of the rays at a false discovery rate of 10%, over the rays of this kind."""
    n_control: int
    """Rays of random directions that p is the share of: it is never below 1 in one more than these."""
    n_at_floor: int
    """Rays whose p is that."""
    n_needed: int
    """How many must be before any is found at that rate."""
    mean: Estimate
    """Of z over rays; the interval is that of the difference from random directions, which were drawn as well."""
    superiority: Estimate
    """How often one of the rays has a larger z than one of a random direction."""
    counts: tuple[int, ...]
    """Rays by z, in the page's bins."""
    by_layer: tuple[float | None, ...]
    """Mean z; None for a layer that is not read yet, empty for what belongs to no layer."""
    by_rank: tuple[float | None, ...]
    """Mean z of each tenth of a matrix's directions, the strongest first."""
    readable_by_rank: tuple[float | None, ...]
    """Share of the rays at p < .01 of each tenth."""
    early: Estimate | None
    """Mean z of the first quarter of a matrix's directions minus that of the last; None where they are too few."""
    correlation: Estimate | None
    """Spearman's, of place and z within a matrix: negative where early directions read better."""
    later: Estimate | None
    """Mean z of the later half of the layers minus that of the first; None where there are no two."""
    depths: tuple[CensusDepth, ...]
    """Of first, middle and last layers by themselves, from early to late; empty for what belongs to no layer."""

    @property
    def is_beyond_control(self) -> bool:
        """Whether rays stand out from all of the control, which has too few to show that any is no false discovery."""
        return not self.discovered and 0 < self.n_at_floor < self.n_needed

    @property
    def is_cut(self) -> bool:
        """Whether it is a control of equal rank."""
        return self.group.endswith(CUT)


@dataclass(frozen=True, slots=True)
class EffectDepth:
    """How much better one kind reads than another in a part of the layers."""

    depth: Depth
    layers: range
    difference: Estimate
    superiority: Estimate


@dataclass(frozen=True, slots=True)
class CensusEffect:
    """How much better one kind reads than another, with the same table."""

    group: str
    other: str
    difference: Estimate
    """Of mean z."""
    superiority: Estimate
    """How often a ray of the first has the larger z."""
    depths: tuple[EffectDepth, ...]
    """Of the layers that both have, from early to late."""


@dataclass(frozen=True, slots=True)
class SpanShares:
    """Readable rays among a kind's singular directions and among random vectors of the same matrices' spans."""

    layers: range | None
    """A part of the layers; None for all of them."""
    own: Estimate
    random: Estimate
    difference: Estimate
    """Of the shares."""


@dataclass(frozen=True, slots=True)
class CensusSpan:
    """Whether one kind's singular directions read better than any vector of their matrix's span would."""

    group: str
    among: SpanPart
    n_matrices: int
    shares: SpanShares
    depths: tuple[tuple[Depth, SpanShares], ...]
    """Of first, middle and last layers by themselves, from early to late."""

    @property
    def parts(self) -> tuple[SpanShares, ...]:
        """Of all layers, then of each depth."""
        return (self.shares, *(own for _, own in self.depths))


@dataclass(frozen=True, slots=True)
class Finding:
    """What the numbers allow to be said about one question."""

    about: Literal["order", "size", "span", "random", "rank", "components", "layers"]
    answer: str
    evidence: tuple[str, ...]
    """A sentence for each number that it rests on."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The sentences of the answer."""
        return tuple(re.split(r"(?<=\.) (?=[A-Z])", self.answer))


@dataclass(frozen=True, slots=True)
class CensusPage:
    """How readable the directions of every matrix of a model are, as far as its layers have been read."""

    address: Address
    model: Model
    view: View
    n_layers: int
    """Read so far."""
    kinds: tuple[CensusKind, ...]
    effects: tuple[CensusEffect, ...]
    spans: tuple[CensusSpan, ...]
    findings: tuple[Finding, ...]
    controls: tuple[tuple[End, tuple[int, ...]], ...]
    """Rays of random directions by their own z, in the same bins."""
    edges: tuple[float, float]
    """Of the bins; what lies beyond is in the first and the last."""
    other: tuple[CensusKind, ...]
    """The same of the other weight processing; empty unless all of it was computed."""
    other_weights: Processing | None
    """Which that is; None where the model has one."""
    seed: int
    """Of the intervals and of what was cut down."""
    draws: int
    """That many matrices were cut down in each layer."""
    depths: tuple[range, ...]
    """The layers that stand first, in the middle and last."""
    missing: tuple[str, ...]
    """What there is no census of, and why, in sentences."""

    @property
    def is_whole(self) -> bool:
        """Whether every layer was read."""
        return self.n_layers == self.model.n_layers

    @property
    def has_depths(self) -> bool:
        """Whether any part of the layers has enough of them for an interval."""
        return any(part.mean.interval for kind in self.kinds for part in kind.depths)

    @property
    def n_intervals(self) -> int:
        """That the findings rest on."""
        numbers: list[Estimate | None] = []
        for kind in self.kinds:
            parts: tuple[CensusKind | CensusDepth, ...] = (kind, *kind.depths)
            numbers += [number for part in parts for number in (part.mean, part.superiority, part.readable)]
            if not kind.is_cut:
                numbers += [*(part.early for part in parts), kind.later if self.is_whole else None]
        for effect in self.effects:
            compared: tuple[CensusEffect | EffectDepth, ...] = (effect, *effect.depths)
            numbers += [number for part in compared for number in (part.difference, part.superiority)]
        for span in self.spans:
            numbers += [shares.difference for shares in span.parts]
        return sum(number is not None and number.interval is not None for number in numbers)


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
    ray: ShortRay | None = None

    @property
    def is_cut(self) -> bool:
        """It is a word that is no single token."""
        return self.kind == "word" and len(self.tokens) + len(self.left_out) > 1


@dataclass(frozen=True, slots=True)
class FoundRay:
    """A ray that a search found."""

    address: Address
    """Of its direction."""
    ray: Ray
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
    other: Readout | None
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


@dataclass(frozen=True, slots=True)
class FitPage:
    """A decomposition that nobody has computed yet, and what there is instead."""

    address: Address
    """Of the decomposition."""
    model: Model
    view: View
    tabs: tuple[Tab, ...]
    there: tuple[tuple[Choice, ...], ...]
    """The parameters of those that were computed for this matrix in this basis and these weights."""
    task: Task
    """What computes it, and in a terminal: `command`."""
    command: str
    job: Job | None
    """The last that was to compute it: perhaps it is at it, perhaps it was cancelled or failed."""


@dataclass(frozen=True, slots=True)
class JobPage:
    """A job that imports a model, or computes matrices of it, and how far it is."""

    job: Job
    title: str
    """`demo: OV and QK, folded`, `Importing demo`."""
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
    result: Address | None
    """Where what it computes is shown, if that is one matrix in one weight processing."""


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


class HeadPair(NamedTuple):
    """A head that reads what another one writes."""

    writer: Address
    reader: Address
    """Of the heads of its key/value group that read so by keys or values, the one that does most."""
    cs: float
    fdr: float
    """Of the pairs with so much and more, at most this share is what pairs in the wrong order have, too."""
    siblings: tuple[Address, ...] = ()
    """The other heads of that group."""


COLOURED = (1.5, 1.75, 2.0, 2.5, 3.0)
"""Composition scores from which on a pair has the next colour, the first of them faint: from the second on it stands out."""
COUNTED = (1.25, *COLOURED)
"""From which on it is told how many pairs there are."""


class CompositionStep(NamedTuple):
    """From a score on, how many pairs there are."""

    least: float
    n_pairs: int
    fdr: float


class CompositionCell(NamedTuple):
    """A pair as the map draws it: by its writer and its reader (a group of heads for keys and values), over layers."""

    row: int
    column: int
    cs: float


@dataclass(frozen=True, slots=True)
class CompositionPage:
    """Which heads of a model read what which other heads write."""

    address: Address
    model: Model
    view: View
    kind: Composed
    writer: int | None
    """Only heads of that layer as writers; None: of all."""
    reader: int | None
    steps: tuple[CompositionStep, ...]
    """Of all layers."""
    n_pairs: int
    """In order, of the layers that are shown."""
    pairs: tuple[HeadPair, ...]
    """The strongest, falling."""
    cells: tuple[CompositionCell, ...]
    """All from 1.5 on, or the strongest of them."""
    per_layer: int
    """Columns of a layer."""
    table: tuple[tuple[HeadPair, ...], ...]
    """Of two layers: a row for each writer, its pair with each reader; else none."""
    unbuilt: Unbuilt | None = None
    """Why nothing is shown, where that is so."""
    coloured: ClassVar[tuple[float, ...]] = COLOURED


class AlikeHead(NamedTuple):
    """A head, or a key/value group, whose subspace is held against this one's."""

    head: Address
    """Of a group the first of its heads."""
    n_heads: int
    """Of the group; 1 for a head by itself."""
    overlap: float
    share: float
    """Of the smaller subspace."""
    percentile: float | None
    """Of pairs of the same layer distance that are no siblings, so many share less, in percent; None for siblings."""


@dataclass(frozen=True, slots=True)
class AlikeSide:
    """One of a head's subspaces beside those of all others."""

    side: SpanSide
    rank: int
    chance: float
    """What random subspaces of those sizes share."""
    spread: float
    """Standard deviation of the overlap of random subspaces."""
    nearest: tuple[AlikeHead, ...]
    """Falling; no siblings among them."""
    siblings: tuple[AlikeHead, ...]
    is_shared: bool
    """The siblings have it in common, by construction."""


@dataclass(frozen=True, slots=True)
class AlikePage:
    """The heads that are most like one."""

    address: Address
    model: Model
    view: View
    sides: tuple[AlikeSide, ...]
    previous: Address | None
    next: Address | None
    unbuilt: Unbuilt | None = None
    """Why nothing is shown, where that is so."""


Gulf = Literal["", "widths", "models"]


class ContrastPlace(NamedTuple):
    """One of two places that stand side by side."""

    address: Address
    """Of the matrix, or of the direction."""
    model: Model
    view: View
    gains: tuple[float, ...]
    """Of all directions: strength divided by the root mean square of the matrix's strengths."""
    norm: float
    """Frobenius norm of the matrix, as far as its terms are orthogonal."""


class ContrastSpan(NamedTuple):
    """One side of both: the spans of their first directions."""

    side: str
    sizes: tuple[int, int]
    cosines: tuple[float, ...]
    """Of the principal angles, falling."""
    random: tuple[float, ...]
    """The same of random subspaces of those sizes."""
    share: float
    """Mean squared cosine."""
    chance: float
    """That of random subspaces."""


class ContrastEnd(NamedTuple):
    """One end of two directions, on one side: tokens of both, and of one alone."""

    side: str
    rays: tuple[Ray, Ray]
    both: tuple[Token, ...]
    """With the scores of the first."""
    first: tuple[Token, ...]
    second: tuple[Token, ...]
    n_both: int
    """Of so many first tokens."""
    n_tokens: int


class Match(NamedTuple):
    """Two directions that were matched."""

    first: Address
    second: Address
    cosine: float | None
    """Mean over the sides that are the stream's, with one sign for all; None where the two have no space in common."""
    cosines: tuple[tuple[str, float], ...]
    """By side."""
    ends: tuple[ContrastEnd, ...]


@dataclass(frozen=True, slots=True)
class ContrastPage:
    """Two places of one kind side by side."""

    a: str
    b: str
    """As they were asked for."""
    first: ContrastPlace | None
    """None where nothing was asked for yet."""
    second: ContrastPlace | None
    spans: tuple[ContrastSpan, ...] = ()
    matches: tuple[Match, ...] = ()
    """The most alike first."""
    matched: float | None = None
    """Mean of all cosines, sizes alone."""
    chance: float | None = None
    """That of random directions that are matched the same way."""
    apart: Gulf = ""
    """Two widths have no angles between them; two models of one width need not have one space."""


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
