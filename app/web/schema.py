"""The form of the JSON answers, for the API's description; `twin.py` fills it in.

Typed dictionaries: they cost nothing when a page is served, and tests hold every answer against them.
"""

from typing import Literal

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

STRICT = ConfigDict(use_attribute_docstrings=True, extra="forbid")


@with_config(STRICT)
class ErrorJson(TypedDict):
    """Any answer other than 200."""

    error: str
    """A word for machines: not_ready, not_found, bad_option, busy, failed …"""
    status: int
    detail: str
    """A sentence for people: what is wrong and what the valid range is."""


@with_config(STRICT)
class TokenJson(TypedDict):
    """One token of a readout."""

    id: int
    token: str
    """The text it decodes to."""
    score: float
    """Dot product of its vector with the direction."""


@with_config(STRICT)
class SideJson(TypedDict):
    """One side of a direction, at both ends."""

    side: Literal["read", "write", "query", "key"]
    plus: list[TokenJson]
    """Largest scores first."""
    minus: list[TokenJson]
    """Most negative scores first."""


@with_config(STRICT)
class BadgeJson(TypedDict):
    """A warning: rounding of the stored weights turns this direction by so many degrees."""

    kind: Literal["subspace", "close"]
    degrees: float
    first: int
    last: int


@with_config(STRICT)
class HistogramJson(TypedDict):
    """Scores of the whole vocabulary, in equal bins from low to high."""

    low: float
    high: float
    counts: list[int]


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
    tied: bool
    source: str
    revision: str | None
    architecture: str
    n_kv_heads: int
    """Key/value heads; fewer than n_heads where queries share them."""
    n_experts: int
    """Of each MLP; 0 where it is one dense MLP."""
    positions: Literal["learned", "rotary", "alibi"]
    normalization: Literal["LN", "RMS"]
    qk_norm: Literal["none", "RMS", "LN"]
    reads_normed: bool
    """Attention reads the stream through a norm."""
    post_norm: bool
    """What heads write passes through a norm on its way to the stream."""
    sinks: bool
    """Attention may go to nothing."""
    encoder: bool
    """Both sides of OV are read with the embedding."""
    processings: list[Literal["folded", "raw"]]
    """The values of `weights` that mean something for this model."""
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
    """The models of this server."""

    models: list[ModelEntryJson]


@with_config(STRICT)
class DirectionJson(TypedDict):
    """A direction, as a row of a table has it."""

    address: str
    label: str
    matrix: Literal["ov", "qk"]
    basis: Literal["svd"]
    index: int
    singular_value: float
    energy_share: float
    gap: float
    badge: BadgeJson | None
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
    distance: int | None
    """Positions from the query back to the key; null where distance means nothing."""
    notes: list[str]
    links: LinksJson


@with_config(STRICT)
class MatrixJson(TypedDict):
    """A matrix and a page of its directions."""

    address: str
    label: str
    matrix: Literal["ov", "qk"]
    weights: Literal["folded", "raw"]
    fingerprint: str
    rank: int
    singular_values: list[float]
    scores: dict[str, float]
    bias: SideJson | None
    """What belongs to no direction: OV's constant, or QK's bias towards keys."""
    directions: list[DirectionJson]
    sort: Literal["strength", "weakest", "gap", "closest"]
    find: str
    page: int
    n_pages: int
    n_found: int
    distance: int | None
    """Positions from the query back to the key; null where distance means nothing."""
    notes: list[str]
    links: LinksJson


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
    links: LinksJson


@with_config(STRICT)
class CellJson(TypedDict):
    """A head on the map."""

    address: str
    value: float
    rank: int
    """1 for the largest value of all heads."""


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
    """A job that computes every head of a model: a matrix for each circuit, and for each weight processing another."""

    id: str
    model: str
    fingerprint: str
    circuits: list[Literal["ov", "qk"]]
    weights: list[Literal["folded", "raw"]]
    state: Literal["waiting", "running", "done", "cancelled", "failed", "interrupted"]
    stage: str
    """What is being done, for people."""
    message: str
    """Why it failed."""
    layers_done: int
    layers: int
    matrices_done: int
    """Computed by this job."""
    matrices_found: int
    """That were there already."""
    matrices: int
    """That were asked for; 0 until it is known."""
    heads_per_second: float | None
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
class NotableJson(TypedDict):
    """A ray worth a look."""

    ray: Literal["p", "n"]
    coherence: float
    direction: DirectionJson


@with_config(STRICT)
class NotablePageJson(TypedDict):
    """A model's gallery."""

    weights: Literal["folded", "raw"]
    fingerprint: str
    rays: list[NotableJson]
    page: str
    """The same for people."""
    json: str
