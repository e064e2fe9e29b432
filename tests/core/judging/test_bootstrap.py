"""Intervals over clusters: how often they hold in simulations, what a shared draw tells, what is said of too few."""

from itertools import product
from random import Random

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm, t

from app.core.judging import bootstrap
from app.core.judging.bootstrap import LEAST, estimate_difference, estimate_mean, estimate_superiority


def named(values, name="own"):
    """Clusters that share no name with those of another name."""
    return {(name, place): np.asarray(own, float) for place, own in enumerate(values)}


def clusters(n, rays, shift=0.0, seed=0, between=1.0):
    """Rays of n clusters, each about a centre of its own: those of one are alike."""
    random = np.random.default_rng(seed)
    return named((shift + between * random.normal() + random.normal(size=rays) for _ in range(n)), seed)


def heads(layers, n, rays, seed):
    """[layers n rays]: of heads, half of whose variance is their layer's."""
    random = np.random.default_rng(seed)
    return (
        random.normal(size=(layers, 1, 1)) + random.normal(size=(layers, n, 1)) + random.normal(size=(layers, n, rays))
    )


def by_layer(values, shift=0.0):
    """A cluster a layer, named as that of another kind's."""
    return {layer: own.ravel() + shift for layer, own in enumerate(values)}


def coverage(estimate, truth, simulations=300):
    """How often the interval holds the truth."""
    intervals = [estimate(seed).interval for seed in range(simulations)]
    return np.mean([low <= truth <= high for low, high in intervals])


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 1_000)


@pytest.mark.parametrize("n", [LEAST, 6, 12, 24])
def test_an_interval_of_a_mean_holds_as_often_as_it_says(n):
    # Of the fewest it holds 91 times in a hundred, and percentiles alone 83 times; 300 tell so much by 2.
    least = 0.88 if n < 8 else 0.91
    assert least <= coverage(lambda seed: estimate_mean(clusters(n, 20, seed=seed), seed), 0.0) <= 0.995


@pytest.mark.parametrize(("n", "m"), [(24, 6), (12, 12)])
def test_an_interval_of_a_difference_holds_as_often_as_it_says(n, m):
    def estimate(seed):
        return estimate_difference(clusters(n, 20, shift=1.5, seed=seed), clusters(m, 40, seed=seed + 10_000), seed)

    assert 0.91 <= coverage(estimate, 1.5) <= 1.0


def test_an_interval_of_superiority_holds_as_often_as_it_says():
    def estimate(seed):
        return estimate_superiority(clusters(16, 20, seed=seed), clusters(16, 20, seed=seed + 10_000), seed)

    assert 0.91 <= coverage(estimate, 0.5, simulations=200) <= 1.0


def test_rays_of_one_cluster_are_not_taken_for_independent_ones():
    few = estimate_mean(clusters(8, 1_000), 0).interval
    mixed = np.random.default_rng(1).permutation(np.concatenate([*clusters(8, 1_000).values()]))
    many = estimate_mean(named(np.split(mixed, 8)), 0).interval
    assert few.high - few.low > 5 * (many.high - many.low)


def test_more_clusters_tell_more():
    widths = [np.subtract(*reversed(estimate_mean(clusters(n, 10), 0).interval)) for n in (6, 60, 600)]
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


def test_values_are_those_of_all_rays():
    first, others = named([[1, 2, 6], [3]]), named([[0], [1, 5]], "other")
    assert estimate_mean(first, 0).value == 3.0
    assert estimate_difference(first, others, 0).value == 1.0
    wins = [(x > y) + (x == y) / 2 for x, y in product((1, 2, 6, 3), (0, 1, 5))]
    assert estimate_superiority(first, others, 0).value == pytest.approx(np.mean(wins))


def test_superiority_is_that_of_mann_and_whitney():
    first, others = clusters(9, 77, shift=0.5), clusters(7, 130, seed=1)
    u = mannwhitneyu(*(np.concatenate([*each.values()]) for each in (first, others))).statistic
    expected = u / (9 * 77 * 7 * 130)
    assert estimate_superiority(first, others, 0).value == pytest.approx(expected, abs=0.001)
    assert estimate_superiority(others, first, 0).value == pytest.approx(1 - expected, abs=0.001)


@pytest.mark.parametrize(("n", "m"), [(1, 30), (30, 1), (LEAST - 1, 30), (2, 2)])
def test_of_too_few_clusters_nothing_is_claimed(n, m):
    first, others = clusters(n, 50), clusters(m, 50, seed=1)
    for estimate in (estimate_difference, estimate_superiority):
        assert estimate(first, others, 0).interval is None
        assert estimate(first, others, 0).n == min(n, m)
    assert (estimate_mean(first, 0).interval is None) == (n < LEAST)


def test_equal_values_have_an_interval_without_width():
    same = named([[2.0] * 4] * 6)
    assert estimate_mean(same, 0).interval == (2.0, 2.0)
    assert estimate_superiority(same, same, 0) == (0.5, (0.5, 0.5), 6)


def test_groups_that_share_no_cluster_are_drawn_apart():
    first = clusters(12, 10)
    low, high = estimate_difference(first, named(first.values(), "again"), 0).interval
    assert low < -0.2
    assert high > 0.2


def test_groups_that_share_their_clusters_are_drawn_together():
    first = clusters(12, 10)
    assert estimate_difference(first, first, 0) == (0.0, (0.0, 0.0), 12)
    reversed_ = dict(reversed(first.items()))
    assert estimate_difference(first, reversed_, 0).interval == pytest.approx((0.0, 0.0), abs=1e-12)
    shifted = {name: own + 0.25 for name, own in first.items()}
    assert estimate_difference(shifted, first, 0).interval == pytest.approx((0.25, 0.25), abs=1e-12)


def redrawn(first, others, draws):
    """Difference and superiority of all values, with names drawn again by plain loops: their quantiles at 95%."""
    random = Random(3)
    names = sorted({*first, *others})
    found = []
    while len(found) < draws:
        drawn = [random.choice(names) for _ in names]
        x = [value for name in drawn for value in first.get(name, ())]
        y = [value for name in drawn for value in others.get(name, ())]
        if x and y:
            wins = sum((a > b) + (a == b) / 2 for a, b in product(x, y))
            found.append((sum(x) / len(x) - sum(y) / len(y), wins / (len(x) * len(y))))
    n = min(len(first), len(others))
    tail = norm.cdf(-t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1)))
    return np.quantile(found, (tail, 1 - tail), axis=0).T


@pytest.mark.parametrize("missing", [0, 4])
def test_a_shared_draw_is_that_of_plain_loops(missing):
    random = np.random.default_rng(6)
    layers = random.normal(size=(10, 1))
    first = by_layer(layers + random.normal(size=(10, 3)))
    others = by_layer((layers + 0.7 * random.normal(size=(10, 4)))[missing:])
    others = {layer + missing: own for layer, own in others.items()}
    wanted = redrawn(first, others, 2_000)
    for estimate, expected in zip((estimate_difference, estimate_superiority), wanted, strict=True):
        assert np.ptp(expected) > 0.2
        assert estimate(first, others, 0).interval == pytest.approx(expected, abs=0.12 * np.ptp(expected))
        # Drawn apart, they would be wider by what layers have in common.
        wide = estimate(first, named(others.values()), 0).interval
        assert missing or np.ptp(wide) > 1.2 * np.ptp(expected)


def test_layers_hold_as_often_as_they_say_where_heads_of_one_are_alike():
    layers = coverage(lambda seed: estimate_mean(by_layer(heads(20, 6, 5, seed)), seed), 0.0)
    alone = coverage(lambda seed: estimate_mean(named(heads(20, 6, 5, seed).reshape(-1, 5)), seed), 0.0)
    assert 0.91 <= layers <= 0.99
    assert alone < 0.8


def test_kinds_that_share_layers_are_compared_as_surely_as_is_said():
    def kinds(seed):
        layer = 2 * np.random.default_rng(seed).normal(size=(20, 1, 1))
        return (layer + heads(20, n, 5, (seed, n)) for n in (6, 2))

    def together(seed):
        first, others = kinds(seed)
        return estimate_difference(by_layer(first, 0.5), by_layer(others), seed)

    def never_together(seed):
        first, others = kinds(seed)
        return estimate_difference(by_layer(first, 0.5), named(map(np.ravel, others)), seed)

    assert 0.91 <= coverage(together, 0.5) <= 0.99
    assert coverage(never_together, 0.5) > 0.995
    assert np.ptp(never_together(0).interval) > 1.5 * np.ptp(together(0).interval)


def test_one_seed_gives_one_interval():
    first, others = clusters(12, 10), clusters(6, 10, seed=1)
    for estimate in (estimate_difference, estimate_superiority):
        assert estimate(first, others, 5) == estimate(first, others, 5)
        assert estimate(first, others, 5).interval != estimate(first, others, 6).interval


def test_a_cluster_without_values_is_refused():
    with pytest.raises(ValueError, match="1 of 2 have none"):
        estimate_mean(named([[0, 0, 0], []]), 0)
    with pytest.raises(ValueError, match="0 of 0"):
        estimate_difference(named([[0, 0, 0]]), {}, 0)


@pytest.mark.parametrize("freedom", [LEAST - 1, 5, 11, 100])
def test_the_quantile_is_student_s(freedom):
    assert bootstrap._student_quantile(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=0.01)
