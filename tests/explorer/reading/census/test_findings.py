"""Sentences about numbers: none may say more than the interval allows."""

import dataclasses
import itertools
import re

import pytest

from app.core.judging.bootstrap import Estimate, Interval
from app.explorer.pages.census import (
    AxesShares,
    CensusAxes,
    CensusComparison,
    CensusDepth,
    CensusKind,
    CensusSpan,
    CensusUse,
    ComparisonDepth,
    SpanShares,
)
from app.explorer.reading.census.axes import answer_axes, describe_axes
from app.explorer.reading.census.estimates import as_points, as_shares, format_estimate, format_hundredths
from app.explorer.reading.census.findings import (
    answer_components,
    answer_layers,
    answer_order,
    answer_questions,
    answer_random,
    answer_rank,
    answer_size,
    describe_comparison,
    describe_early,
    describe_kind,
    describe_later,
)
from app.explorer.reading.census.kinds import name_ends, name_group
from app.explorer.reading.census.spans import answer_span, describe_span
from tests.pages import CENSUS_PAGE

BETTER = Estimate(0.42, Interval(0.2, 0.61), 24)
WORSE = Estimate(-0.42, Interval(-0.61, -0.2), 24)
OPEN = Estimate(0.42, Interval(-0.1, 0.9), 24)
ALONE = Estimate(0.42, None, 1)
CHANCE = Estimate(0.013, Interval(0.006, 0.021), 24)
HARDLY = Estimate(0.2, Interval(0.003, 0.4), 24)
LAYERS = {"first": range(1), "middle": range(1, 24), "last": range(24, 30)}
CLAIMS = (" better ", " worse ", " holds ", "other way")


def as_rays(mean):
    """Single rays that say what the mean does."""
    return mean._replace(
        value=0.5 + mean.value / 10, interval=mean.interval and Interval(*(0.5 + end / 10 for end in mean.interval))
    )


def of_rays(value, low, high):
    return Estimate(value, Interval(low, high), 24)


def few(n):
    return Estimate(0.42, None, n)


def comparison(difference, group="ov-write", other="mlp-out", superiority=None, depths=()):
    return CensusComparison(group, other, difference, superiority or as_rays(difference), depths)


def compared_at(**means):
    """At each depth: comparison(BETTER, depths=compared_at(middle=OPEN, last=BETTER))."""
    return tuple(ComparisonDepth(depth, LAYERS[depth], mean, as_rays(mean)) for depth, mean in means.items())


def kind_at(**means):
    """The same of a kind."""
    return tuple(CensusDepth(depth, LAYERS[depth], CHANCE, mean, as_rays(mean), mean) for depth, mean in means.items())


def kind(mean, group="ov-write", **changes):
    rays = as_rays(mean)
    same = {
        "first_minus_last": mean,
        "rank_correlation": mean,
        "later_minus_first": mean,
        "larger_than_random": rays,
        "readable": CHANCE,
    } | changes
    return CensusKind(
        kind=group,
        end="write",
        matrices=24,
        rays=1536,
        unjudged=0,
        mean_z=mean,
        counts=(),
        by_layer=(),
        by_rank=(),
        **NUMBERS | same,
    )


NUMBERS = {
    "depths": (),
    "discovered": 0.05,
    "controls": 4_000,
    "at_floor": 12,
    "needed_at_floor": 4,
    "readable_by_rank": (),
}


def test_a_difference_above_zero_is_better():
    said = describe_comparison(comparison(BETTER), 64)
    assert said == (
        "OV write ends read better than MLP out ends by 0.42 (0.20 to 0.61) z. Of two ends, one of each, the first has "
        "the larger z 54.2% (52.0% to 56.1%) of the time."
    )


def test_a_difference_below_zero_is_worse_by_its_size():
    assert "OV write ends read worse than MLP out ends by 0.42 (0.20 to 0.61) z" in describe_comparison(
        comparison(WORSE), 64
    )


@pytest.mark.parametrize("estimate", [OPEN, ALONE, HARDLY, Estimate(-0.2, Interval(-0.4, -0.001), 9)])
def test_nothing_is_claimed_where_the_interval_holds_zero_or_is_none(estimate):
    one = kind(estimate)
    said = [
        describe_comparison(comparison(estimate), 64),
        describe_kind(one, 64),
        *describe_early(one),
        *describe_later(one),
    ]
    assert len(said) == 4
    for sentence in said:
        assert not any(word in sentence for word in CLAIMS)
        assert ("nothing is claimed" in sentence) == (estimate is ALONE)
        assert ("not told apart" in sentence) == (estimate is not ALONE)


@pytest.mark.parametrize(("estimate", "word"), [(BETTER, " better "), (WORSE, " worse ")])
def test_every_sentence_has_the_side_of_its_interval(estimate, word):
    one = kind(estimate)
    for sentence in (
        describe_comparison(comparison(estimate), 64),
        describe_kind(one, 64),
        *describe_early(one),
        *describe_later(one),
    ):
        assert word in sentence
        assert not any(other in sentence for other in CLAIMS if other != word)


def test_one_matrix_is_named_as_the_reason():
    assert describe_kind(kind(ALONE, "embed"), 64).endswith(" One matrix, so nothing is claimed.")
    assert describe_kind(kind(few(3), "mlp-out"), 64).endswith(" Matrices of 3 layers, so nothing is claimed.")
    answer = answer_random([kind(BETTER), kind(ALONE, "unembed"), kind(ALONE, "embed")])
    assert answer.endswith(" Unembedding, embedding: one matrix each, so nothing is claimed.")
    assert answer_random([kind(ALONE, "embed")]) == "Embedding: one matrix, so nothing is claimed."
    some = [kind(few(3), "mlp-in"), kind(ALONE, "embed")]
    assert answer_rank(some) == "MLP in, embedding: fewer than 5 layers each, so nothing is claimed."


def test_the_reason_is_the_number_behind_the_estimate():
    # Seven matrices, of which three have directions enough for quarters.
    one = kind(BETTER, "mlp-in", first_minus_last=few(3))
    assert next(describe_early(one)).endswith(" Matrices of 3 layers, so nothing is claimed.")
    assert answer_rank([one]) == "MLP in: matrices of 3 layers, so nothing is claimed."
    assert answer_rank([one, kind(BETTER)]).endswith(" MLP in: matrices of 3 layers, so nothing is claimed.")


def test_the_prediction_is_said_step_by_step():
    pairs = {
        ("qk-query", "mlp-in"): WORSE,
        ("qk-key", "mlp-in"): OPEN,
        ("ov-read", "mlp-in"): BETTER,
        ("ov-write", "mlp-out"): BETTER,
        ("mlp-out", "embed"): ALONE,
    }
    said = answer_order([comparison(estimate, *pair) for pair, estimate in pairs.items()])
    assert said == (
        "OV (read) > MLP, OV (write) > MLP: this holds. QK (query) > MLP: the other way round. QK (key) > MLP: not told "
        "apart. MLP > embedding: one matrix or fewer than 5 layers on one side, so nothing is claimed."
    )


def test_size_is_answered_for_each_side():
    pairs = {
        ("qk-query", "mlp-in-cut"): OPEN,
        ("qk-key", "mlp-in-cut"): OPEN,
        ("ov-read", "mlp-in-cut"): WORSE,
        ("ov-write", "mlp-out-cut"): BETTER,
        ("mlp-out-cut", "mlp-out"): BETTER,
    }
    assert answer_size([comparison(estimate, *pair) for pair, estimate in pairs.items()], 64) == (
        "OV write: better than 64 neurons of the MLP drawn at random. OV read: worse than 64 neurons of the MLP drawn at "
        "random. QK query, QK key: not told apart from 64 neurons of the MLP drawn at random."
    )


def test_without_an_mlp_of_its_own_size_is_asked_of_the_embedding():
    said = answer_size([comparison(BETTER, "ov-write", "embed-cut")], 64)
    assert said == "OV write: better than the embedding in 64 dimensions drawn at random."


@pytest.mark.parametrize("answer", [answer_random, answer_rank, answer_layers])
def test_answers_put_every_kind_under_its_verdict(answer):
    kinds = [
        kind(OPEN),
        kind(BETTER, "ov-read"),
        kind(ALONE, "embed"),
        kind(WORSE, "mlp-in"),
        kind(BETTER, "qk-key"),
    ]
    parts = answer(kinds).removesuffix(".").split(". ")
    assert len(parts) == 4
    assert "OV read, QK key" in parts[0]
    assert "MLP in" in parts[1]
    assert "ot told apart" in parts[2]
    assert "OV write" in parts[2]
    assert "nothing is claimed" in parts[3]
    assert "mbedding" in parts[3]


WINS, LOSES, EVEN = of_rays(0.53, 0.503, 0.56), of_rays(0.45, 0.44, 0.46), of_rays(0.502, 0.49, 0.51)
BARELY = of_rays(0.502, 0.5004, 0.51)
"""More than half, but not as it is shown."""


BOTH = [
    (BETTER, WINS, "more"),
    (WORSE, LOSES, "less"),
    (OPEN, EVEN, "open"),
    (OPEN, BARELY, "open"),
    (BETTER, LOSES, "mixed, the mean higher and single ends lower"),
    (BETTER, EVEN, "mixed, the mean higher and single ends not told apart"),
    (BETTER, BARELY, "mixed, the mean higher and single ends not told apart"),
    (WORSE, WINS, "mixed, the mean lower and single ends higher"),
    (WORSE, EVEN, "mixed, the mean lower and single ends not told apart"),
    (OPEN, WINS, "mixed, the mean not told apart and single ends higher"),
    (OPEN, LOSES, "mixed, the mean not told apart and single ends lower"),
]


def said_of(mean, superiority):
    """Every sentence about two kinds, and about one beside random directions: evidence, answers."""
    pair, beside = (comparison(mean, other=other, superiority=superiority) for other in ("mlp-out", "mlp-out-cut"))
    one = kind(mean, larger_than_random=superiority)
    evidence = [describe_comparison(pair, 64), describe_comparison(beside, 64), describe_kind(one, 64)]
    return evidence, [answer_order([pair]), answer_size([beside], 64), answer_random([one])]


@pytest.mark.parametrize(("mean", "superiority", "verdict"), BOTH)
def test_a_claim_needs_the_mean_and_the_rays(mean, superiority, verdict):
    for said in itertools.chain(*said_of(mean, superiority)):
        better, worse = (
            any(word in f" {said.lower()}" for word in words)
            for words in ((" better ", "holds"), (" worse ", "other way"))
        )
        assert (better, worse) == (verdict == "more", verdict == "less")
        assert ("mixed" in said) == verdict.startswith("mixed")
        assert verdict.removeprefix("mixed") in said or not verdict.startswith("mixed")
        assert ("ot told apart" in said) == (verdict == "open" or "not told apart" in verdict)


@pytest.mark.parametrize(("mean", "superiority", "verdict"), BOTH)
def test_both_intervals_are_always_shown(mean, superiority, verdict):
    evidence, _ = said_of(mean, superiority)
    for said in evidence:
        assert all(format_hundredths(abs(number)) in said for number in (mean.value, *mean.interval))
        assert f"the first has the larger z {as_shares(superiority)} of the time." in said


def test_what_is_mixed_stands_after_what_is_claimed():
    kinds = [
        kind(ALONE, "embed"),
        kind(BETTER, larger_than_random=LOSES),
        kind(OPEN, "mlp-in", larger_than_random=WINS),
        kind(WORSE, "qk-key"),
        kind(OPEN, "qk-query"),
        kind(BETTER, "ov-read", larger_than_random=LOSES),
    ]
    assert answer_random(kinds) == (
        "QK key: worse than random directions. QK query: not told apart from random directions. OV write, OV read: mixed "
        "beside random directions, the mean higher and single ends lower. MLP in: mixed beside random directions, the mean "
        "not told apart and single ends higher. Embedding: one matrix, so nothing is claimed."
    )


MORE = Estimate(0.025, Interval(0.017, 0.031), 24)
HARDLY_MORE = Estimate(0.025, Interval(0.0104, 0.031), 24)


def test_more_readable_rays_than_chance_has_are_said_of_what_is_not_better():
    kinds = [
        kind(BETTER, readable=MORE),
        kind(OPEN, "mlp-in", readable=MORE),
        kind(OPEN, "mlp-out", larger_than_random=WINS, readable=MORE),
        kind(OPEN, "qk-key", readable=HARDLY_MORE),
        kind(ALONE, "embed", readable=Estimate(0.2, None, 1)),
    ]
    assert answer_random(kinds).endswith(" Of MLP in, MLP out, more ends have p < .01 than chance gives.")
    assert "chance" not in answer_random([kind(BETTER, readable=MORE), kind(OPEN, "qk-key")])
    assert " 2.5% (1.7% to 3.1%) have p < .01, where chance has 1%." in describe_kind(kinds[1], 64)


def test_findings_of_layers_wait_for_all_layers():
    kinds, comparisons = (
        [kind(BETTER), kind(BETTER, "mlp-out-cut")],
        [comparison(BETTER), comparison(OPEN, other="mlp-out-cut")],
    )
    part, whole = (
        answer_questions(kinds, comparisons, [span(SMALL)], [], [], 64, is_whole) for is_whole in (False, True)
    )
    assert [one.about for one in part] == ["order", "size", "span", "random", "rank"]
    assert [one.about for one in whole] == ["order", "size", "span", "random", "rank", "layers"]
    assert part == whole[:5]
    assert part[1].evidence == (
        "OV write ends and ends of 64 neurons of MLP out are not told apart: 0.42 (−0.10 to 0.90) z. Of two ends, one of "
        "each, the first has the larger z 54.2% (49.0% to 59.0%) of the time.",
    )
    # Controls are judged beside random directions, but answer no question of their own.
    assert [len(one.evidence) for one in whole] == [1, 1, 1, 2, 1, 1]


def answers(mean, **depths):
    """What is answered of a kind, and of a comparison, that are so at those depths."""
    one = kind(mean, depths=kind_at(**depths))
    pair, beside = (comparison(mean, other=other, depths=compared_at(**depths)) for other in ("mlp-out", "mlp-out-cut"))
    return answer_order([pair]), answer_size([beside], 64), answer_random([one]), answer_rank([one])


@pytest.mark.parametrize(
    ("mean", "depths", "ends"),
    [
        (BETTER, {}, ""),
        (BETTER, {"middle": ALONE, "last": ALONE}, ""),
        (BETTER, {"first": ALONE, "middle": BETTER, "last": BETTER}, ", in the middle layers and in the last fifth of layers alike"),
        (BETTER, {"middle": BETTER, "last": ALONE}, ", in the middle layers by themselves, too"),
        (BETTER, {"middle": OPEN, "last": BETTER}, " in the last fifth of layers alone (in the middle layers not told apart)"),
        (WORSE, {"middle": WORSE, "last": OPEN}, " in the middle layers alone (in the last fifth of layers not told apart)"),
        (BETTER, {"middle": OPEN, "last": OPEN}, "; in the middle layers and in the last fifth of layers not told apart"),
        (OPEN, {"middle": OPEN, "last": OPEN}, ""),
    ],
)  # fmt: skip
def test_an_answer_names_the_depth_where_it_is_so(mean, depths, ends):
    for said in answers(mean, **depths):
        assert said.endswith(f"{ends}.")
        assert ("layers" in said) == bool(ends)
        assert ("over all layers" in said) == (ends.startswith(";"))


def test_what_is_so_in_the_last_fifth_alone_is_not_said_of_all_layers():
    first, *_ = answers(OPEN, middle=WORSE, last=BETTER)
    assert first == (
        "OV (write) > MLP: over all layers not told apart; in the middle layers the other way round; in the last fifth of "
        "layers this holds."
    )
    mixed = (
        ComparisonDepth("middle", range(1, 24), BETTER, EVEN),
        ComparisonDepth("last", range(24, 30), BETTER, WINS),
    )
    assert answer_order([comparison(BETTER, depths=mixed)]) == (
        "OV (write) > MLP: this holds in the last fifth of layers alone (in the middle layers mixed)."
    )


def test_evidence_has_the_numbers_of_each_depth():
    means = {"first": ALONE, "middle": OPEN, "last": BETTER}
    one = kind(BETTER, depths=kind_at(**means))
    said = [
        describe_comparison(comparison(BETTER, depths=compared_at(**means)), 64),
        describe_kind(one, 64),
        *describe_early(one),
    ]
    for sentence in said:
        first, middle, last = re.search(
            r" Layer 0: (.*)\. Layers 1–23: (.*)\. Layers 24–29: (.*)\.$", sentence
        ).groups()
        assert "0.42" in first
        assert format_estimate(OPEN) not in first
        assert format_estimate(OPEN) in middle
        assert format_estimate(BETTER) in last
    assert describe_kind(kind(ALONE, "embed"), 64).endswith("nothing is claimed.")


def test_readable_rays_are_said_by_depth():
    shares = {"first": 0.036, "middle": 0.025, "last": 0.216}
    depths = tuple(
        CensusDepth(depth, LAYERS[depth], Estimate(share, None, 1), OPEN, EVEN, None) for depth, share in shares.items()
    )
    said = answer_layers([kind(BETTER, depths=depths), kind(ALONE, "embed", later_minus_first=None)])
    assert said == (
        "OV write: yes. Ends with p < .01 in layer 0, layers 1–23 and layers 24–29: OV write 3.6%, 2.5% and 21.6%."
    )


def test_more_readable_rays_than_chance_are_said_of_their_depth():
    def at(**shares):
        return tuple(CensusDepth(depth, LAYERS[depth], share, OPEN, EVEN, None) for depth, share in shares.items())

    for whole, depths, where in (
        (MORE, at(middle=CHANCE, last=MORE), " (in the last fifth of layers alone)"),
        (CHANCE, at(middle=CHANCE, last=MORE), " (in the last fifth of layers alone)"),
        (MORE, at(middle=CHANCE, last=CHANCE), " (over all layers together)"),
        (MORE, at(middle=MORE, last=MORE), ""),
        (MORE, at(middle=ALONE, last=ALONE), ""),
    ):
        said = answer_random([kind(OPEN, "qk-query", readable=whole, depths=depths)])
        assert f" Of QK query{where}, more ends have p < .01 than chance gives." in said
    assert "chance" not in answer_random([kind(OPEN, readable=CHANCE, depths=at(middle=CHANCE, last=CHANCE))])


def shares(difference, own=0.213, random=0.197, depth=None):
    return SpanShares(depth, depth and LAYERS[depth], Estimate(own, None, 6), Estimate(random, None, 6), difference)


SMALL, CLEAR = Estimate(0.016, Interval(-0.001, 0.031), 6), Estimate(0.207, Interval(0.1, 0.3), 6)


def span(whole, among="all", group="ov-write", **depths):
    parts = (shares(difference, depth=depth) for depth, difference in depths.items())
    return CensusSpan(group, among, 60, (shares(whole, 0.065, 0.061), *parts))


def test_directions_beside_their_spans():
    said = answer_span(
        [
            span(SMALL, first=ALONE, middle=SMALL, last=SMALL),
            span(SMALL, group="ov-read"),
            span(CLEAR, "first", first=ALONE, middle=SMALL, last=CLEAR),
        ]
    )
    assert said == (
        "OV write, OV read: not told apart from random vectors of the same span. Ranks 0–3 of OV write: more readable "
        "than random vectors weighted by singular value in the last fifth of layers alone (in the middle layers not told apart). "
        "OV write in layers 24–29, 2 heads of each drawn: 21.3% of singular directions' ends have p < .01, 19.7% of the "
        "random vectors'; ranks 0–3: 21.3% against 19.7%."
    )
    assert answer_span([]) == ""
    assert "nothing is claimed" in answer_span([span(ALONE)])


def axes_of(whole, among="all", **depths):
    own = (("", None, whole), *((depth, LAYERS[depth], difference) for depth, difference in depths.items()))
    parts = (
        AxesShares(depth or None, layers, *(Estimate(share, None, 9) for share in (0.05, 0.07, 0.02, 0.04)), difference)
        for depth, layers, difference in own
    )
    return CensusAxes("ov-write", among, 60, tuple(parts))


def test_output_axes_beside_singular_directions():
    less = CLEAR._replace(value=-CLEAR.value, interval=Interval(-CLEAR.interval.high, -CLEAR.interval.low))
    said = answer_axes([axes_of(SMALL), axes_of(less, "first", middle=SMALL, last=less)])
    assert said == (
        "Axes of OV write: not told apart from singular directions. The first 4 axes of OV write: less readable than the 4 strongest "
        "singular directions in the last fifth of layers alone (in the middle layers not told apart)."
    )
    assert "less readable" not in answer_axes([axes_of(SMALL), axes_of(ALONE, "first")])
    assert answer_axes([]) == ""
    described = describe_axes(axes_of(less, "first", last=ALONE))
    assert described.startswith("The first 4 output axes, write: p < .01 have 5.0% of the ends, 7.0% of those of")
    assert "; 2.0% of those of random vectors weighted by singular value." in described
    assert "Layers 24–29: 5.0% against 7.0%, 42.0 points; random 2.0%." in described
    every = describe_axes(axes_of(less, last=ALONE))
    assert (
        "4.0% in the heads that random vectors of the same span were drawn of, 2.0% of the ends of these vectors."
        in every
    )
    assert "Layers 24–29: 5.0% against 7.0%, 42.0 points; 4.0% against random 2.0%." in every


def test_evidence_of_spans_has_the_numbers_of_each_depth():
    said = describe_span(span(CLEAR, "first", "qk-key", first=ALONE, last=SMALL))
    assert said == (
        "Ranks 0–3 of QK key: p < .01 have 6.5% of the ends, 6.1% of those of random vectors weighted by singular value: "
        "20.7 (10.0 to 30.0) points. Layer 0: 21.3% against 19.7%, 42.0 points. Layers 24–29: 21.3% against 19.7%, 1.6 "
        "(−0.1 to 3.1) points."
    )


def test_less_than_nothing_is_no_difference():
    assert as_points(Estimate(-0.0001, Interval(-0.0203, 0.0001), 9)) == "0.0 (−2.0 to 0.0) points"


def test_what_so_few_controls_cannot_show_is_said():
    said = describe_kind(kind(OPEN, "qk-key", discovered=0.0, needed_at_floor=87), 64)
    assert said.endswith(
        " None can be shown with 4,000 random ends: p is never below 1 in 4,001, so of the 1,536 QK key ends 87 must stand "
        "there before any is found at a false discovery rate of 10%; 12 do."
    )
    for changes in ({"discovered": 0.01}, {"discovered": 0.0, "at_floor": 0}, {}):
        assert "None can be shown" not in describe_kind(kind(OPEN, "qk-key", **{"needed_at_floor": 87, **changes}), 64)


def test_components_are_answered_by_tenths():
    shares = (0.0171, *[0.1] * 8, 0.259)
    one = kind(few(1), "embed-pca", readable_by_rank=shares, first_minus_last=Estimate(-3.12, None, 1))
    plain = kind(few(1), "embed", readable_by_rank=(None, *shares[1:]))
    assert answer_components([kind(BETTER), plain, one]) == (
        "More of the late ones do: of the first tenth of them 1.7%, of the last 25.9% of the ends have p < .01, where "
        "chance has 1%. Mean z of the first quarter minus that of the last is −3.12. One matrix, so nothing is claimed of "
        "others."
    )
    for changed, said in (((0.3, 0.1), "More of the early ones do"), ((0.1, 0.1), "As many do of both")):
        assert answer_components([dataclasses.replace(one, readable_by_rank=changed)]).startswith(
            f"{said}: of the first"
        )
    (found,) = (
        each
        for each in answer_questions([plain, one], [], [], [], [], 64, is_whole=False)
        if each.about == "components"
    )
    assert found.evidence == (
        "Embedding: p < .01 in each tenth, the strongest first: –, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 25.9%.",
        "Principal components of the embedding: p < .01 in each tenth, the strongest first: 1.7, 10.0, 10.0, 10.0, 10.0, "
        "10.0, 10.0, 10.0, 10.0, 25.9%.",
    )
    assert answer_components([plain]) == answer_components([kind(few(1), "embed-pca")]) == ""


def test_an_answer_has_a_line_for_each_sentence():
    kinds = [kind(BETTER, readable=MORE), kind(OPEN, "qk-key", readable=MORE), kind(ALONE, "embed")]
    (found,) = (one for one in answer_questions(kinds, [], [], [], [], 64, is_whole=False) if one.about == "random")
    assert found.lines == (
        "OV write: better than random directions.",
        "QK key: not told apart from random directions.",
        "Embedding: one matrix, so nothing is claimed.",
        "Of QK key, more ends have p < .01 than chance gives.",
    )
    assert " ".join(found.lines) == found.answer


@pytest.mark.parametrize("n_layers", [12, 11])
def test_as_many_intervals_are_counted_as_are_shown(n_layers):
    at = kind_at(first=ALONE, middle=OPEN, last=BETTER)
    kinds = [
        kind(BETTER, depths=at),
        kind(OPEN, "mlp-in"),
        kind(BETTER, "mlp-out-cut", depths=at),
        kind(ALONE, "embed"),
    ]
    comparisons = [
        comparison(BETTER, depths=compared_at(first=ALONE, middle=OPEN, last=BETTER)),
        comparison(OPEN, other="mlp-out-cut"),
        comparison(ALONE, "mlp-out", "embed"),
    ]
    spans = [span(SMALL, middle=SMALL, last=ALONE), span(CLEAR, "first")]
    uses = [CensusUse("ov-read", BETTER, 9, None), CensusUse("ov-write", ALONE, 9, as_rays(OPEN))]
    axes = [axes_of(SMALL), axes_of(CLEAR, "first", last=ALONE)]
    said = answer_questions(kinds, comparisons, spans, uses, axes, 64, is_whole=n_layers == 12)
    page = dataclasses.replace(
        CENSUS_PAGE,
        kinds=tuple(kinds),
        comparisons=tuple(comparisons),
        spans=tuple(spans),
        uses=tuple(uses),
        axes=tuple(axes),
        findings=said,
        layers_read=n_layers,
    )
    shown = [re.findall(r"\([^()]+ to [^()]+\)", sentence) for one in said for sentence in one.evidence]
    assert page.n_intervals == sum(map(len, shown)) > 10


def test_a_model_of_heads_alone_has_no_prediction():
    assert [one.about for one in answer_questions([kind(BETTER)], [], [], [], [], 64, is_whole=False)] == [
        "random",
        "rank",
    ]
    assert answer_questions([], [], [], [], [], 64, is_whole=True) == ()


def test_controls_are_called_what_they_are():
    assert name_group("mlp-in-cut", 64) == "64 neurons of MLP in"
    assert name_group("embed-cut", 32) == "embedding in 32 dimensions"
    assert name_group("qk-key", 32) == "QK key"
    assert name_ends("embed-pca", 32) == "ends of the principal components of the embedding"
    assert name_ends("mlp-in-cut", 32) == "ends of 32 neurons of MLP in"
    assert name_ends("embed-cut", 32) == "ends of the embedding in 32 dimensions"


def test_numbers():
    assert [format_hundredths(value) for value in (0.425, -1.5, -0.001, 0)] == ["0.42", "−1.50", "0.00", "0.00"]
    assert format_estimate(WORSE) == "−0.42 (−0.61 to −0.20)"
    assert format_estimate(ALONE) == "0.42"
    assert as_shares(Estimate(0.5, None, 1)) == "50.0%"
