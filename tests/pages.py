"""Made-up pages, for tests of what is made of a page.

The tokens are GPT-2's; the numbers are invented, and round so that it shows.
"""

from app.core.address import Address, parse
from app.core.judging.bootstrap import Estimate, Interval
from app.explorer.header import Model
from app.explorer.pages.blind import BlindPage, BlindResult
from app.explorer.pages.census import (
    AxesShares,
    CensusAxes,
    CensusComparison,
    CensusDepth,
    CensusKind,
    CensusPage,
    CensusSpan,
    CensusUse,
    ComparisonDepth,
    Finding,
    SpanShares,
)
from app.explorer.pages.compare import Compared, ComparePage, Partner
from app.explorer.pages.composition import ComposedPair, CompositionPage, CompositionStep
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
from app.explorer.pages.matrices import HeadPage, MatrixPage
from app.explorer.pages.rays import Judgement, Rays, Token, Verdict
from app.explorer.view import Side, Tab, View
from app.models.vocabulary import TokenEntry

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
    runs=True,
    checks=(("query", 2e-7), ("logits", 5e-7)),
    unfoldable=None,
    quantised=None,
)
HEAD = parse("gpt2/L5/H3")
VALUES = (4.0, 2.0, 1.0)


def _side(name: Side) -> SideReadout:
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
        largest_distance=None,
        previous=address.at_head(2).at("ov"),
        next=address.at_head(4).at("ov"),
    )


OV, QK = HEAD.at("ov"), HEAD.at("qk")
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
    layers=12,
    whole=True,
    judged=True,
    n_rays=9_600,
    n_readable=400,
    n_found=200,
)
CENSUS_PAGE = CensusPage(
    address=Address("gpt2"),
    model=MODEL,
    view=VIEW,
    layers_read=12,
    kinds=(
        CensusKind(
            kind="ov-write",
            end="write",
            matrices=144,
            rays=18_400,
            unjudged=32,
            readable=Estimate(0.125, Interval(0.0625, 0.1875), 144),
            discovered=0.0625,
            controls=4_000,
            at_floor=1_100,
            needed_at_floor=46,
            mean_z=Estimate(0.75, Interval(0.5, 1.0), 144),
            larger_than_random=Estimate(0.625, Interval(0.5625, 0.75), 144),
            counts=(9_000, 9_000, 432),
            by_layer=(0.5,) * 6 + (1.0,) * 6,
            by_rank=(1.0,) * 5 + (0.5,) * 5,
            readable_by_rank=(0.1875,) * 5 + (0.0625,) * 5,
            first_minus_last=Estimate(0.5, Interval(0.25, 0.75), 144),
            rank_correlation=Estimate(-0.25, Interval(-0.5, 0.0), 144),
            later_minus_first=Estimate(0.5, Interval(0.25, 0.75), 6),
            depths=(
                CensusDepth(
                    depth="middle",
                    layers=range(1, 10),
                    readable=Estimate(0.0625, Interval(0.03125, 0.09375), 9),
                    mean_z=Estimate(0.5, Interval(0.25, 0.75), 9),
                    larger_than_random=Estimate(0.5625, Interval(0.53125, 0.625), 9),
                    first_minus_last=Estimate(0.25, Interval(0.125, 0.5), 9),
                ),
            ),
        ),
    ),
    comparisons=(
        CensusComparison(
            "ov-write",
            "mlp-out",
            Estimate(0.5, Interval(0.25, 0.75), 12),
            Estimate(0.625, Interval(0.5, 0.75), 12),
            (ComparisonDepth("last", range(10, 12), Estimate(1.0, None, 2), Estimate(0.75, None, 2)),),
        ),
    ),
    spans=(
        CensusSpan(
            "ov-write",
            "all",
            24,
            (
                SpanShares(
                    None,
                    None,
                    Estimate(0.25, Interval(0.125, 0.375), 12),
                    Estimate(0.1875, Interval(0.125, 0.25), 12),
                    Estimate(0.0625, Interval(0.0, 0.125), 12),
                ),
                SpanShares(
                    "first",
                    range(1),
                    Estimate(0.25, None, 1),
                    Estimate(0.125, None, 1),
                    Estimate(0.125, None, 1),
                ),
            ),
        ),
    ),
    uses=(
        CensusUse(
            "ov-write", Estimate(0.0625, Interval(0.0, 0.125), 12), 2_300, Estimate(0.5625, Interval(0.5, 0.625), 12)
        ),
        CensusUse("ov-read", None, 0, None),
    ),
    axes=(
        CensusAxes(
            "ov-write",
            "first",
            144,
            (
                AxesShares(
                    None,
                    None,
                    Estimate(0.125, Interval(0.0625, 0.1875), 12),
                    Estimate(0.25, Interval(0.1875, 0.3125), 12),
                    Estimate(0.0625, Interval(0.03125, 0.09375), 12),
                    Estimate(0.09375, None, 12),
                    Estimate(-0.125, Interval(-0.1875, -0.0625), 12),
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
    low=-4.0,
    high=8.0,
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
MATRIX_PAGE = _matrix(OV)
HEAD_PAGE = HeadPage(HEAD, MODEL, VIEW, MATRIX_PAGE, _matrix(QK), HEAD.at_head(2), HEAD.at_head(4))
COMPOSITION_PAGE = CompositionPage(
    address=Address("gpt2"),
    model=MODEL,
    view=VIEW,
    kind="k",
    writer=None,
    reader=None,
    steps=(CompositionStep(1.75, 100, 0.15), CompositionStep(3.0, 10, 0.1)),
    n_pairs=9_504,
    pairs=(ComposedPair(HEAD, HEAD.at_layer(6).at_head(0), 4.0, 0.1),),
    cells=(),
    per_layer=12,
    table=(),
)
ONE = _direction(OV, 1)
DIRECTION_PAGE = DirectionPage(
    address=ONE.address,
    index=ONE.index,
    singular_value=ONE.singular_value,
    energy_share=ONE.energy_share,
    gap=ONE.gap,
    badge=ONE.badge,
    left=ONE.left,
    right=ONE.right,
    model=MODEL,
    view=VIEW,
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
    largest_distance=None,
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
            address=OV.direction(1),
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
