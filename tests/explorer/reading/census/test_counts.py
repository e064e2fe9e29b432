"""The statistics of a census, on rows made up for it: sums by hand, and an order that was put there."""

import numpy as np
import pytest

from app.core.address import KINDS
from app.core.judging.significance import BINS, HIGH, LOW, count_z
from app.explorer import groups
from app.explorer.groups import GROUPS, end_of, is_kind, matrix_and_side
from app.explorer.reading.census import counts
from app.explorer.reading.census.counts import COMPARED_KINDS, compare_kinds, group_rays, measure_kind


def rows(*matrices):
    """An artifact's arrays: (group, part, z [n 2]) each; p falls with z."""
    z = np.concatenate([np.asarray(values, np.float32).reshape(-1, 2) for _, _, values in matrices])
    sizes = [len(np.asarray(values).reshape(-1, 2)) for _, _, values in matrices]
    return {
        "group": np.repeat([GROUPS.index(group) for group, _, _ in matrices], sizes).astype(np.int8),
        "part": np.repeat([part for _, part, _ in matrices], sizes).astype(np.int16),
        "index": np.concatenate([np.arange(size) for size in sizes]),
        "of": np.repeat(sizes, sizes),
        "z": z,
        "p": np.where(z > 2, 0.001, 0.5).astype(np.float32),
    }


def planted(n_layers=4, heads=3, n=20):
    """OV write reads better than MLP out by 1, strong directions better than weak ones, later layers than early ones."""
    random = np.random.default_rng(0)

    def noise():
        return random.normal(size=(n, 2)) * 0.3

    fall = np.linspace(1, -1, n)[:, None]
    layers = {None: rows(("embed", 0, noise()), *(("embed-cut", draw, noise()) for draw in range(3)))}
    for layer in range(n_layers):
        height = layer / n_layers
        found = [("ov-write", head, 1 + fall + height + noise()) for head in range(heads)]
        found += [("mlp-out", 0, noise()), *(("mlp-out-cut", draw, noise()) for draw in range(3))]
        layers[layer] = rows(*found)
    return layers


@pytest.fixture
def control():
    """Random directions: two rays each, their mean 0."""
    return counts.cluster_random_rays(np.random.default_rng(9).normal(size=(2000, 2)))


@pytest.fixture
def kinds(control):
    groups = group_rays(planted(n_layers=12))
    return {name: measure_kind(group, 12, control) for name, group in groups.items()}


def test_numbers_are_those_of_all_rays(control):
    z = [[[3.0, 1.0], [0.0, 0.0]], [[2.5, -0.5], [-2.0, 0.0]]]
    found = measure_kind(
        group_rays({0: rows(("ov-read", 0, z[0])), 1: rows(("ov-read", 0, z[1]))})["ov-read"], 2, control
    )
    assert (found.matrices, found.rays, found.end) == (2, 8, "read")
    assert found.mean_z.value == pytest.approx(np.mean(z))
    assert found.readable.value == 2 / 8
    assert found.by_layer == pytest.approx([1.0, 0.0])
    assert found.later_minus_first.value == pytest.approx(-1.0)
    assert found.by_rank[0] == pytest.approx(1.5)
    assert found.by_rank[5] == pytest.approx(-0.5)
    assert found.by_rank[1:5] == (None,) * 4
    assert sum(found.counts) == 8


def test_what_was_planted_is_found(kinds):
    ov = kinds["ov-write"]
    assert ov.mean_z.interval.low > 0.9
    assert ov.first_minus_last.interval.low > 1
    assert ov.rank_correlation.interval.high < -0.8
    assert 0.1 < ov.later_minus_first.interval.low < 0.5 < ov.later_minus_first.interval.high
    assert np.all(np.diff(ov.by_rank) < 0)
    assert np.all(np.diff(ov.by_layer) > 0)
    for flat in (kinds["mlp-out-cut"], kinds["embed"]):
        assert abs(flat.mean_z.value) < 0.1


def test_a_group_stands_for_as_many_matrices_as_it_was_drawn_from(kinds):
    assert [kinds[name].matrices for name in ("ov-write", "mlp-out", "mlp-out-cut", "embed-cut")] == [36, 12, 12, 1]
    assert kinds["mlp-out-cut"].rays == 3 * kinds["mlp-out"].rays
    assert kinds["embed"].mean_z.interval is None
    assert kinds["embed"].by_layer == ()
    assert kinds["embed"].later_minus_first is None


@pytest.mark.parametrize("group", ["qk-query", "qk-key", "ov-read", "ov-write"])
def test_heads_of_one_layer_are_one_to_an_interval(control, group):
    n_layers, n_heads = 6, 4
    own = np.random.default_rng(4).normal(size=(n_layers, 1, 20, 2)).repeat(n_heads, axis=1)
    alone = {at: rows((group, 0, own[at, 0])) for at in range(n_layers)}
    # The same again for every head: four times the rays, and nothing more known.
    copied = {at: rows(*((group, head, own[at, head]) for head in range(n_heads))) for at in range(n_layers)}
    known, found = (measure_kind(group_rays(layers)[group], n_layers, control) for layers in (alone, copied))
    assert (known.matrices, found.matrices, found.rays) == (6, 24, 4 * known.rays)
    for name in (
        "mean_z",
        "larger_than_random",
        "readable",
        "first_minus_last",
        "rank_correlation",
        "later_minus_first",
    ):
        one, other = getattr(known, name), getattr(found, name)
        assert other.n == one.n == (3 if name == "later_minus_first" else 6)
        assert (one.interval is None) == (other.interval is None) == (name == "later_minus_first")
        assert (other.value, *(other.interval or ())) == pytest.approx((one.value, *(one.interval or ())), abs=0.002)


def test_what_is_common_to_a_layer_leaves_a_comparison():
    random = np.random.default_rng(7)
    layers = {}
    for layer in range(12):
        height = 2 * random.normal()
        layers[layer] = rows(
            *(("ov-write", head, height + 0.5 + 0.3 * random.normal(size=(10, 2))) for head in range(3)),
            ("mlp-out", 0, height + 0.3 * random.normal(size=(30, 2))),
        )
    (one,) = compare_kinds(group_rays(layers), 12)
    assert (one.first, one.second, one.difference.n) == ("ov-write", "mlp-out", 12)
    assert 0.4 < one.difference.interval.low < 0.5 < one.difference.interval.high < 0.6
    assert one.superiority.interval.low > 0.5


def test_too_few_layers_have_no_interval(control):
    layers = {layer: rows(*(("ov-read", head, np.zeros((8, 2))) for head in range(16))) for layer in range(4)}
    found = measure_kind(group_rays(layers)["ov-read"], 4, control)
    assert (found.matrices, found.mean_z.n, found.mean_z.interval) == (64, 4, None)


def test_an_estimate_says_how_many_matrices_it_rests_on(control):
    short, long = np.ones((3, 2)), np.ones((8, 2))
    layers = {layer: rows(("mlp-in", 0, long if layer < 3 else short)) for layer in range(7)}
    found = measure_kind(group_rays(layers)["mlp-in"], 7, control)
    assert (found.matrices, found.mean_z.n, found.first_minus_last.n, found.later_minus_first.n) == (7, 7, 3, 3)


def test_comparisons_are_of_what_is_there():
    found = compare_kinds(group_rays(planted(n_layers=6)), 6)
    assert {(one.first, one.second) for one in found} == {
        ("ov-write", "mlp-out"),
        ("mlp-out", "embed"),
        ("ov-write", "mlp-out-cut"),
        ("mlp-out-cut", "mlp-out"),
        ("ov-write", "embed-cut"),
    }
    first = found[0]
    assert first.difference.interval.low > 1
    assert first.superiority.value > 0.9
    assert found[1].difference.interval is None


@pytest.mark.parametrize(
    ("n_layers", "last"), [(3, [2]), (4, [3]), (6, [5]), (12, [10, 11]), (30, [24, 25, 26, 27, 28, 29])]
)
def test_each_layer_has_one_depth(n_layers, last):
    found = counts.layers_by_depth(n_layers)
    assert [layer for layers in found.values() for layer in layers] == list(range(n_layers))
    assert (list(found["first"]), list(found["last"])) == ([0], last)
    assert counts.layers_by_depth(2) == counts.layers_by_depth(1) == {}


def test_depths_are_counted_by_themselves(control):
    random = np.random.default_rng(8)
    z = {layer: random.normal(size=(2, 20, 2)) + (2 if layer >= 8 else 0) for layer in range(10)}
    others = {layer: random.normal(size=(30, 2)) for layer in range(10)}
    layers = {
        layer: rows(*(("ov-write", head, z[layer][head]) for head in range(2)), ("mlp-out", 0, others[layer]))
        for layer in range(10)
    }
    groups = group_rays(layers)
    found, (comparison,) = measure_kind(groups["ov-write"], 10, control), compare_kinds(groups, 10)
    assert [(one.depth, one.layers) for one in found.depths] == list(counts.layers_by_depth(10).items())
    for one, compared in zip(found.depths, comparison.depths, strict=True):
        within = one.layers
        own = np.concatenate([z[layer].ravel() for layer in within])
        theirs = np.concatenate([others[layer].ravel() for layer in within])
        assert one.mean_z.value == pytest.approx(own.mean(), abs=0.001)
        assert one.readable.value == pytest.approx((own > 2).mean())
        assert one.first_minus_last.value == pytest.approx(
            np.mean([half[:5].mean() - half[-5:].mean() for layer in within for half in z[layer]]), abs=0.001
        )
        assert (compared.depth, compared.layers) == (one.depth, one.layers)
        assert compared.difference.value == pytest.approx(own.mean() - theirs.mean(), abs=0.001)
        assert compared.superiority.value == pytest.approx((own[:, None] > theirs).mean(), abs=0.002)
        assert (one.mean_z.n, one.mean_z.interval is None) == (len(within), len(within) < 5)
    assert measure_kind(group_rays({None: rows(("embed", 0, z[0][0]))})["embed"], 10, control).depths == ()


def test_a_depth_that_is_not_read_is_left_out(control):
    layers = planted(n_layers=10)
    for layer in (0, 8, 9):
        del layers[layer]
    found = measure_kind(group_rays(layers)["ov-write"], 10, control)
    assert [(one.depth, one.mean_z.n) for one in found.depths] == [("middle", 7)]


def of_spans(n_layers=10, heads=3):
    """Two heads of each layer have random vectors of their span, all have weighted ones; the last fifth reads better."""
    random = np.random.default_rng(5)
    z, layers = {}, {}
    for layer in range(n_layers):
        late = 1.5 * (layer >= 8)
        own = {("ov-write", head): random.normal(size=(20, 2)) + late for head in range(heads)}
        for head in range(heads):
            own["ov-write", head][:4] += 1
            own["ov-write-weighted", head] = random.normal(size=(6, 2)) + late
        for head in (layer % heads, (layer + 1) % heads):
            own["ov-write-span", head] = random.normal(size=(30, 2)) + late
        z[layer] = own
        layers[layer] = rows(*((group, head, own[group, head]) for group, head in own))
    return z, layers


def test_spans_are_compared_with_the_directions_of_the_same_matrices():
    z, layers = of_spans()
    spans = counts.compare_spans(group_rays(layers), 10)
    assert [(span.kind, span.among, span.matrices) for span in spans] == [
        ("ov-write", "all", 20),
        ("ov-write", "first", 30),
    ]
    for span in spans:
        assert [(own.depth, own.layers) for own in span.shares[1:]] == list(counts.layers_by_depth(10).items())
        for shares in span.shares:
            layers_of = shares.layers or range(10)
            within = [(at, head) for at in layers_of for head in range(3)]
            ending, n = ("-span", 20) if span.among == "all" else ("-weighted", 4)
            drawn = [z[at]["ov-write" + ending, head] for at, head in within if ("ov-write" + ending, head) in z[at]]
            own = [z[at]["ov-write", head][:n] for at, head in within if ("ov-write" + ending, head) in z[at]]
            expected = [(np.concatenate(each) > 2).mean() for each in (own, drawn)]
            assert [shares.directions.value, shares.random.value] == pytest.approx(expected)
            assert shares.difference.value == pytest.approx(expected[0] - expected[1])
            assert (shares.difference.interval is None) == (len(layers_of) < 5)


def test_axes_are_compared_with_directions_and_random_vectors_in_the_layers_that_have_them():
    """Axes of the first nine layers of ten, which read worse than directions by a share known by hand."""
    z, layers = of_spans()
    random = np.random.default_rng(6)
    for layer in range(9):
        for head in range(3):
            z[layer]["ov-write-used", head] = random.normal(size=(20, 2)) + 0.5 * (layer == 8)
        layers[layer] = rows(*((group, head, z[layer][group, head]) for group, head in z[layer]))
    whole, first = counts.compare_axes(group_rays(layers), 10)
    assert [(one.kind, one.among, one.matrices) for one in (whole, first)] == [
        ("ov-write", "all", 27),
        ("ov-write", "first", 27),
    ]
    for one, ending, n in ((whole, "-span", 99), (first, "-weighted", 4)):
        assert [shares.depth for shares in one.shares] == [None, "first", "middle", "last"]
        for shares in one.shares:
            there = [layer for layer in shares.layers or range(10) if layer < 9]
            groups_of = ("ov-write-used", "ov-write", "ov-write" + ending)
            sizes = (n, n, 99)
            expected = [
                np.concatenate(
                    [
                        z[layer][group, head][:size] > 2
                        for layer in there
                        for head in range(3)
                        if (group, head) in z[layer]
                    ]
                ).mean()
                for group, size in zip(groups_of, sizes, strict=True)
            ]
            found = (shares.axes.value, shares.directions.value, shares.random.value)
            assert found == pytest.approx(expected)
            assert shares.difference.value == pytest.approx(expected[0] - expected[1])
            drawn = [(at, head) for at in there for head in range(3) if ("ov-write" + ending, head) in z[at]]
            assert len(drawn) == len(there) * (2 if one is whole else 3)
            beside = np.concatenate([z[at]["ov-write-used", head][:n] > 2 for at, head in drawn]).mean()
            assert shares.drawn_axes.value == pytest.approx(beside)
    assert counts.compare_axes(group_rays(of_spans()[1]), 10) == ()


def test_vectors_drawn_from_spans_are_no_kinds_of_their_own():
    assert [name for name in GROUPS if not is_kind(name)] == [
        name for name in GROUPS if name.endswith(("-span", "-weighted"))
    ]
    assert {groups.base_of(name) for name in GROUPS} == {*groups.READ_GROUPS, *groups.WRITE_GROUPS}
    assert {end_of(name) for name in GROUPS if groups.base_of(name) in groups.WRITE_GROUPS} == {"write"}
    assert len(GROUPS) == len(set(GROUPS)) < 128


def test_every_comparison_is_of_one_table():
    assert all(end_of(group) == end_of(other) for group, other in COMPARED_KINDS)
    assert {name for pair in COMPARED_KINDS for name in pair} < set(GROUPS)


def test_groups_have_matrices_and_sides():
    assert matrix_and_side("ov-write") == ("ov", "write")
    assert matrix_and_side("qk-key") == ("qk", "key")
    assert matrix_and_side("mlp-gate-cut") == ("mlp-gate", "read")
    assert matrix_and_side("embed") == matrix_and_side("embed-pca") == ("embed", "write")
    assert matrix_and_side("qk-query-span") == ("qk", "query")
    assert matrix_and_side("mlp-gate-weighted") == ("mlp-gate", "read")
    assert {matrix_and_side(group)[0] for group in GROUPS} <= set(KINDS)


def test_rays_that_could_not_be_judged_are_left_out(control):
    nan = float("nan")
    z = [[1.0, nan], [2.0, 3.0], [nan, nan], [0.0, 0.0], [5.0, 5.0]]
    found = measure_kind(group_rays({0: rows(("ov-read", 0, z), ("ov-read", 1, [[nan, nan]]))})["ov-read"], 1, control)
    assert (found.matrices, found.rays, found.unjudged, found.mean_z.n) == (2, 7, 5, 1)
    assert found.mean_z.value == pytest.approx(16 / 7)
    assert found.by_layer == pytest.approx([16 / 7])
    assert found.by_rank[::2] == pytest.approx([1.0, 2.5, None, 0.0, 5.0])
    assert found.first_minus_last.value == pytest.approx(1 - 5)
    assert sum(found.counts) == 7
    assert group_rays({0: rows(("ov-read", 0, [[nan, nan]]))}) == {}


def test_a_layer_that_is_not_read_leaves_a_gap(control):
    layers = planted()
    del layers[1]
    found = measure_kind(group_rays(layers)["ov-write"], 4, control)
    assert [value is None for value in found.by_layer] == [False, True, False, False]


def test_bins_take_what_lies_beyond():
    counts = count_z(np.array([-99.0, LOW, 0.0, HIGH, 99.0]))
    assert len(counts) == BINS
    assert (counts[0], counts[16], counts[-1], counts.sum()) == (2, 1, 2, 5)


def test_false_discoveries_are_counted_among_the_rays_of_the_kind(control):
    many = np.zeros((99, 2))
    many[0] = 5.0
    found = measure_kind(group_rays({0: rows(("ov-read", 0, many))})["ov-read"], 1, control)
    # Two rays of 198 at p = .001: of as many random ones 0.198 are expected, which is 10% of two.
    assert found.discovered == pytest.approx(2 / 198)
    assert (
        measure_kind(
            group_rays({0: rows(("ov-read", 0, np.vstack([many, np.zeros((30, 2))])))})["ov-read"], 1, control
        ).discovered
        == 0
    )


def test_too_small_a_control_shows_nothing_and_says_so(control):
    arrays = rows(("ov-read", 0, np.zeros((3000, 2))))
    for at_floor, is_beyond in ((0, False), (14, True), (16, False)):
        arrays["p"] = np.full((3000, 2), 0.5, np.float32)
        arrays["p"].flat[:at_floor] = 1 / 4001
        arrays["p"].flat[at_floor : at_floor + 5] = 2 / 4001
        found = measure_kind(group_rays({0: arrays})["ov-read"], 1, control)
        # 6,000 at 1 in 4,001: 1.5 expected by chance, a tenth of 15.
        assert (found.controls, found.needed_at_floor, found.at_floor) == (4000, 15, at_floor)
        assert (found.discovered > 0) == (at_floor == 16)
        assert found.is_beyond_control == is_beyond


def test_readable_shares_are_counted_by_tenths_of_rank(control):
    z = np.zeros((40, 2))
    z[:4, 0] = z[36:] = 5.0
    z[4, 1] = np.nan
    found = measure_kind(group_rays({None: rows(("embed-pca", 0, z))})["embed-pca"], 3, control)
    assert found.readable_by_rank == pytest.approx((0.5, *[0.0] * 8, 1.0))
    assert found.by_rank == pytest.approx((2.5, *[0.0] * 8, 5.0))


def test_random_directions_are_judged_by_their_own():
    coherence = np.random.default_rng(3).gamma(2.0, size=(50, 2))
    coherence[4, 1] = coherence[7] = np.nan
    found = [*counts.cluster_random_rays(coherence).values()]
    assert [len(rays) for rays in found] == [2] * 4 + [1] + [2] * 44
    known = coherence[np.isfinite(coherence)]
    np.testing.assert_allclose(np.concatenate(found), (known - known.mean()) / known.std(ddof=1))


def test_random_directions_have_an_error_of_their_own():
    random = np.random.default_rng(1)
    # Eight matrices that hardly differ: what is not known is where random directions lie.
    same = group_rays({layer: rows(("ov-read", 0, np.full((20, 2), 0.1))) for layer in range(8)})["ov-read"]
    widths = []
    for n in (50, 2000):
        low, high = measure_kind(same, 8, counts.cluster_random_rays(random.normal(size=(n, 2)))).mean_z.interval
        widths.append(high - low)
    # Student's of eight matrices, 2.36 x sqrt(8/7) = 2.53, each side of the error of a mean of 2 n rays.
    assert widths == pytest.approx([2 * 2.53 / np.sqrt(2 * n) for n in (50, 2000)], rel=0.15)


def test_a_few_rays_move_the_mean_and_not_the_order_of_rays(control):
    z = np.concatenate([np.full(2, 8.0), np.random.default_rng(2).normal(size=62)]).reshape(-1, 2)
    found = measure_kind(
        group_rays({layer: rows(("ov-read", 0, z - z.mean() + 0.2)) for layer in range(9)})["ov-read"], 9, control
    )
    assert found.mean_z.value == pytest.approx(0.2)
    assert found.mean_z.interval.low > 0.1
    assert found.larger_than_random.value < 0.53
    z, base = z - z.mean() + 0.2, np.concatenate([*control.values()])
    wins = (z.ravel()[:, None] > base).mean()
    assert found.larger_than_random.value == pytest.approx(wins, abs=0.002)
