import numpy as np
import pytest

from app.core.finding.reversal import BINS, FLOOR, STEP, bin_of, count_bins, false_shares

L = 5


def test_a_bin_begins_where_it_says():
    assert bin_of(np.array([FLOOR, FLOOR + STEP / 2, 2.3, 2.999, 3.0, 99.0])).tolist() == [0, 0, 3, 9, 10, BINS - 1]
    assert count_bins(np.array([[1.0, 1.99], [2.0, 3.05]])).tolist() == [1, *[0] * 9, 1, *[0] * (BINS - 11)]


def test_shares_are_those_of_plain_counting():
    rng = np.random.default_rng(0)
    values = rng.exponential(1.2, (L, L, 400))
    values[np.triu_indices(L, 1)] *= 1.3  # in the right order some mean something
    counts = np.array([[count_bins(pair) for pair in row] for row in values])
    pairs = np.full((L, L), 400)
    found = false_shares(counts, pairs)
    assert found.shape == (L - 1, BINS)
    for distance in (1, 2, 4):
        right = np.concatenate([values[a, a + distance] for a in range(L - distance)])
        wrong = np.concatenate([values[a + distance, a] for a in range(L - distance)])
        plain = [
            (wrong >= FLOOR + bin_ * STEP).mean() / max((right >= FLOOR + bin_ * STEP).mean(), 1e-9)
            for bin_ in (0, 5, 9)
        ]
        lowest = [min(1, *plain[: n + 1]) for n in range(3)]
        for share, bin_, own in zip((found[distance - 1, b] for b in (0, 5, 9)), (0, 5, 9), lowest, strict=True):
            assert share <= own + 1e-12, bin_
        assert found[distance - 1, 0] == pytest.approx(min(1, plain[0]))


def test_it_never_rises_and_says_nothing_where_nothing_is_known():
    counts, pairs = np.zeros((3, 3, BINS), np.int64), np.full((3, 3), 10)
    counts[0, 1, 0], counts[1, 0, 0], counts[1, 0, 20], counts[0, 1, 30] = 5, 2, 1, 1
    found = false_shares(counts, pairs)
    assert np.isnan(found[1]).all()
    known = found[0][~np.isnan(found[0])]
    assert (np.diff(known) <= 0).all()
    assert found[0, 0] == pytest.approx(3 / 6)
    assert found[0, 30] == 0
    pairs[1, 0] = pairs[2, 1] = 0
    assert np.isnan(false_shares(counts, pairs)[0]).all()
    assert false_shares(np.zeros((1, 1, BINS), np.int64), np.ones((1, 1), np.int64)).shape == (0, BINS)
