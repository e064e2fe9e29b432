"""Examples for the API's description: made-up pages, put through the same twins as real ones, so that they stay true.

The tokens are GPT-2's; the numbers are invented, and round so that it shows.
"""

from dataclasses import replace

from app.core.address import Address, parse
from app.core.judging.bootstrap import Estimate, Interval
from app.explorer.header import Model
from app.explorer.pages.blind import BlindPage, BlindResult
from app.explorer.pages.census import (
    CensusDepth,
    CensusEffect,
    CensusKind,
    CensusPage,
    CensusSpan,
    EffectDepth,
    Finding,
    SpanShares,
)
from app.explorer.pages.compare import Compared, ComparePage, Partner
from app.explorer.pages.composition import AlikeHead, AlikePage, AlikeSide, CompositionPage, CompositionStep, HeadPair
from app.explorer.pages.contrast import ContrastEnd, ContrastPage, ContrastPlace, ContrastSpan, Match
from app.explorer.pages.directions import (
    Badge,
    ControlSpread,
    Direction,
    DirectionPage,
    Histogram,
    RayReadout,
    SideReadout,
)
from app.explorer.pages.gallery import Notable, NotablePage
from app.explorer.pages.jobs import JobPage, JobsPage
from app.explorer.pages.maps import Cell, HeadMap, HeadSummary, HomePage, LayerPage, ModelEntry, ModelPage
from app.explorer.pages.matrices import FullPage, FullRow, HeadPage, MatrixPage
from app.explorer.pages.rays import Hit, Judgement, NamedToken, Rays, Token, Verdict
from app.explorer.pages.search import AskedTerm, EveryPage, FoundRay, Inquiry, Offer, Searched, SearchPage
from app.explorer.view import Tab, View
from app.models.vocabulary import TokenEntry
from app.store.jobs import Job, Task
from app.web.api import twin
from app.web.urls import Urls

URLS = Urls("", "https://lens.example")
VIEW = View("folded", "folded")
FINGERPRINT = "0123abcd" * 8
MODEL = Model(
    slug="gpt2",
    name="gpt2",
    fingerprint=FINGERPRINT,
    pin=FINGERPRINT[:12],
    n_layers=12,
    n_heads=12,
    d_model=768,
    d_head=64,
    d_vocab=50_257,
    n_ctx=1_024,
    n_params=124_439_808,
    dtype="float32",
    rounded=False,
    tied=True,
    source="openai-community/gpt2",
    hub="openai-community/gpt2",
    licence="mit",
    revision="607a30d783dfa663caf39e06633721c8d4cfcd7e",
    architecture="GPT2LMHeadModel",
    n_kv_heads=12,
    n_experts=0,
    d_mlp=3_072,
    gated=False,
    mlp_reads="ln2",
    mlp_post_norm=False,
    positions="learned",
    normalization="LN",
    qk_norm="none",
    reads_normed=True,
    post_norm=False,
    sinks=False,
    encoder=False,
    checks=(("query", 2e-7), ("logits", 5e-7)),
    unfoldable=None,
    quantised=None,
)
HEAD = parse("gpt2/L5/H3")
VALUES = (4.0, 2.0, 1.0)


def _side(name: str) -> SideReadout:
    return SideReadout(
        side=name,
        plus=(Token(511, " their", "·their", "text", 1.5), Token(484, " they", "·they", "text", 1.25)),
        minus=(Token(465, " his", "·his", "text", -1.5), Token(339, " he", "·he", "text", -1.25)),
        rays=Rays(_judgement(2.5), _judgement(1.5), "neither", 0.5),
    )


def _judgement(z: float) -> Judgement:
    return Judgement(
        (0.25, 0.25, 0.125),
        (z, z, z),
        (0.125, 0.0625, 0.03125),
        q=0.25,
        spelling_z=0.5,
        spelling_p=0.3125,
        rotation_p=0.5,
        forms_z=1.5,
        forms_p=0.125,
        beyond_z=1.25,
        beyond_p=0.1875,
        n_forms=38,
        reading="none",
    )


def _direction(matrix: Address, index: int) -> Direction:
    left, right = ("read", "write") if matrix.circuit == "ov" else ("query", "key")
    return Direction(
        address=matrix.direction(index),
        index=index,
        singular_value=VALUES[index],
        energy_share=VALUES[index] ** 2 / 21,
        gap=0.5,
        badge=Badge("close", 2.5, 1, 2) if index else None,
        left=_side(left),
        right=_side(right),
    )


def _matrix(address: Address) -> MatrixPage:
    return MatrixPage(
        address=address,
        model=MODEL,
        view=VIEW,
        rank=3,
        singular_values=VALUES,
        indices=(0, 1, 2),
        scores=(("copying", 0.5), ("stable-rank", 1.3125)),
        sides=("read", "write") if address.circuit == "ov" else ("query", "key"),
        bias=_side("write" if address.circuit == "ov" else "key"),
        bias_term="ov-constant" if address.circuit == "ov" else "key-bias",
        tabs=(Tab("svd", address, is_fitted=False), Tab("neuron", address.in_basis("neuron"), is_fitted=False)),
        verdicts=(Verdict("read", 6, 0, 2, 0, 1, (("one-sided", 1), ("antipodal", 0), ("neither", 2)), n_theme=1),),
        packing=None,
        curve=None,
        determinacy=None,
        directions=(_direction(address, 0),),
        n_found=3,
        n_pages=3,
        notes=("folded",),
        farthest=None,
        previous=address.at_head(2).at("ov"),
        next=address.at_head(4).at("ov"),
    )


def _summary(address: Address) -> HeadSummary:
    return HeadSummary(address, VALUES, (("stable-rank", 1.3125),), (_direction(address, 0),))


OV, QK = HEAD.at("ov"), HEAD.at("qk")
HOME_PAGE = HomePage(
    (ModelEntry("gpt2", "imported", MODEL, "", 0, 0), ModelEntry("demo", "importing", None, "Checking", 2, 4))
)
MODEL_PAGE = ModelPage(
    address=Address("gpt2"),
    model=MODEL,
    view=VIEW,
    map=HeadMap("copying", ("copying", "ov-top"), ((Cell(HEAD, 0.5, 1, is_kept=True),),), ((),), 0.5, 0.5),
    matrices=(),
    gallery=None,
    is_filling=False,
)
NOTABLE_PAGE = NotablePage(
    address=parse("gpt2"),
    model=MODEL,
    view=VIEW,
    rays=(
        Notable(
            address=OV.direction(0),
            ray="p",
            side="write",
            readouts=(RayReadout("read", _side("read").plus), RayReadout("write", _side("write").plus)),
            singular_value=4.0,
            energy_share=0.75,
            coherence=0.25,
            z=8.0,
            p=0.00025,
            q=0.0625,
            own_q=0.03125,
            spelling_z=0.5,
            spelling_p=0.3125,
            kind="one-sided",
            turn=None,
            forms_z=7.5,
            forms_p=0.00025,
            beyond_z=6.5,
            beyond_p=0.00025,
            reading="theme",
        ),
    ),
    letterless=(),
    frequency=(),
    glitches=(),
    n_layers=12,
    is_whole=True,
    is_judged=True,
    n_rays=9_600,
    n_readable=400,
    n_found=200,
)
CENSUS_PAGE = CensusPage(
    address=Address("gpt2"),
    model=MODEL,
    view=VIEW,
    n_layers=12,
    kinds=(
        CensusKind(
            group="ov-write",
            end="write",
            n_matrices=144,
            n_rays=18_400,
            n_unjudged=32,
            readable=Estimate(0.125, Interval(0.0625, 0.1875), 144),
            discovered=0.0625,
            n_control=4_000,
            n_at_floor=1_100,
            n_needed=46,
            mean=Estimate(0.75, Interval(0.5, 1.0), 144),
            superiority=Estimate(0.625, Interval(0.5625, 0.75), 144),
            counts=(9_000, 9_000, 432),
            by_layer=(0.5,) * 6 + (1.0,) * 6,
            by_rank=(1.0,) * 5 + (0.5,) * 5,
            readable_by_rank=(0.1875,) * 5 + (0.0625,) * 5,
            early=Estimate(0.5, Interval(0.25, 0.75), 144),
            correlation=Estimate(-0.25, Interval(-0.5, 0.0), 144),
            later=Estimate(0.5, Interval(0.25, 0.75), 6),
            depths=(
                CensusDepth(
                    depth="middle",
                    layers=range(1, 10),
                    readable=Estimate(0.0625, Interval(0.03125, 0.09375), 9),
                    mean=Estimate(0.5, Interval(0.25, 0.75), 9),
                    superiority=Estimate(0.5625, Interval(0.53125, 0.625), 9),
                    early=Estimate(0.25, Interval(0.125, 0.5), 9),
                ),
            ),
        ),
    ),
    effects=(
        CensusEffect(
            "ov-write",
            "mlp-out",
            Estimate(0.5, Interval(0.25, 0.75), 12),
            Estimate(0.625, Interval(0.5, 0.75), 12),
            (EffectDepth("last", range(10, 12), Estimate(1.0, None, 2), Estimate(0.75, None, 2)),),
        ),
    ),
    spans=(
        CensusSpan(
            "ov-write",
            "all",
            24,
            SpanShares(
                None,
                Estimate(0.25, Interval(0.125, 0.375), 12),
                Estimate(0.1875, Interval(0.125, 0.25), 12),
                Estimate(0.0625, Interval(0.0, 0.125), 12),
            ),
            (
                (
                    "first",
                    SpanShares(range(1), Estimate(0.25, None, 1), Estimate(0.125, None, 1), Estimate(0.125, None, 1)),
                ),
            ),
        ),
    ),
    findings=(
        Finding(
            "order",
            "OV (write) > MLP: this holds.",
            ("OV write rays read better than MLP out rays by 0.50 (0.25 to 0.75) z. …",),
        ),
    ),
    controls=(("write", (2_000, 2_000, 0)),),
    edges=(-4.0, 8.0),
    other=(),
    other_weights="raw",
    seed=0,
    draws=6,
    depths=(range(1), range(1, 10), range(10, 12)),
    missing=(),
)
COMPARE_PAGE = ComparePage(
    address=OV,
    model=MODEL,
    view=VIEW,
    nonzeros=2,
    most=32,
    first=4,
    firsts=(4, 16, 64),
    mean_share=0.5,
    bases=(
        Compared("svd", (), 3, (0.5, 0.25, 0.0), 0.25, 0.5, 1.0, ()),
        Compared("neuron", (), 768, (0.75, 0.5, 0.25), 0.5, 0.5, 0.5, ()),
    ),
    overlaps=((1.0, 0.5), (0.5, 1.0)),
    smallest=((1.0, 0.25), (0.25, 1.0)),
    chosen=_direction(OV, 0),
    direction="svd/0",
    partners=(Partner("neuron", OV.in_basis("neuron").direction(7), (), -0.5, 0.25, None),),
    absent=(),
)
LAYER_PAGE = LayerPage(
    HEAD.at_layer(5),
    MODEL,
    VIEW,
    ((_summary(OV), _summary(QK)),),
    (HEAD.at_layer(5).at("mlp-in"), HEAD.at_layer(5).at("mlp-out")),
    HEAD.at_layer(4),
    HEAD.at_layer(6),
)
MATRIX_PAGE = _matrix(OV)
HEAD_PAGE = HeadPage(HEAD, MODEL, VIEW, MATRIX_PAGE, _matrix(QK), HEAD.at_head(2), HEAD.at_head(4))
FULL_PAGE = FullPage(
    address=HEAD,
    model=MODEL,
    view=VIEW,
    token=NamedToken(6342, " Paris", "·Paris", "text", " Paris", "·Paris"),
    rows=(
        FullRow("ov", _side("write"), _side("write"), (), 0.5, 40),
        FullRow("query", _side("key"), _side("key"), (), -0.25, 30_000),
        FullRow("key", _side("query"), _side("query"), (), -0.25, 20_000),
    ),
    n_tokens=50_257,
    suggested=(NamedToken(40313, "Paris", "Paris", "text", "Paris", "Paris"),),
    notes=("full-rows", "folded", "qk-no-write"),
    farthest=None,
    previous=HEAD.at_head(2),
    next=HEAD.at_head(4),
)
COMPOSITION_PAGE = CompositionPage(
    address=Address("gpt2"),
    model=MODEL,
    view=VIEW,
    kind="k",
    writer=None,
    reader=None,
    steps=(CompositionStep(1.75, 100, 0.15), CompositionStep(3.0, 10, 0.1)),
    n_pairs=9_504,
    pairs=(HeadPair(HEAD, HEAD.at_layer(6).at_head(0), 4.0, 0.1),),
    cells=(),
    per_layer=12,
    table=(),
)
OTHER_OV = replace(OV, layer=6, head=0, basis="svd")
CONTRAST_PAGE = ContrastPage(
    a="gpt2/L5/H3/ov",
    b="gpt2/L6/H0/ov",
    first=ContrastPlace(replace(OV, basis="svd"), MODEL, VIEW, (1.5, 0.5), 4.0),
    second=ContrastPlace(OTHER_OV, MODEL, VIEW, (1.25, 0.75), 2.0),
    spans=(ContrastSpan("write", (2, 2), (0.75, 0.25), (0.25, 0.125), 0.3, 0.05),),
    matches=(
        Match(
            OV.direction(0),
            OTHER_OV.direction(1),
            -0.5,
            (("read", -0.5), ("write", -0.5)),
            (ContrastEnd("write", ("p", "n"), _side("write").plus[:1], _side("write").plus[1:], (), 1, 20),),
        ),
    ),
    matched=0.5,
    chance=0.1,
)
ALIKE_PAGE = AlikePage(
    HEAD,
    MODEL,
    VIEW,
    (
        AlikeSide(
            side="read",
            rank=64,
            chance=5.0,
            spread=0.1,
            nearest=(AlikeHead(HEAD.at_layer(6).at_head(0), 1, 16.0, 0.25, 99.0),),
            siblings=(),
            is_shared=True,
        ),
    ),
    HEAD.at_head(2),
    HEAD.at_head(4),
)
DIRECTION_PAGE = DirectionPage(
    address=OV.direction(1),
    model=MODEL,
    view=VIEW,
    direction=_direction(OV, 1),
    rank=3,
    singular_values=VALUES,
    indices=(0, 1, 2),
    left_histogram=Histogram(-1.5, 1.5, (7, 20_000, 30_250), 0.25, 0.5),
    right_histogram=Histogram(-1.5, 1.5, (7, 20_000, 30_250), 0.25, None),
    controls=(ControlSpread("read", -0.25, 0.5, (1_000, 2_500, 500), 0.125, 0.0625), None),
    rotations=(ControlSpread("read", -0.25, 0.5, (128, 320, 64), 0.125, 0.0625), None),
    positions=(),
    same=(),
    tabs=MATRIX_PAGE.tabs,
    notes=("folded",),
    farthest=None,
    previous=OV.direction(0),
    next=OV.direction(2),
)
BLIND_PAGE = BlindPage(
    address=Address("gpt2"),
    model=MODEL,
    view=VIEW,
    seed=1,
    of="all",
    answers="l" * 10,
    n_rounds=10,
    n_directions=8,
    obstacle=None,
    columns=None,
    results=(
        BlindResult(
            columns=(
                (TokenEntry(511, " their", "·their", "text"), TokenEntry(484, " they", "·they", "text")),
                (TokenEntry(6342, " Paris", "·Paris", "text"), TokenEntry(339, " he", "·he", "text")),
            ),
            answer="l",
            right="l",
            direction=OV.direction(1),
            side="write",
            ray="p",
            z=2.5,
            p=0.03125,
        ),
    ),
    n_right=1,
    by_chance=0.5,
    next_seed=2,
)
JOB_PAGE = JobPage(
    job=Job(
        id="0123456789ab",
        slug="gpt2",
        fingerprint=FINGERPRINT,
        task=Task(("ov", "qk"), ("folded",)),
        created=1_700_000_000.0,
        updated=1_700_000_003.0,
        started=1_700_000_001.0,
        state="running",
        stage="L5, folded",
        layers_done=4,
        layers=12,
        matrices_done=96,
        matrices_found=0,
        matrices=288,
        unsettled=64,
        rays=24_576,
        compute_seconds=1.5,
        write_seconds=0.5,
    ),
    title="gpt2: OV and QK, folded",
    progress="4 of 12 layers, 48 matrices/s, 4 s left (L5, folded)",
    command="singular-lens precompute gpt2 --matrices ov,qk --weights folded",
    seconds=2.0,
    is_ending=False,
    may_cancel=False,
    may_start=False,
    result=None,
)

SEARCH_PAGE = SearchPage(
    address=parse("gpt2"),
    model=MODEL,
    view=VIEW,
    inquiry=Inquiry("writing"),
    terms=(
        AskedTerm(
            "writing",
            "word",
            is_minus=False,
            tokens=(NamedToken(3597, " writing", "·writing", "text", "writing", "·writing"),),
            variants=(Offer("Writing", NamedToken(22183, " Writing", "·Writing", "text", "Writing", "·Writing")),),
        ),
    ),
    found=(
        FoundRay(
            address=OV.direction(1),
            ray="p",
            side="write",
            theme=0.5,
            alignment=0.25,
            expected=0.0078125,
            gain=1.25,
            strength=2.5,
            z=4.5,
            p=0.0009765625,
            reading="theme",
            is_letterless=False,
            tokens=(Token(3597, " writing", "·writing", "text", 1.0), Token(2630, " wrote", "·wrote", "text", 0.75)),
            asked=(Hit("p", 1, Token(3597, " writing", "·writing", "text", 1.0), is_whole=True),),
            other=None,
        ),
    ),
    n_found=1,
    searched=Searched(
        n_rays=100_000,
        share=1.0,
        n_controls=33_000,
        n_beyond=8,
        n_beyond_by_chance=3.0,
        rank=1,
        fdr=0.0,
        n_aligned=1,
        stands_out=True,
    ),
)

EXAMPLES: dict[str, object] = {
    "models": twin.home_json(HOME_PAGE, URLS),
    "jobs": twin.jobs_json(JobsPage(None, False, (JOB_PAGE,), ()), URLS),
    "job": twin.job_json(JOB_PAGE, URLS),
    "model": twin.model_json(MODEL_PAGE, URLS),
    "notable": twin.notable_json(NOTABLE_PAGE, URLS),
    "census": twin.census_json(CENSUS_PAGE, URLS),
    "blind": twin.blind_json(BLIND_PAGE, URLS),
    "search": twin.search_json(SEARCH_PAGE, URLS),
    "every": twin.every_json(EveryPage("writing", (SEARCH_PAGE,), ()), URLS),
    "layer": twin.layer_json(LAYER_PAGE, URLS),
    "head": twin.head_json(HEAD_PAGE, URLS),
    "full": twin.full_json(FULL_PAGE, URLS),
    "composition": twin.composition_json(COMPOSITION_PAGE, URLS),
    "contrast": twin.contrast_json(CONTRAST_PAGE, URLS),
    "alike": twin.alike_json(ALIKE_PAGE, URLS),
    "matrix": twin.matrix_json(MATRIX_PAGE, URLS),
    "comparison": twin.compare_json(COMPARE_PAGE, URLS),
    "decomposition": twin.matrix_json(replace(MATRIX_PAGE, address=replace(OV, basis="svd")), URLS),
    "direction": twin.direction_page_json(DIRECTION_PAGE, URLS),
}
"""Name of a route of the API -> an example of its answer."""
