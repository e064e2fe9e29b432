"""Numbers along an order, against scipy and sums by hand."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from app.core.judging.progression import (
    assign_parts,
    first_minus_last,
    partial_rank_correlation,
    rank_correlation,
)


def test_first_and_last_quarter():
    assert first_minus_last(np.array([5.0, 3.0, 9.0, 9.0, 9.0, 9.0, 9.0, 0.0, 2.0])) == 3.0
    assert first_minus_last(np.array([1.0, 8.0, 8.0, 3.0])) == -2.0
    assert first_minus_last(np.zeros(3)) is None


@pytest.mark.parametrize("ties", [False, True])
def test_rank_correlation_is_spearman_s(ties):
    values = np.random.default_rng(0).normal(size=64) - np.linspace(0, 1, 64)
    values = np.round(values) if ties else values
    assert rank_correlation(values) == pytest.approx(spearmanr(np.arange(64), values).statistic)
    assert rank_correlation(np.arange(5.0)[::-1].copy()) == pytest.approx(-1)


def test_what_does_not_change_has_no_correlation():
    assert rank_correlation(np.ones(5)) is None
    assert rank_correlation(np.ones(1)) is None


def test_a_partial_correlation_is_that_of_what_a_line_along_the_places_leaves():
    random = np.random.default_rng(1)
    values = random.normal(size=50) + np.linspace(0, 3, 50)
    others = values + random.normal(size=50)
    left = [
        (ranks := rankdata(each)) - np.polyval(np.polyfit(np.arange(50), ranks, 1), np.arange(50))
        for each in (values, others)
    ]
    assert partial_rank_correlation(values, others) == pytest.approx(np.corrcoef(*left)[0, 1])


def test_what_the_place_alone_gives_has_no_partial_correlation():
    random = np.random.default_rng(2).normal(size=9)
    assert partial_rank_correlation(np.arange(9.0), random) is None
    assert partial_rank_correlation(random, np.ones(9)) is None
    assert partial_rank_correlation(random[:3], random[:3]) is None


@pytest.mark.parametrize("n", [0, 1, 7, 10, 64])
def test_parts_are_equal_and_in_order(n):
    found = assign_parts(n)
    assert len(found) == n
    assert (np.diff(found) >= 0).all()
    sizes = np.bincount(found, minlength=10) if n else np.zeros(10)
    assert len(sizes) == 10
    assert sizes.max() - sizes.min() <= 1
