"""The oracle is the float64 moments of the scores themselves, as scipy has them; most of it was in no bin."""

import numpy as np
import pytest
from scipy.stats import kurtosis, skew

from app.core.judging.spread import Moments, moments

SEEDS = range(5)
N = 50_000


def binned(scores: np.ndarray, bins: int = 48) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    low, high = scores.min(), scores.max()
    counts = np.histogram(scores, bins=bins, range=(low, high))[0]
    return counts[None], np.array([low]), np.array([high])


def numbers(found: Moments) -> tuple[float, float]:
    return found.skewness.item(), found.kurtosis.item()


# Measured at most, over the seeds: normal 0.0011, 0.0047; uniform 0.0004, 0.0022; exponential 0.037, 0.133;
# Laplace 0.0044, 0.0216; t of 5 degrees 0.0074, 0.091.
@pytest.mark.parametrize(
    ("draw", "skewness_off", "kurtosis_off"),
    [
        (lambda rng: rng.standard_normal(N), 0.002, 0.01),
        (lambda rng: rng.random(N), 0.002, 0.005),
        (lambda rng: rng.exponential(size=N), 0.05, 0.2),
        (lambda rng: rng.laplace(size=N), 0.01, 0.04),
        (lambda rng: rng.standard_t(5, N), 0.02, 0.15),
    ],
    ids=["normal", "uniform", "one-sided exponential", "Laplace", "t of 5 degrees"],
)
def test_against_the_scores_themselves(draw, skewness_off, kurtosis_off):
    for seed in SEEDS:
        scores = draw(np.random.default_rng(seed))
        found = numbers(moments(*binned(scores)))
        assert found[0] == pytest.approx(skew(scores), abs=skewness_off)
        assert found[1] == pytest.approx(kurtosis(scores), abs=kurtosis_off)


def test_heavy_tails_to_a_tenth():
    for seed in SEEDS:
        scores = np.random.default_rng(seed).standard_t(3, N)
        assert numbers(moments(*binned(scores)))[1] == pytest.approx(kurtosis(scores), rel=0.1)


def test_corrections_bring_wide_bins_nearer():
    """Scores in 12 bins: plain moments of the middles are off by more."""
    off = []
    for seed in SEEDS:
        scores = np.random.default_rng(seed).gamma(4, size=N)
        counts, low, high = binned(scores, bins=12)
        middles = np.repeat(np.arange(12) + 0.5, counts[0])
        own = np.array([skew(scores), kurtosis(scores)])
        plain = np.array([skew(middles), kurtosis(middles)])
        off.append(np.abs([plain - own, np.array(numbers(moments(counts, low, high))) - own]))
    without, with_them = np.mean(off, axis=0)
    assert (with_them < without / 3).all()


def test_neither_unit_nor_origin_matters_and_the_sign_turns_the_skewness():
    counts, low, high = binned(np.random.default_rng(0).gamma(2, size=N))
    skewness, excess = numbers(moments(counts, low, high))
    assert numbers(moments(counts, low * 7 + 3, high * 7 + 3)) == pytest.approx((skewness, excess), rel=1e-12)
    assert numbers(moments(counts[:, ::-1], -high, -low)) == pytest.approx((-skewness, excess), rel=1e-9)


def test_many_rows_are_each_their_own():
    some = [binned(np.random.default_rng(seed).gamma(seed + 1, size=1000)) for seed in SEEDS]
    counts, low, high = (np.concatenate(column) for column in zip(*some, strict=True))
    found = moments(counts, low.astype(np.float32), high.astype(np.float32))
    for row, each in enumerate(some):
        expected = numbers(moments(*each))
        assert (found.skewness[row], found.kurtosis[row]) == pytest.approx(expected)


def test_equal_scores_have_no_shape():
    counts = np.zeros((2, 48), dtype=np.int64)
    counts[0, 0], counts[1, -1] = 5, 5
    assert moments(counts, np.array([0.3, 0.0]), np.array([0.3, 0.0])) == (
        pytest.approx([0, 0], abs=0),
        pytest.approx([0, 0], abs=0),
    )


def test_what_cannot_be_told():
    """No scores; one token so far out that all others are in one bin."""
    counts = np.zeros((2, 48), dtype=np.int64)
    counts[1, 0], counts[1, -1] = 8191, 1
    found = moments(counts, np.array([0.0, -1.0]), np.array([0.0, 1.0]))
    assert np.isnan(found.skewness).all()
    assert np.isnan(found.kurtosis).all()


def test_two_tokens_far_out_can_be_told():
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.standard_normal(8192), [20.0, 25.0]])
    assert numbers(moments(*binned(scores)))[1] == pytest.approx(kurtosis(scores), rel=0.1)
