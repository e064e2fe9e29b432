"""Each number beside its definition in float64, and rays that were put where they have to be found."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.core.finding.expectation import cosine_spread, expected_count
from app.core.finding.nearest import ROWS, combine_units, false_discovery_rate, find_largest, iterate_runs, themes

D, V = 24, 300


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def by_chance(alignments, query, moments, n):
    return expected_count(alignments / cosine_spread(query[None], moments), n)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("n", [0, 1, 5, ROWS, ROWS + 3])
def test_a_theme_is_the_mean_similarity_of_the_tokens(rng, n):
    similarities = rng.standard_normal(V).astype(np.float32)
    ids = rng.integers(-1, V, (n, 2, 20)).astype(np.int32)
    exact = np.where(ids < 0, 0.0, similarities.astype(np.float64)[ids]).mean(-1)
    np.testing.assert_allclose(themes(np.append(similarities, np.float32(0)), ids), exact, atol=1e-6)


def test_tokens_are_combined_at_unit_length(rng):
    units, weights = unit(rng.standard_normal((4, D))), np.array([1.0, 2.0, -1.0, 0.5])
    exact = (units.astype(np.float64) * weights[:, None]).sum(0)
    np.testing.assert_allclose(combine_units(units, weights), exact / np.linalg.norm(exact), atol=1e-6)


def test_what_cancels_has_no_direction(rng):
    one = unit(rng.standard_normal((1, D)))
    assert combine_units(np.repeat(one, 2, 0), np.array([1.0, -1.0])) is None
    assert combine_units(np.zeros((2, D), np.float32), np.ones(2)) is None


def test_the_expected_number_is_that_of_a_normal_distribution():
    # c .21 of 122,112 vectors of 576: .044; in all directions alike
    moments = np.eye(576, dtype=np.float32) / 576
    query = np.eye(576, dtype=np.float32)[0]
    (found,) = by_chance(np.array([0.21], np.float32), query, moments, 122_112)
    assert found == pytest.approx(0.056, abs=0.005)
    assert by_chance(np.array([0.0]), query, moments, 122_112) == pytest.approx(122_112)
    assert np.isnan(by_chance(np.array([np.nan]), query, moments, 10)).all()


def test_as_many_random_vectors_are_so_aligned_as_expected(rng):
    d, n = 64, 200_000
    stretched = unit(rng.standard_normal((n, d)) * np.linspace(0.5, 2, d))
    moments = (stretched.astype(np.float64).T @ stretched / n).astype(np.float32)
    for query in unit(rng.standard_normal((4, d))):
        products = np.abs(stretched @ query)
        counted = [int((products >= c).sum()) for c in (0.1, 0.2)]
        np.testing.assert_allclose(by_chance(np.array([0.1, 0.2]), query, moments, n), counted, rtol=0.1)


def test_most_expected_of_a_bank_without_a_neighbour(rng):
    """The best of n random products has an expected number of about 1, whatever the query: the median is log 2."""
    d, n = 400, 20_000
    vectors = unit(rng.standard_normal((n, d)))
    moments = np.eye(d, dtype=np.float32) / d
    best = [
        by_chance(np.abs(vectors @ q).max(keepdims=True), q, moments, n)[0] for q in unit(rng.standard_normal((200, d)))
    ]
    assert math.log(2) / 1.6 < np.median(best) < math.log(2) * 1.6


@given(arrays(np.float32, st.integers(0, 50), elements=st.integers(-3, 3).map(float)), st.integers(1, 60))
def test_the_first_are_those_of_a_stable_sort(scores, n):
    scores = np.where(scores == -3, -np.inf, scores)
    order = [i for i in sorted(range(len(scores)), key=lambda i: -scores[i]) if scores[i] > -np.inf]
    assert find_largest(scores, n).tolist() == order[:n]


@pytest.mark.parametrize("n", [1, 10, 200])
def test_the_first_of_many_are_those_of_a_stable_sort(rng, n):
    for digits in (0, 1, 6):  # from many equal ones to none
        scores = np.round(rng.standard_normal(100_001), digits)
        scores[rng.integers(0, len(scores), 50_000)] = -np.inf
        scores[rng.integers(0, len(scores), 1_000)] = np.nan
        known = np.flatnonzero(scores > -np.inf)
        assert find_largest(scores, n).tolist() == known[np.argsort(-scores[known], kind="stable")][:n].tolist()
    few = np.full(100_001, -np.inf)
    few[[5, 90_000]] = 1, 2
    assert find_largest(few, n).tolist() == [90_000, 5][:n]


def test_what_is_no_number_is_not_among_the_first():
    assert find_largest(np.array([np.nan, 1.0, -np.inf, 2.0]), 4).tolist() == [3, 1]


def test_false_discoveries_are_the_share_that_controls_reach(rng):
    rays, controls = rng.standard_normal(3_000), rng.standard_normal(1_000) - 0.5
    score = 1.0
    exact = 3 * (controls >= score).sum() / (rays >= score).sum()
    assert false_discovery_rate(score, rays, controls) == pytest.approx(min(1, exact))
    assert false_discovery_rate(-9.0, rays, controls) == 1
    picked = rays[rays >= score]  # for another reason: as many controls would have been
    assert false_discovery_rate(score, picked, controls, len(rays)) == false_discovery_rate(score, rays, controls)
    assert false_discovery_rate(9.0, rays, controls) is None
    assert false_discovery_rate(1.0, rays, controls[:0]) is None


@given(st.lists(st.integers(-1, 1)))
def test_runs_are_all_of_the_values(values):
    given_values = np.array(values, np.int64)
    found = list(iterate_runs(given_values))
    assert [value for value, where in found for _ in range(where.stop - where.start)] == values
    assert all(one != other for (one, _), (other, _) in itertools.pairwise(found))


def test_a_planted_ray_is_found_first_by_theme_and_alignment(rng):
    tokens = unit(rng.standard_normal((V, D)))
    bank = unit(rng.standard_normal((500, D)))
    bank[123] = -tokens[7]
    products = bank @ tokens.T
    order = np.argsort(-products, 1)
    ids = np.stack([order[:, :20], order[:, ::-1][:, :20]], 1).astype(np.int32)
    query = combine_units(tokens[[7]], np.ones(1))
    by_theme = find_largest(themes(tokens @ query, ids).ravel(), 1)
    aligned = bank @ query
    assert by_theme.tolist() == find_largest(np.stack([aligned, -aligned], 1).ravel(), 1).tolist() == [2 * 123 + 1]
    assert ids[123, 1, 0] == 7
    assert by_chance(aligned[[123]], query, np.eye(D, dtype=np.float32) / D, 500)[0] < 0.01
