"""The form of the JSON answers, for the API's description; `twin.py` fills it in.

Typed dictionaries: they cost nothing when a server starts or a page is served, and tests hold every answer against them.
`api/description.py` takes the sentences below the fields from this file.
"""

from typing import Literal

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from app.core.address import BasisName, Kind
from app.core.judging.rays import RayClass, Reading
from app.explorer.pages.blind import Answer, BlindOf, Obstacle
from app.explorer.pages.gallery import GalleryList
from app.explorer.pages.search import SearchBasis, SearchOrder
from app.explorer.view import Only, Sort
from app.models.selection import Product

STRICT = ConfigDict(extra="forbid")


@with_config(STRICT)
class ErrorJson(TypedDict):
    """Any answer other than 200."""

    error: str
    """A word for machines: not_ready, not_found, bad_option, busy, failed …"""
    status: int
    detail: str
    """A sentence for people: what is wrong and what the valid range is."""


@with_config(STRICT)
class ComingJson(ErrorJson):
    """What is being computed, or imported."""

    done: int
    """How far it is; only rises, but for the parts of an import."""
    total: int
    """Of so much; 0 where nothing is counted."""


@with_config(STRICT)
class TokenJson(TypedDict):
    """One token of a readout."""

    id: int
    token: str
    """The text it decodes to; for entries that are no tokens their name, such as `neuron 12` or `L5H3 OV 12+`."""
    score: float
    """Dot product of its vector with the direction, or their cosine (`readout`); on a side of own entries, such as `neuron`, the entry."""


@with_config(STRICT)
class JudgementJson(TypedDict):
    """One ray beside the rays of random directions; null where it has too few trained tokens."""

    coherence: list[float | None]
    """Of its first 10, 20 and 50 trained tokens; so are z and p, and the last of each is what pages show."""
    z: list[float | None]
    p: list[float | None]
    q: float | None
    """The false discovery rate of the list that ends at this one, most coherent first: of all of this side's rays of
    the matrix. Null where it has too few trained tokens, and on a layer's page until the matrix is computed."""
    spelling_z: float | None
    spelling_p: float | None
    rotation_p: float | None
    """Among the rays of random rotations of the same span; null unless `rotated` was asked for."""
    forms_z: float | None
    """Of its forms in the place of its tokens: each word once, whatever its case and the space around it. Null where it has
    fewer than 10."""
    forms_p: float | None
    beyond_z: float | None
    """Of those forms that neither begin nor end, with the same three letters, as one before them. Null where these are fewer
    than 5."""
    beyond_p: float | None
    beyond_share: float | None
    """How much alike these are beside all of its forms, each less what random rays are: 1 for as much. Null where its forms
    are not shown to be alike."""
    n_forms: int
    """Forms among its 50 tokens."""
    letterless: bool
    """Most of its first 10 trained tokens, or of all 50, have no letter."""
    reading: Reading
    """What all that makes of the ray."""


@with_config(STRICT)
class RaysJson(TypedDict):
    """Both rays of a direction on one side."""

    plus: JudgementJson
    minus: JudgementJson | None
    """Null where terms have one ray, as are the others."""
    kind: RayClass | None
    difference_p: float | None
    """How often the rays of a random direction differ as much in coherence."""


@with_config(STRICT)
class FoundJson(TypedDict):
    """A token that has the text that was looked for."""

    ray: Literal["p", "n"]
    place: int
    """In the order of its ray, from 1, out of the 50 that are kept: it may stand behind those that are listed."""
    id: int
    token: str
    score: float
    whole: bool
    """It is the text, but for capitals and white space around it."""


@with_config(STRICT)
class SideJson(TypedDict):
    """One side of a direction, at both ends."""

    side: Literal["read", "write", "query", "key", "token", "neuron", "position", "head"]
    """With `token` and those after it the scores are the vector's own entries, zeros left out."""
    plus: list[TokenJson]
    """Largest scores first."""
    minus: list[TokenJson]
    """Most negative scores first; empty where terms have one ray."""
    rays: RaysJson | None
    """Null for the vector's own entries, tokens among them, and where the vocabulary is too small for a control."""
    found: list[FoundJson]
    """Where `find` occurs; empty without it."""


@with_config(STRICT)
class BadgeJson(TypedDict):
    """A warning: rounding of the stored weights can turn this direction by so many degrees."""

    kind: Literal["subspace", "close"]
    degrees: float
    first: int
    last: int


@with_config(STRICT)
class TurnJson(TypedDict):
    """How far another rounding, like that of a quantised copy, turns a direction: medians, in degrees."""

    left: float
    right: float
    determined: bool
    """The copy's numbers determine the direction: on both sides it is turned by less than 15 degrees."""


@with_config(STRICT)
class RestJson(TypedDict):
    """Of a span on both sides the share that another rounding keeps."""

    left: float
    right: float


@with_config(STRICT)
class DeterminacyJson(TypedDict):
    """Which directions of a matrix the numbers of a quantised copy determine."""

    first: int
    """So many are determined before the first that is not."""
    degrees: float | None
    """Of them, that which another rounding turns most; null where there is none."""
    later: int
    """Determined ones after that."""
    rest: RestJson | None
    """Of the span of all from there on; null where all are determined."""


@with_config(STRICT)
class QuantisedJson(TypedDict):
    """How a copy's numbers were rounded to few levels."""

    kind: str
    """In llama.cpp's words, such as `Q4_1`."""
    bits: int
    """Of each number."""


@with_config(STRICT)
class HistogramJson(TypedDict):
    """Scores of the whole vocabulary, in equal bins from low to high."""

    low: float
    high: float
    counts: list[int]
    skewness: float | None
    kurtosis: float | None
    """In excess of a normal distribution's."""


@with_config(STRICT)
class ControlJson(TypedDict):
    """Coherence of the rays of random directions, in equal bins from low to high."""

    side: str
    low: float
    high: float
    counts: list[int]
    mean: float
    spread: float
    """Standard deviation."""


@with_config(STRICT)
class VerdictJson(TypedDict):
    """How readable the rays of one side of a matrix are."""

    side: str
    n_rays: int
    n_unknown: int
    """Rays besides, with too few trained tokens to be judged."""
    n_readable: int
    """At p < .01."""
    n_found: int
    """At a false discovery rate of 10%."""
    n_spelling: int
    """Of the readable ones those whose reading is `spelling`; each is counted once under its own."""
    n_theme: int
    n_one_word: int
    n_partly: int
    """Partly spelling."""
    n_letterless: int
    classes: dict[str, int]
    """Directions of each class; empty where terms have one ray."""
    n_better: int | None
    """Rays better than 95% of those of random rotations of the same span; null unless `rotated` was asked for."""


@with_config(STRICT)
class LinksJson(TypedDict):
    """Where to go from here."""

    page: str
    """The same for people."""
    json: str
    pinned: str
    """Absolute, and naming these very weights."""
    up: str | None
    previous: str | None
    next: str | None


@with_config(STRICT)
class ModelJson(TypedDict):
    """A model's facts."""

    slug: str
    name: str
    fingerprint: str
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
    source: str
    hub: str | None
    """Whose and which model of the hub it is said to be."""
    licence: str | None
    """As the folder or file says it."""
    revision: str | None
    architecture: str
    n_kv_heads: int
    """Key/value heads; fewer than n_heads where queries share them."""
    n_experts: int
    """Of each MLP; 0 where it is one dense MLP."""
    d_mlp: int
    """Neurons of each MLP; 0 where it is a mixture, or none."""
    gated: bool
    positions: Literal["learned", "rotary", "alibi"]
    normalization: Literal["LN", "RMS"]
    qk_norm: Literal["none", "RMS", "LN"]
    reads_normed: bool
    """Attention reads the stream through a norm."""
    post_norm: bool
    """What heads write passes through a norm on its way to the stream."""
    mlp_reads: Literal["ln2", "ln1", "stream"]
    """Through which norm the MLP reads the stream: its own, attention's, or none."""
    mlp_post_norm: bool
    matrices: list[Kind]
    """The kinds of matrices that have pages."""
    sinks: bool
    """Attention may go to nothing."""
    encoder: bool
    """Reads both ways and has no unembedding: both sides of OV are read with the embedding."""
    processings: list[Literal["folded", "raw"]]
    """The values of `weights` that mean something for this model."""
    quantised: QuantisedJson | None
    """Null for weights that are no copy whose numbers were rounded to few levels; such a copy's are not the original's."""
    checks: dict[str, float]
    """Identities that the weights were held to at import, each with its largest relative error over all layers."""


@with_config(STRICT)
class ModelEntryJson(TypedDict):
    """A line of the list of models."""

    slug: str
    state: Literal["imported", "importing", "failed"]
    model: ModelJson | None
    message: str
    done: int
    total: int
    json: str
    """Where its page is, as JSON."""


@with_config(STRICT)
class HomeJson(TypedDict):
    """The models of this server, and directions of one of them to begin with."""

    models: list[ModelEntryJson]
    examples: "list[NotableJson]"
    """Of the gallery of the first model that has some of it; none while none has."""


@with_config(STRICT)
class DirectionJson(TypedDict):
    """A direction, as a row of a table has it."""

    address: str
    label: str
    matrix: Kind
    basis: BasisName
    index: int
    """What the address ends with: its place in the order of the basis; in the neuron basis, the same as `unit`."""
    singular_value: float
    """The strength of the term: in another basis than svd it is no singular value."""
    energy_share: float
    gap: float | None
    """Null where the terms of the basis cannot turn towards each other."""
    badge: BadgeJson | None
    merit: float | None
    """What the basis orders by, where that is not the strength: variance, excess kurtosis, usage, frequency."""
    unit: int | None
    """In the neuron basis, the number of the neuron or of the coordinate of the stream; null in any other."""
    turn: TurnJson | None
    """Of a quantised copy; null for other weights, and where it is not known."""
    left: SideJson
    right: SideJson


@with_config(STRICT)
class DirectionPageJson(DirectionJson):
    """A direction with up to 50 tokens a ray."""

    weights: Literal["folded", "raw"]
    fingerprint: str
    rank: int
    singular_values: list[float]
    left_histogram: HistogramJson
    right_histogram: HistogramJson
    controls: list[ControlJson | None]
    """What left and right were judged by."""
    rotations: list[ControlJson | None]
    """The same of random rotations of the matrix's directions; null unless `rotated` was asked for."""
    filter: dict[str, int]
    """Which tokens are shown: `ascii`, `starts`, `plain`, `frequent`; what is missing lets all pass."""
    readout: Product
    """What the scores of tokens are: dot products with the direction, or cosines."""
    positions: list[float]
    """The value at every position, for the matrix of positions."""
    same: list[str]
    """Addresses of the same neuron in the other matrices of its MLP, as far as it has weights there."""
    parameters: dict[str, int]
    distance: int | None
    """Positions from the query back to the key; null where distance means nothing."""
    notes: list[str]
    links: LinksJson


@with_config(STRICT)
class CurveJson(TypedDict):
    """How much of the matrix's squared size the first terms explain, by projection on their span."""

    at: list[int]
    explained: list[float]
    """By so many terms, and the mean where the basis takes that out."""
    svd: list[float]
    """What as many singular directions explain."""


@with_config(STRICT)
class NeedJson(TypedDict):
    """How many vectors samples need, less their mean, written with one set of them."""

    who: Literal["atoms", "random", "pca"]
    """The dictionary's atoms, as many random vectors, or the principal directions."""
    errors: list[float]
    """Relative error with 1, 2 … vectors a sample."""
    quartiles: list[tuple[int, int, int]]
    """For each threshold, over samples; one more than `errors` has stands for more than that."""


@with_config(STRICT)
class LonelyJson(TypedDict):
    """An atom that comes near no principal direction, though its tokens are alike."""

    address: str
    cosine: float
    """The largest, in size, to any of them."""
    coherence: float


@with_config(STRICT)
class PackingJson(TypedDict):
    """How a dictionary's atoms lie in the residual stream, without the direction of the samples' mean."""

    counts: list[int]
    """Pairs of atoms by their cosine, in equal bins from -1 to 1."""
    expected: list[float]
    """As many pairs of random unit vectors."""
    spread: float
    """Root mean square of the cosines."""
    random_spread: float
    spread_with_mean: float
    """Of the atoms as they are."""
    mean_share: float
    """How much of the samples' squared size their mean is."""
    thresholds: list[float]
    """Relative errors of a sample."""
    needs: list[NeedJson]
    n_far: int
    """Atoms that come less near any principal direction than 95% of random vectors do."""
    n_coherent: int | None
    """Atoms whose tokens are more alike than those of 95% of random vectors."""
    n_lonely: int
    """Those that are both."""
    lonely: list[LonelyJson]
    """The first of these, by usage."""


@with_config(STRICT)
class MatrixJson(TypedDict):
    """A matrix and a page of its directions."""

    address: str
    label: str
    matrix: Kind
    basis: BasisName
    parameters: dict[str, int]
    """Of the basis."""
    weights: Literal["folded", "raw"]
    fingerprint: str
    rank: int
    singular_values: list[float]
    """The strengths of all terms, in the basis's order; in the neuron basis that is by falling norm, not by `index`."""
    scores: dict[str, float]
    """Of the matrix; in another basis than svd, what that says of itself."""
    bias: SideJson | None
    """What belongs to no direction: OV's constant, QK's bias towards keys, an MLP's biases, the samples' mean."""
    curve: CurveJson | None
    packing: PackingJson | None
    """Of a dictionary with two atoms or more that are not the samples' mean; else null."""
    verdicts: list[VerdictJson]
    """Of the sides that are judged."""
    determinacy: DeterminacyJson | None
    """Of a quantised copy; null for other weights, and where it is not known."""
    bases: list[BasisName]
    """Those that this matrix can be seen in."""
    directions: list[DirectionJson]
    sort: Sort
    only: Only
    find: str
    filter: dict[str, int]
    """Which tokens are shown: `ascii`, `starts`, `plain`, `frequent`; what is missing lets all pass."""
    readout: Product
    """What the scores of tokens are: dot products with the direction, or cosines."""
    page: int
    n_pages: int
    n_found: int
    """Directions that pass `only` and `find`, over all pages."""
    distance: int | None
    """Positions from the query back to the key; null where distance means nothing."""
    notes: list[str]
    links: LinksJson


@with_config(STRICT)
class ComparedJson(TypedDict):
    """One basis of a comparison."""

    basis: BasisName
    parameters: dict[str, int]
    terms: int
    errors: list[float]
    """Relative error of the samples less their mean with 1, 2 … vectors a sample."""
    error: float
    """With as many as were asked for."""
    control: float
    """The same of as many random vectors as the basis has."""
    explained: float
    """Share of the samples less their mean in the span of its first vectors."""


@with_config(STRICT)
class PartnerJson(TypedDict):
    """The vector of another basis that comes nearest to the chosen one."""

    basis: BasisName
    address: str
    parameters: dict[str, int]
    cosine: float
    control: float
    """What 95% of random vectors stay below, in size."""


@with_config(STRICT)
class CompareJson(TypedDict):
    """The bases of a matrix side by side."""

    address: str
    label: str
    weights: Literal["folded", "raw"]
    fingerprint: str
    nonzeros: int
    first: int
    mean_share: float
    """How much of the matrix's squared size is its samples' mean, which is taken out first."""
    bases: list[ComparedJson]
    overlaps: list[list[float]]
    """Mean squared cosine of the principal angles between the spans of the first vectors; rows and columns as `bases`."""
    smallest: list[list[float]]
    """The smallest of those cosines."""
    direction: str
    partners: list[PartnerJson]
    page: str
    """The same for people."""
    json: str


@with_config(STRICT)
class HeadJson(TypedDict):
    """A head: its two matrices."""

    address: str
    label: str
    weights: Literal["folded", "raw"]
    fingerprint: str
    ov: MatrixJson
    qk: MatrixJson
    links: LinksJson


@with_config(STRICT)
class NamedTokenJson(TypedDict):
    """A token that is named, or may be."""

    id: int
    token: str
    """The text it decodes to."""
    spelling: str
    """What names it in `token`: its text, or #1234 where that cannot."""


@with_config(STRICT)
class ApartJson(TypedDict):
    """A token that says little where it stands."""

    why: Literal["never-trained", "hub"]
    """Training never moved it, or it is among the first ten at the ends of very many random directions."""
    ray: Literal["p", "n"]
    id: int
    token: str
    score: float


@with_config(STRICT)
class FullRowJson(TypedDict):
    """One token's row of a full circuit, at both ends."""

    role: Literal["ov", "query", "key"]
    """The token as what is attended to (read out as what is written), as the query (as keys), as the key (as queries)."""
    readout: SideJson
    """All tokens, as they score."""
    ordinary: SideJson
    """Without those that are set apart; up to 50 at either end."""
    apart: list[ApartJson]
    """Those of `readout` that are in no ordinary one."""
    own_score: float
    """Of the token itself."""
    own_rank: int
    """1 for the largest score of all tokens."""


@with_config(STRICT)
class FullJson(TypedDict):
    """A head's full circuits in vocabulary space, for one token."""

    address: str
    label: str
    weights: Literal["folded", "raw"]
    fingerprint: str
    token: NamedTokenJson | None
    """Null where none was asked for; then there are no rows."""
    rows: list[FullRowJson]
    n_tokens: int
    """Tokens that a row has scores of; 0 without a token."""
    suggested: list[NamedTokenJson]
    """Other spellings of the token, or tokens to begin with."""
    distance: int | None
    """Positions from the query back to the key; null where distance means nothing."""
    notes: list[str]
    links: LinksJson


@with_config(STRICT)
class HeadSummaryJson(TypedDict):
    """One matrix of a head, in little."""

    address: str
    singular_values: list[float]
    scores: dict[str, float]
    strongest: list[DirectionJson]


@with_config(STRICT)
class HeadPairJson(TypedDict):
    """Both matrices of a head, in little."""

    ov: HeadSummaryJson
    qk: HeadSummaryJson


@with_config(STRICT)
class LayerJson(TypedDict):
    """A layer: its heads in little."""

    address: str
    label: str
    weights: Literal["folded", "raw"]
    fingerprint: str
    heads: list[HeadPairJson]
    matrices: list[str]
    """Addresses of its MLP's matrices."""
    links: LinksJson


@with_config(STRICT)
class CellJson(TypedDict):
    """A head on the map."""

    address: str
    value: float
    rank: int
    """1 for the largest value of all heads; heads of the same value share one."""
    plus: list[str]
    """First tokens that its strongest OV direction writes; none until its layer was read."""
    minus: list[str]
    """The same of the direction's other end."""


@with_config(STRICT)
class MapJson(TypedDict):
    """Layers x heads, by one score."""

    score: str
    scores: list[str]
    low: float
    high: float
    rows: list[list[CellJson]]


@with_config(STRICT)
class ModelPageJson(TypedDict):
    """A model and the map of its heads."""

    address: str
    weights: Literal["folded", "raw"]
    model: ModelJson
    map: MapJson
    links: LinksJson


@with_config(STRICT)
class JobJson(TypedDict):
    """A job that imports a model, or computes matrices of it, each under each weight processing."""

    id: str
    kind: Literal["matrices", "import"]
    """Of an import, what is said of matrices, layers and rays is empty, null or 0."""
    model: str
    fingerprint: str
    matrices: list[str]
    """Kinds of matrices, or single ones: `ov`, `L5/mlp-in`."""
    basis: BasisName | None
    parameters: dict[str, int]
    weights: list[Literal["folded", "raw"]]
    state: Literal["waiting", "running", "done", "cancelled", "failed", "interrupted"]
    stage: str
    """What is being done, for people."""
    message: str
    """Why it failed."""
    done: int
    """Of an import: how much of the stage is done, in layers, megabytes or whatever it counts."""
    total: int
    """Of how much; 0 where nothing is counted."""
    layers_done: int
    layers: int
    matrices_done: int
    """Computed by this job."""
    matrices_found: int
    """That were there already."""
    matrices_asked: int
    """How many; 0 until it is known."""
    part: float
    """How much of the next one is done, from 0 to 1."""
    matrices_per_second: float | None
    seconds_left: float | None
    unsettled: int
    """Rays whose order the fast pass could not settle."""
    rays: int
    compute_seconds: float
    write_seconds: float
    created: float
    """This and the other times: seconds since 1970."""
    started: float | None
    updated: float
    ended: float | None
    page: str
    """The same for people."""
    json: str


@with_config(STRICT)
class JobsJson(TypedDict):
    """The jobs of this server's models, newest first."""

    jobs: list[JobJson]
    page: str
    """The same for people."""


@with_config(STRICT)
class EstimateJson(TypedDict):
    """A number and its interval at 95%, by bootstrap over matrices; null where there are too few to claim one.

    Heads that share keys and values count as one matrix.
    """

    value: float
    low: float | None
    high: float | None


@with_config(STRICT)
class CensusDepthJson(TypedDict):
    """One kind in a part of the layers."""

    depth: Literal["first", "middle", "last"]
    """The first layer, the last fifth, or what lies between."""
    first_layer: int
    last_layer: int
    readable: EstimateJson
    mean_z: EstimateJson
    larger_than_random: EstimateJson
    first_minus_last: EstimateJson | None


@with_config(STRICT)
class CensusKindJson(TypedDict):
    """One kind of matrix, read at one side."""

    kind: str
    """`ov-write`, `qk-key`, `mlp-in`, `embed` …; with `-cut` at its end a control of equal rank."""
    end: Literal["read", "write"]
    """What it is read with."""
    equal_rank: bool
    """Cut down at random to the rank of a head's."""
    matrices: int
    rays: int
    unjudged: int
    """Rays whose tokens were hardly ever trained: counted nowhere."""
    readable: EstimateJson
    """Share of the rays at p < .01."""
    discovered: float
    """Share of the rays at a false discovery rate of 10%."""
    controls: int
    """Random rays that p is the share of."""
    at_floor: int
    """Rays with the smallest p that so many controls allow."""
    needed_at_floor: int
    """How many must have it before any is found at that rate."""
    mean_z: EstimateJson
    """Random directions have mean 0; the interval is that of the difference from them, which were drawn as well."""
    larger_than_random: EstimateJson
    """How often one of the rays has a larger z than one of a random direction."""
    counts: list[int]
    """Rays by z, in equal bins from `low` to `high`; the first and the last have what lies beyond."""
    by_layer: list[float | None]
    """Mean z; null for a layer that is not read yet, empty for what belongs to no layer."""
    by_rank: list[float | None]
    """Mean z of each tenth of a matrix's directions, the strongest first."""
    readable_by_rank: list[float | None]
    """Share of the rays at p < .01 of each tenth."""
    first_minus_last: EstimateJson | None
    """Mean z of the first quarter of a matrix's directions minus that of the last."""
    rank_correlation: EstimateJson | None
    """Of place and z in a matrix, averaged over matrices."""
    later_minus_first: EstimateJson | None
    """Mean z of the later half of the layers minus that of the first."""
    depths: list[CensusDepthJson]
    """From early to late; empty for what belongs to no layer."""


@with_config(STRICT)
class ComparisonDepthJson(TypedDict):
    """The same in a part of the layers."""

    depth: Literal["first", "middle", "last"]
    first_layer: int
    last_layer: int
    difference: EstimateJson
    superiority: EstimateJson


@with_config(STRICT)
class CensusComparisonJson(TypedDict):
    """Two kinds that are read with one table."""

    first: str
    second: str
    difference: EstimateJson
    """Of mean z, first minus second."""
    superiority: EstimateJson
    """How often, of one ray of each, the first has the larger z."""
    depths: list[ComparisonDepthJson]
    """From early to late, of the layers that both have."""


@with_config(STRICT)
class SpanSharesJson(TypedDict):
    """Shares of readable rays."""

    depth: Literal["first", "middle", "last"] | None
    """Of which layers; null for all."""
    first_layer: int | None
    last_layer: int | None
    directions: EstimateJson
    random: EstimateJson
    difference: EstimateJson


@with_config(STRICT)
class CensusSpanJson(TypedDict):
    """Singular directions beside random vectors of the same matrices' spans."""

    kind: str
    among: Literal["all", "first"]
    """All directions, beside random vectors of the span; or the first four, beside such as are weighted by singular
    value."""
    matrices: int
    shares: list[SpanSharesJson]
    """Of all layers, then from early to late."""


@with_config(STRICT)
class FindingJson(TypedDict):
    """What the numbers allow to be said about one question."""

    about: Literal["order", "size", "span", "random", "rank", "components", "layers"]
    answer: str
    evidence: list[str]
    """A sentence for each number that it rests on."""


@with_config(STRICT)
class CensusJson(TypedDict):
    """How readable the rays of every matrix of a model are, as far as its layers have been read."""

    address: str
    weights: Literal["folded", "raw"]
    fingerprint: str
    layers_read: int
    layers: int
    kinds: list[CensusKindJson]
    comparisons: list[CensusComparisonJson]
    spans: list[CensusSpanJson]
    findings: list[FindingJson]
    controls: dict[str, list[int]]
    """Random directions by their own z, in the same bins, for each end."""
    low: float
    high: float
    seed: int
    """Of intervals and of what was cut down."""
    draws: int
    """How many of each kind of equal rank, a layer."""
    missing: list[str]
    """What there is no census of, and why."""
    links: LinksJson


@with_config(STRICT)
class ReadoutJson(TypedDict):
    """The first tokens of one ray on one side."""

    side: Literal["read", "write", "query", "key"]
    tokens: list[TokenJson]


@with_config(STRICT)
class AlsoJson(TypedDict):
    """A ray by its name."""

    address: str
    """Of its direction."""
    label: str
    ray: Literal["p", "n"]
    side: Literal["read", "write", "query", "key"]


@with_config(STRICT)
class GalleryListJson(TypedDict):
    """A list of a gallery, of what is sought."""

    among: GalleryList
    n_shown: int
    """On all its pages."""
    n_rays: int
    """With those that are not shown by themselves; an end counts once a side."""
    n_ends: int
    """The same, each end once."""


@with_config(STRICT)
class SoughtJson(TypedDict):
    """What of a gallery is asked for; empty: any."""

    among: GalleryList
    kind: str
    side: str
    layer: str
    page: int


@with_config(STRICT)
class NotableJson(TypedDict):
    """A ray; its numbers are null where it has too few trained tokens."""

    address: str
    """Of its direction."""
    label: str
    ray: Literal["p", "n"]
    side: Literal["read", "write", "query", "key"]
    """On which it was judged."""
    coherence: float | None
    z: float | None
    p: float | None
    q: float | None
    """The false discovery rate of the list, of all rays that were looked at, that ends at this one; an end counts once a
    side."""
    own_q: float | None
    """The same of all rays of that side of its matrix: with p < .01 it decides whether the ray stands out. null until the
    matrix is computed."""
    spelling_z: float | None
    spelling_p: float | None
    kind: RayClass
    singular_value: float
    energy_share: float
    readouts: list[ReadoutJson]
    """On that side, and on the other where that is the residual stream too."""
    turn: TurnJson | None
    """Of its direction, in a quantised copy; null for other weights, and where it is not known."""
    forms_z: float | None
    """Of its forms in the place of its tokens: each word once, whatever its case and the space around it."""
    forms_p: float | None
    beyond_z: float | None
    """Of those forms that neither begin nor end, with the same three letters, as one before them."""
    beyond_p: float | None
    letterless: bool
    """Most of its first 10 trained tokens, or of all 50, have no letter."""
    reading: Reading
    """What all that makes of the ray."""
    also: list[AlsoJson]
    """Rays that say the same and are shown in this one's place: the same ray on its other side, and those that share three
    of their ten first words with it."""


@with_config(STRICT)
class NotablePageJson(TypedDict):
    """A model's gallery: readable rays of the strongest directions of every matrix.

    Of the list that is asked for one page, of the others the first few.
    """

    weights: Literal["folded", "raw"]
    fingerprint: str
    sought: SoughtJson
    n_pages: int
    """Of the list that is asked for."""
    lists: list[GalleryListJson]
    rays: list[NotableJson]
    """Those of words: first those that are alike beyond spelling, by `beyond_z`; then the others, by z."""
    letterless: list[NotableJson]
    """As readable, but most of their first tokens have no letter."""
    frequency: list[NotableJson]
    """As readable, but mostly of frequent or very short tokens."""
    glitches: list[NotableJson]
    """Mostly of tokens that were never trained."""
    layers: int
    """Read so far."""
    whole: bool
    """All layers were, and the model's ends."""
    failure: str
    """Why something that is missing could not be computed; empty where it only takes its time."""
    judged: bool
    """False where the vocabulary is too small for a control: then there are no rays."""
    n_rays: int
    """That were looked at so far and could be judged; an end counts once a side."""
    n_readable: int
    """Of them at p < .01; an end counts once a side."""
    n_found: int
    """At a false discovery rate of 10% over all of them; an end counts once a side."""
    page: str
    """The same for people."""
    json: str


@with_config(STRICT)
class EntryJson(TypedDict):
    """A token without a score."""

    id: int
    token: str


@with_config(STRICT)
class SearchTokenJson(TypedDict):
    """A token that something stands for in a search."""

    id: int
    token: str
    spelling: str
    """What finds it in a search."""
    of: str
    """The word, phrase, id or ray that it is of."""
    weight: float
    """1, or -1 where it is subtracted."""


@with_config(STRICT)
class VariantJson(TypedDict):
    """Another token that is the same word in another spelling; it is not searched for."""

    of: str
    id: int
    token: str
    spelling: str


@with_config(STRICT)
class CutWordJson(TypedDict):
    """A word that is no single token: the mean of its pieces is searched for, which says less."""

    word: str
    tokens: list[str]


@with_config(STRICT)
class UnderstoodJson(TypedDict):
    """What was asked for, as it was understood."""

    tokens: list[SearchTokenJson]
    variants: list[VariantJson]
    pieces: list[CutWordJson]
    left_out: list[SearchTokenJson]
    """Of phrases punctuation and the most frequent tokens; whatever is beyond 32 tokens."""


@with_config(STRICT)
class NearestJson(TypedDict):
    """A ray that a search found."""

    address: str
    """Of its direction."""
    label: str
    ray: Literal["p", "n"]
    side: Literal["read", "write", "query", "key"]
    theme: float
    """Mean likeness of its first tokens and the words: the mean product of unit vectors."""
    alignment: float | None
    """Product of its unit vector with that of the words; null where these have none at its end of the model."""
    expected: float | None
    """Directions of the model that would be so aligned, or better, with any vector: below .01 is clear, below 1 weak."""
    gain: float
    """Its strength in root mean squares of its matrix's: 1 for an average direction."""
    strength: float
    """Its singular value, or the length of the neuron's weights."""
    z: float | None
    """How alike its tokens are, beside those of random directions; null where that was not judged."""
    p: float | None
    reading: Reading
    letterless: bool
    tokens: list[TokenJson]
    """Its first 20, with their likeness to the words as the score."""
    asked: list[int]
    """Ids of them that are words that were asked for, in any spelling."""
    page: str


@with_config(STRICT)
class FdrJson(TypedDict):
    """What of the nearest chance may have brought, at most."""

    rank: int
    """Of the nearest so many by theme."""
    fdr: float | None
    """The share of them that as many random directions would reach; null while there are none to compare with."""
    stands_out: bool | None
    """False where that is more than half."""
    n_aligned: int
    """How many of them have a better alignment than a random direction would."""


@with_config(STRICT)
class SearchedJson(TypedDict):
    """What was gone through."""

    rays: int
    """That passed the filters."""
    share_of_model: float
    """Of the model's singular directions, or of its neurons, those that have been read so far."""
    controls: int
    """Rays of random directions that were asked the same."""
    beyond_controls: int
    """Rays with a better theme than each of these."""
    beyond_controls_by_chance: float
    """How many of as many random rays would be so, too."""
    is_of_nearest: bool
    """Ordered by alignment are only the 2,000 rays with the best theme, since reading all vectors would take too long."""


@with_config(STRICT)
class InquiryJson(TypedDict):
    """What is searched for; empty: any."""

    q: str
    order: SearchOrder
    basis: SearchBasis
    side: str
    kind: str
    layers: str
    readable: bool
    used: bool
    page: int


@with_config(STRICT)
class SearchJson(TypedDict):
    """The rays of a model that are nearest to words, best first."""

    address: str
    weights: Literal["folded", "raw"]
    fingerprint: str
    inquiry: InquiryJson
    hits: list[NearestJson]
    n_hits: int
    """On all pages, at most 200."""
    n_pages: int
    query: UnderstoodJson
    fdr_at: FdrJson
    searched: SearchedJson
    page: str
    json: str


@with_config(STRICT)
class NotSearchedJson(TypedDict):
    """A model that was not searched."""

    model: str
    detail: str


@with_config(STRICT)
class EveryJson(TypedDict):
    """The same search in every model of a server, each in its own weights."""

    q: str
    models: list[SearchJson]
    missing: list[NotSearchedJson]
    page: str
    json: str


@with_config(STRICT)
class BlindColumnsJson(TypedDict):
    """The two columns of a question, largest score first; the scores are left out, since they would tell."""

    left: list[EntryJson]
    right: list[EntryJson]


@with_config(STRICT)
class BlindResultJson(TypedDict):
    """A question of a blind round with its answer."""

    columns: BlindColumnsJson
    answer: Answer
    """What was taken for the model's column: l or r."""
    right: Answer
    """What it was."""
    address: str
    """Of the direction that the model's column was read out of."""
    side: Literal["read", "write", "query", "key"]
    ray: Literal["p", "n"]
    z: float | None
    """Of that ray; null where it has too few trained tokens."""
    p: float | None


@with_config(STRICT)
class BlindJson(TypedDict):
    """A blind round: the next question after the answers so far, or the score after the last."""

    address: str
    weights: Literal["folded", "raw"]
    fingerprint: str
    seed: int
    of: BlindOf
    answers: str
    n_rounds: int
    obstacle: Obstacle | None
    """Why there is no question: the vocabulary is too small for random directions to say anything, or none of the
    matrices looked at has a readable ray."""
    columns: BlindColumnsJson | None
    """Null after the last question."""
    results: list[BlindResultJson]
    """Every question, once all are answered."""
    n_right: int | None
    by_chance: float | None
    """The probability of guessing at least so many right."""
    links: LinksJson


@with_config(STRICT)
class AlignedJson(TypedDict):
    """One end of a direction, or of a neuron, beside something."""

    address: str
    label: str
    ray: Literal["p", "n"]
    """Which of its ends lies along the end that it is beside; on a token's page the end that the token lies along."""
    side: Literal["read", "write", "query", "key"]
    value: float
    """The cosine of its + end with the end that it is beside; of a token the singular value times the product of their vectors."""
    z: float
    """How far out that is."""
    expected: float
    """How many of those that were looked at would be as far out by chance."""
    gain: float
    """How strongly its matrix uses it: 1 for an average direction."""
    rank: int | None
    """Of the token in the order of this end, counted from 1; null where no token is asked about."""
    tokens: list[EntryJson]


@with_config(STRICT)
class AlignmentsJson(TypedDict):
    """What is beyond chance, the farthest out first."""

    found: list[AlignedJson]
    n_found: int
    n_rows: int
    """That were looked at."""


@with_config(STRICT)
class ReadingJson(TypedDict):
    """A direction that is written, and a head that reads it."""

    writer: str
    part: Literal["query", "key", "value"]
    heads: list[str]
    """One for a query, all that share it for a key or a value."""
    specificity: float
    """CS: 1 for a random direction."""
    false_share: float
    """Of pairs so specific at this distance, at most so many mean nothing."""
    distance: int
    """Layers between them."""
    ray: Literal["p", "n"] | None
    """Which end of the writer lies on the side of the end that is asked about, where writers are asked for."""
    gain: float | None
    """Of the writer, likewise."""


@with_config(STRICT)
class ReadingsJson(TypedDict):
    """Pairs with a CS of 3 or more, of which at most 35% mean nothing; the most specific first."""

    found: list[ReadingJson]
    n_found: int
    n_weaker: int
    """Others with a CS of 2 or more."""


@with_config(STRICT)
class SurroundingsJson(TypedDict):
    """Of one side of a direction."""

    side: Literal["read", "write", "query", "key"]
    writes: bool
    """Whether it writes to the stream; else it reads it."""
    neighbours: AlignmentsJson
    """Directions of other matrices that do the same."""
    others: AlignmentsJson
    """Directions that read what it writes, or write what it reads."""
    neurons: AlignmentsJson
    """The same of single neurons."""
    readings: ReadingsJson | None
    """Heads that read what it writes; of a side that reads, what its head reads with all of this part. Null where there can be none, or
    while not all layers are there."""


@with_config(STRICT)
class AroundJson(TypedDict):
    """What a direction is like, what reads it and what writes it: by weights alone."""

    address: str
    label: str
    weights: Literal["folded", "raw"]
    fingerprint: str
    sides: list[SurroundingsJson]
    share: float
    """Of the model's directions, those that are built and were looked at."""
    path: list[str]
    """Rays that were walked, this direction last."""
    links: LinksJson


@with_config(STRICT)
class TokenGroupJson(TypedDict):
    """What does one thing to a token."""

    does: Literal["writes", "reads", "queries", "keys", "neurons-write", "neurons-read"]
    rays: list[AlignedJson]
    """The farthest out first."""
    n_rows: int
    """Directions that were looked at."""
    n_beyond: int
    """Of them, those that are more than chance explains."""


@with_config(STRICT)
class NearTokenJson(EntryJson):
    """A token near to another."""

    cosine: float


@with_config(STRICT)
class TokenPageJson(TypedDict):
    """One token: what writes it, what reads it, what it looks for with and whose key it is."""

    id: int
    token: str
    spelling: str
    """What names it in a query: its text, or #1234 where that cannot."""
    weights: Literal["folded", "raw"]
    fingerprint: str
    known: bool
    """Whether the tokenizer has such a token; else the id pads the embedding."""
    trained: bool | None
    """Whether training has moved it; null where that is not known."""
    length: float | None
    """Of its row of the embedding, as stored."""
    typical_length: float | None
    """The median of all."""
    n_tokens: int
    variants: list[NamedTokenJson]
    near: list[NearTokenJson]
    """The nearest by embedding."""
    groups: list[TokenGroupJson]
    share: float
    """Of the model's directions, those that are built and were looked at."""
    links: LinksJson


@with_config(STRICT)
class PairCellJson(TypedDict):
    """A direction of one head beside one of another."""

    writer: str
    writer_ray: Literal["p", "n"]
    reader: str
    reader_ray: Literal["p", "n"]
    """The end that lies along that end of the writer."""
    cosine: float
    """Of both + ends."""
    expected: float
    """Cells of the map that would be so far out by chance."""


@with_config(STRICT)
class PassageJson(TypedDict):
    """A direction that the path leads to, and what of the second head reads it."""

    address: str
    ray: Literal["p", "n"]
    through: float
    """CS with the whole circuit of the second head."""
    taken_in: float | None
    """CS with its query, key or value matrix alone; null where that is below 2, or nobody has computed it."""
    cells: list[PairCellJson]
    """Of this direction."""


@with_config(STRICT)
class PairJson(TypedDict):
    """Directions that one head writes beside those that another reads with."""

    a: str
    b: str
    part: Literal["value", "query", "key"]
    weights: Literal["folded", "raw"]
    fingerprint: str
    rows: list[str]
    """Directions of a, the strongest first."""
    columns: list[str]
    """Directions of b."""
    cosines: list[list[float]]
    specificities: list[float]
    """Of each row: CS with the whole circuit of b."""
    whole: float
    """CS of all that a writes."""
    later: bool
    """Whether b reads after a has written."""
    chance: float
    """Standard deviation of such a cosine by chance."""
    n_beyond: int
    strongest: list[PairCellJson]
    """Of all directions of both."""
    path: list[str]
    """Rays that were walked, to one of a's; empty where none leads there."""
    passage: PassageJson | None
    """That ray of a."""
    page: str
    json: str


class ComposedPairJson(TypedDict):
    """A head that reads what another one writes."""

    writer: str
    reader: str
    """By keys and values the head of its key/value group that does so most."""
    cs: float
    """1 is what a random writer has."""
    fdr: float
    """At most this share of the pairs with so much and more is what pairs in the wrong order have, too."""
    siblings: list[str]
    """The other heads of the reader's group."""


@with_config(STRICT)
class CompositionStepJson(TypedDict):
    """From a score on, how many pairs there are."""

    least: float
    pairs: int
    fdr: float


@with_config(STRICT)
class CompositionJson(TypedDict):
    """Which heads of a model read what which others write."""

    address: str
    weights: str
    fingerprint: str
    kind: str
    writer: int | None
    reader: int | None
    steps: list[CompositionStepJson]
    n_pairs: int
    pairs: list[ComposedPairJson]
    """The strongest, falling."""
    links: LinksJson


@with_config(STRICT)
class AlikeHeadJson(TypedDict):
    """A head, or a key/value group, whose subspace is held against this one's."""

    head: str
    """Of a group the first of its heads."""
    heads: int
    overlap: float
    share: float
    percentile: float | None
    """Among pairs of the same layer distance that are no siblings; null for siblings."""


@with_config(STRICT)
class AlikeSideJson(TypedDict):
    """One of a head's subspaces beside those of all others."""

    side: str
    rank: int
    chance: float
    """The overlap that random subspaces have in the mean."""
    spread: float
    """Its standard deviation."""
    nearest: list[AlikeHeadJson]
    siblings: list[AlikeHeadJson]
    shared: bool
    """The siblings have it in common, by construction."""


@with_config(STRICT)
class AlikeJson(TypedDict):
    """The heads that are most like one."""

    address: str
    weights: str
    fingerprint: str
    sides: list[AlikeSideJson]
    links: LinksJson


@with_config(STRICT)
class ContrastPlaceJson(TypedDict):
    """One of two places side by side."""

    address: str
    label: str
    weights: str
    fingerprint: str
    norm: float
    """Frobenius norm of the matrix."""
    gains: list[float]
    """Of all directions: strength divided by the root mean square of the matrix's strengths."""


@with_config(STRICT)
class ContrastSpanJson(TypedDict):
    """One side of both: the spans of their first directions."""

    side: str
    sizes: list[int]
    cosines: list[float]
    """Of the principal angles, falling."""
    random: list[float]
    """The same of random subspaces of those sizes."""
    share: float
    chance: float


@with_config(STRICT)
class ContrastEndJson(TypedDict):
    """One end of two directions on one side, by their first 20 tokens."""

    side: str
    rays: list[str]
    both: list[TokenJson]
    first: list[TokenJson]
    """Of the first alone."""
    second: list[TokenJson]
    n_both: int
    n_tokens: int


@with_config(STRICT)
class MatchJson(TypedDict):
    """Two directions that were matched."""

    first: str
    second: str
    cosine: float | None
    """Mean over sides; null where the two have no space in common."""
    cosines: dict[str, float]
    ends: list[ContrastEndJson]


@with_config(STRICT)
class ContrastJson(TypedDict):
    """Two places of one kind side by side."""

    a: str
    b: str
    first: ContrastPlaceJson | None
    second: ContrastPlaceJson | None
    spans: list[ContrastSpanJson]
    matches: list[MatchJson]
    matched: float | None
    """Mean size of their cosines."""
    chance: float | None
    """That of random directions matched the same way."""
    apart: str
    """widths: no space in common; models: of two models, whose spaces need not be one."""
    page: str
    json: str
