import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.charts import HEIGHT, STEP, bars, histogram, outline, spectrum, zero


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=80).map(lambda values: sorted(values, reverse=True)))
def test_bars_stand_on_the_edge_and_fall_with_the_values(values):
    drawn = bars(values)
    assert [bar.x for bar in drawn] == [STEP * i for i in range(len(values))]
    assert all(bar.y + bar.height == HEIGHT for bar in drawn)
    assert drawn[0].height == HEIGHT
    assert all(first.height >= second.height >= 1 for first, second in pairwise(drawn))


def test_nothing_to_draw_is_drawn_as_nothing():
    assert bars(()) == []
    assert spectrum(()) == []
    assert outline(()) == ""
    assert "V100h8" in histogram((0, 0), -1, 1).plus


def test_steps_say_their_value_and_are_drawn_as_the_bars_are():
    steps = spectrum((4.0, 1.0, 0.0125))
    assert [step.label for step in steps] == ["0 · σ 4", "1 · σ 1", "2 · σ 0.0125"]
    assert [step.bar for step in steps][1] == "M11 75h8v25h-8z"
    assert len({step.column for step in steps}) == 3


def heights(path):
    return [HEIGHT - int(y) for y in re.findall(r"V(\d+)h8", path)]


def test_a_single_token_is_visible_beside_fifty_thousand():
    assert heights(histogram((1, 0, 50_000), 0.0, 3.0).plus) == [6, 0, 100]


@given(st.lists(st.integers(0, 50_000), min_size=1, max_size=48), st.floats(-3, 3), st.floats(0.1, 3))
def test_a_histogram_draws_every_bar_once_on_its_side(counts, low, span):
    high = low + span
    halves = histogram(counts, low, high)
    middles = [low + span * (i + 0.5) / len(counts) for i in range(len(counts))]
    # Integer coordinates: a bar whose middle is within half a unit of 0 may lie on either side.
    unit = span / (STEP * len(counts))
    assert len(heights(halves.minus)) + len(heights(halves.plus)) == len(counts)
    assert sum(m < -unit for m in middles) <= len(heights(halves.minus)) <= sum(m < unit for m in middles)


@given(st.floats(-10, -0.1), st.floats(0.1, 10), st.integers(1, 64))
def test_zero_lies_between_the_ends_in_proportion(low, high, n_bins):
    assert zero(low, high, n_bins) == pytest.approx(STEP * n_bins * -low / (high - low), abs=0.5)


@pytest.mark.parametrize(("low", "high", "place"), [(1.0, 2.0, 0), (-2.0, -1.0, 40), (0.0, 0.0, 0)])
def test_zero_outside_the_scores_lies_at_the_nearer_end(low, high, place):
    assert zero(low, high, 4) == place
