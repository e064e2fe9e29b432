import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.explorer.pages.composition import CompositionCell
from app.explorer.pages.search import StripRow
from app.web.view import charts
from app.web.view.charts import (
    HEIGHT,
    STEP,
    average_groups,
    band_on_scale,
    bars,
    block_map,
    class_bars,
    composition_map,
    find_bounds,
    histogram_outline,
    histogram_with_markers,
    largest_share,
    line_on_scale,
    line_path,
    outline,
    overlay_curves,
    score_class,
    share_path,
    share_ticks,
    signed_histogram,
    signed_line,
    spectrum,
    thin_values,
    two_histograms,
    zero_position,
)
from tests.pages import COMPOSITION_PAGE, MODEL


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=80).map(lambda values: sorted(values, reverse=True)))
def test_bars_stand_on_the_edge_and_fall_with_the_values(values):
    drawn = bars(values)
    assert [bar.x for bar in drawn] == [STEP * i for i in range(len(values))]
    assert all(bar.y + bar.height == HEIGHT for bar in drawn)
    assert drawn[0].height == HEIGHT
    assert all(first.height >= second.height >= 1 for first, second in pairwise(drawn))


def test_nothing_to_draw_is_drawn_as_nothing():
    assert bars(()) == []
    assert spectrum((), ()) == []
    assert outline(()) == ""
    assert "V100h8" in signed_histogram((0, 0), -1, 1).plus


def test_steps_say_their_value_and_are_drawn_as_the_bars_are():
    steps = spectrum((4.0, 1.0, 0.0125), (35, 2, 0))
    assert [step.label for step in steps] == ["35 · σ 4", "2 · σ 1", "0 · σ 0.0125"]
    assert [step.bar for step in steps][1] == "M11 75h8v25h-8z"
    assert len({step.column for step in steps}) == 3


def heights(path):
    return [HEIGHT - int(y) for y in re.findall(r"V(\d+)h8", path)]


def test_a_single_token_is_visible_beside_fifty_thousand():
    assert heights(signed_histogram((1, 0, 50_000), 0.0, 3.0).plus) == [6, 0, 100]


@given(st.lists(st.integers(0, 50_000), min_size=1, max_size=48), st.floats(-3, 3), st.floats(0.1, 3))
def test_a_histogram_draws_every_bar_once_on_its_side(counts, low, span):
    high = low + span
    halves = signed_histogram(counts, low, high)
    middles = [low + span * (i + 0.5) / len(counts) for i in range(len(counts))]
    # Integer coordinates: a bar whose middle is within half a unit of 0 may lie on either side.
    unit = span / (STEP * len(counts))
    assert len(heights(halves.minus)) + len(heights(halves.plus)) == len(counts)
    assert sum(m < -unit for m in middles) <= len(heights(halves.minus)) <= sum(m < unit for m in middles)


@given(st.floats(-10, -0.1), st.floats(0.1, 10), st.integers(1, 64))
def test_zero_lies_between_the_ends_in_proportion(low, high, n_bins):
    assert zero_position(low, high, n_bins) == pytest.approx(STEP * n_bins * -low / (high - low), abs=0.5 + 1e-9)


@pytest.mark.parametrize(("low", "high", "place"), [(1.0, 2.0, 0), (-2.0, -1.0, 40), (0.0, 0.0, 0)])
def test_zero_outside_the_scores_lies_at_the_nearer_end(low, high, place):
    assert zero_position(low, high, 4) == place


def points(path):
    """The corners of a path of straight lines."""
    assert path.startswith("M")
    return [tuple(map(int, corner.split())) for corner in path[1:].split("L")]


SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=80)


@given(st.lists(st.floats(-1e6, 1e6), max_size=80), st.integers(2, 40))
def test_thinned_values_keep_their_order_and_their_ends(values, most):
    kept = thin_values(values, most)
    assert len(kept) == min(len(values), most)
    if values:
        assert (kept[0], kept[-1]) == (values[0], values[-1])
    places = [round(i * (len(values) - 1) / (most - 1)) for i in range(len(kept))] if len(values) > most else []
    assert len(set(places)) == len(places)
    assert sorted(values)[::-1] != values or sorted(kept)[::-1] == kept


@given(SHARES)
def test_shares_go_from_left_to_right_and_from_bottom_to_top(values):
    at = [0, *(2**i for i in range(len(values) - 1))] if len(values) < 15 else list(range(len(values)))
    drawn = points(share_path(at, values))
    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)
    assert drawn[0][0] == 0
    assert drawn[-1][0] == (1000 if at[-1] else 0)
    assert [y for _, y in drawn] == [round(HEIGHT * (1 - value)) for value in values]


def test_factors_of_ten_have_one_width():
    xs = [x for x, _ in points(share_path((0, 1, 10, 100, 1000), (0.0,) * 5, width=800))]
    assert xs == [0, 200, 400, 600, 800]


@given(SHARES)
def test_a_line_has_equal_steps(values):
    drawn = points(line_path(values))
    assert all(abs(x - i * 1000 / max(1, len(values) - 1)) <= 0.5 for i, (x, _) in enumerate(drawn))
    assert [y for _, y in drawn] == [round(HEIGHT * (1 - value)) for value in values]


def test_a_line_stays_in_its_chart():
    assert points(line_path((1.3, 0.0)))[0] == (0, 0)  # an error of more than the whole
    assert line_path((0.5,)) == "M0 50"


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60), st.data())
def test_two_outlines_have_one_scale(counts, data):
    others = data.draw(st.lists(st.floats(0, 1e9), min_size=len(counts), max_size=len(counts)))
    one, two = (points(path) for path in two_histograms(counts, others))
    assert [x for x, _ in one] == [x for x, _ in two] == list(range(len(counts)))
    heights = [y for _, y in one + two]
    assert all(0 <= y <= HEIGHT for y in heights)
    assert min(heights) == (0 if max(*counts, *others) > 1e-3 else min(heights))
    swapped = two_histograms(others, counts)
    assert swapped == two_histograms(counts, others)[::-1]


def test_outlines_of_nothing_lie_on_the_edge():
    assert two_histograms((0, 0), (0.0, 0.0)) == ("M0 100L1 100", "M0 100L1 100")


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60))
def test_a_wave_crosses_zero_where_its_values_do(values):
    drawn = signed_line(values)
    assert 0 <= drawn.zero <= HEIGHT
    for value, (_, y) in zip(values, points(drawn.path), strict=True):
        assert 0 <= y <= HEIGHT
        assert y <= drawn.zero if value > 0 else y >= drawn.zero if value < 0 else abs(y - drawn.zero) <= 0


def test_a_wave_of_one_sign_has_zero_at_its_edge():
    assert signed_line((1.0, 0.5)).zero == HEIGHT
    assert signed_line((-1.0, -0.5)).zero == 0
    assert signed_line((0.0, 0.0)).path == "M0 0L1000 0"


@pytest.mark.parametrize("last", [1, 2, 9, 16, 64, 199, 255, 1024, 50_000])
def test_ticks_stand_where_the_curve_has_their_numbers(last):
    ticks = share_ticks(last)
    numbers = [int(label.replace(",", "")) for label, _ in ticks]
    assert (numbers[0], numbers[-1]) == (0, last)
    assert numbers == sorted(set(numbers))
    path = share_path(numbers, [0.0] * len(numbers), width=100)
    assert [int(x) for x in re.findall(r"[ML](\d+) ", path)] == [x for _, x in ticks]
    assert all(second - first >= 5 for (_, first), (_, second) in pairwise(ticks))


def test_contours_on_one_scale_can_be_compared():
    few, many = (1, 3, 0), (40, 40, 20)
    top = largest_share([few, many])
    assert top == 0.75
    assert histogram_outline(few, top) == histogram_outline((10, 30, 0), top) == "M0 100V42H1V0H2V100H3V100"
    heights_ = [100 - int(y) for y in re.findall(r"V(\d+)H", histogram_outline(many, top))]
    assert [height**2 / 10_000 * top for height in heights_] == pytest.approx([0.4, 0.4, 0.2], abs=0.01)


def test_contours_of_nothing_are_flat():
    assert largest_share([]) == largest_share([(0, 0)]) == 1.0
    assert histogram_outline((0, 0), 1.0) == "M0 100V100H1V100H2V100"


def test_courses_share_a_scale_and_break_where_nothing_is_known():
    scale = find_bounds([(0.5, None, 1.0), (-1.0,), ()])
    assert scale == (-1.0, 1.0)
    assert line_on_scale((1.0, -1.0, None, 0.0), *scale) == ("M0 0L333 100M1000 50", [(0, 0), (33, 100), (100, 50)], 50)
    assert line_on_scale((), *scale) == ("", [], 50)
    assert line_on_scale((None,), *scale).points == []


def test_a_scale_holds_zero_and_has_a_height():
    assert find_bounds([(2.0, 3.0)]) == (0.0, 3.0)
    assert find_bounds([(None, -0.5)]) == (-0.5, 0.0)
    assert find_bounds([(0.0,), ()]) == find_bounds([]) == (0.0, 1.0)


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=40),
    st.floats(-1, 1),
    st.floats(0.01, 1),
    st.lists(st.none() | st.floats(-2, 2), max_size=2),
)
def test_values_stand_among_the_bars_where_they_would_be_counted(counts, low, span, values):
    high = low + span
    drawn = histogram_with_markers(counts, low, high, values)
    there = [value for value in values if value is not None]
    assert (drawn.low, drawn.high) == (min(low, *there, high), max(high, *there, low))
    width = drawn.high - drawn.low
    for value, place in zip(values, drawn.places, strict=True):
        assert place == (None if value is None else pytest.approx(100 * (value - drawn.low) / width, abs=0.051))
    boxes = [tuple(map(int, box)) for box in re.findall(r"M(\d+) 100V(\d+)H(\d+)V100", drawn.bars)]
    full = [i for i, count in enumerate(counts) if count]
    assert len(boxes) == len(full)
    for i, (left, y, right) in zip(full, boxes, strict=True):
        assert left == pytest.approx(1000 * (low + span * i / len(counts) - drawn.low) / width, abs=0.51)
        assert right == pytest.approx(1000 * (low + span * (i + 1) / len(counts) - drawn.low) / width, abs=0.51)
        assert (y == 0) == (counts[i] == max(counts)) or abs(counts[i] - max(counts)) <= 0.05 * max(counts)


def test_a_control_of_one_value_is_drawn():
    assert histogram_with_markers((5,), 0.25, 0.25, (0.25, None)).places == (0.0, None)


def test_a_bar_of_classes_has_every_direction_once():
    counted = {"antipodal": 2, "one-sided": 0, "neither": 5, "undetermined": 1}
    bars = class_bars(counted)
    assert {each: n for _, each, n in bars} == {each: n for each, n in counted.items() if n}
    covered = [place for start, _, n in bars for place in range(start, start + n)]
    assert covered == list(range(8))


def test_a_strip_has_a_cell_for_each_layer_with_something():
    ov, ends = charts.draw_strips([StripRow("ov", (0, 4, 0, 1)), StripRow("embed", (3,))])
    assert [(cell.layer, cell.about, cell.weight) for cell in ov.cells] == [(1, "L1: 4", 1.0), (3, "L3: 1", 0.4)]
    assert (ov.n, ov.about) == (5, "L1: 4, L3: 1")
    assert (ends.n, ends.cells) == (3, ())


def test_two_curves_lie_on_one_scale():
    assert overlay_curves((2.0, 1.0), (1.0,)) == ("M0 0H500V50H1000", "M0 50H500", 2.0)
    assert overlay_curves((0.5,), (1.0,), 1.0) == ("M0 50H1000", "M0 0H1000", 1.0)
    assert overlay_curves((), ()) == ("", "", 1.0)


@pytest.mark.parametrize(("cs", "drawn"), [(1.49, ""), (1.5, "s0"), (1.75, "s1"), (2.4, "s2"), (2.5, "s3"), (9, "s4")])
def test_scores_are_drawn_from_a_threshold_and_have_one_colour_from_another(cs, drawn):
    assert score_class(cs) == drawn


def composed(kind="q", writer=None, reader=None, cells=()):
    model = replace(MODEL, n_layers=3, n_heads=4, n_kv_heads=2)
    per_layer = 4 if kind == "q" else 2
    return replace(
        COMPOSITION_PAGE, model=model, kind=kind, writer=writer, reader=reader, cells=cells, per_layer=per_layer
    )


def paths(drawn):
    return dict(drawn.paths)


def test_a_pair_stands_at_its_writer_and_its_reader():
    drawn = composition_map(composed(cells=(CompositionCell(5, 10, 1.6), CompositionCell(0, 4, 3.5))))
    assert paths(drawn) == {"s0": "M6 5h1v1h-1z", "s4": "M0 0h1v1h-1z"}
    assert drawn.blocks == [(0, 1), (1, 2)]
    assert drawn.labels[0] == ("L0 → L1 · up to 3.50", "M0 0h4v4h-4z")
    assert drawn.labels[1][1] == "M4 4h4v4h-4z"
    assert [label for label, *_ in drawn.ticks] == ["L1", "L0", "L1"]


def test_a_group_of_readers_is_as_wide_as_its_heads():
    drawn = composition_map(composed("k", cells=(CompositionCell(5, 5, 2.0),)))
    assert paths(drawn) == {"s2": "M6 5h2v1h-2z"}


def test_of_one_layer_the_map_is_a_strip():
    wide = composition_map(composed(writer=0, cells=(CompositionCell(1, 8, 2.0),)))
    assert paths(wide) == {"s2": "M4 3h1v3h-1z"}
    turned = composition_map(composed("v", reader=2, cells=(CompositionCell(6, 5, 2.0),)))
    assert paths(turned) == {"s2": "M6 6h1v6h-1z"}
    assert turned.labels[0][1] == "M4 0h4v12h-4z"
    assert [float(number) for number in turned.box.split()][2:] == pytest.approx([8 + 9, 12 + 4.8])


def test_a_band_lies_between_its_curves():
    assert band_on_scale((0.0, 0.5), (1.0, 1.0), 0.0, 1.0) == "M0 100L1000 50L1000 0L0 0z"


@pytest.mark.parametrize(("n", "most"), [(5, 2), (576, 48), (3, 48), (0, 4)])
def test_groups_hold_every_value_once(n, most):
    values = [float(i) for i in range(n)]
    averaged = average_groups(values, most)
    assert len(averaged) == min(n, most)
    assert averaged == sorted(averaged)
    assert sum(averaged) / max(len(averaged), 1) == pytest.approx(sum(values) / max(n, 1), abs=0.3)
    assert average_groups([None, None, 1.0, 3.0], 2) == [None, 2.0]


def test_blocks_are_coloured_by_their_size_and_the_small_ones_not_at_all():
    drawn = block_map(((4.0, 0.0), (100.0, 1.6)))
    assert drawn == [("s0", "M1 1h1v1h-1z"), ("s1", "M0 0h1v1h-1z"), ("s4", "M0 1h1v1h-1z")]
