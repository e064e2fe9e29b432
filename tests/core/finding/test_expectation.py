import numpy as np
import pytest

from app.core.finding.expectation import SURELY, expected_count, threshold_z


def test_so_many_normal_numbers_are_as_far():
    draws = np.abs(np.random.default_rng(0).standard_normal(400_000))
    for z in (1.0, 2.0, 3.0):
        assert expected_count(np.array([z, -z]), 400_000) == pytest.approx((draws >= z).sum(), rel=0.06)


def test_what_is_measured_of_a_real_bank():
    # Methods: d 576, 122,112 rows that lie anyhow.
    assert expected_count(np.array([0.21]) * 576**0.5, 122_112)[0] == pytest.approx(0.056, abs=0.01)
    assert threshold_z(17_280) == pytest.approx(4.67, abs=0.02)


@pytest.mark.parametrize("n", [1, 100, 10**6])
def test_reach_is_where_so_many_are_expected(n):
    assert expected_count(np.array([threshold_z(n)]), n)[0] == pytest.approx(SURELY, rel=1e-6)


def test_random_directions_find_something_as_near_as_seldom_as_it_says():
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((4_000, 96))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    queries = rng.standard_normal((400, 96))
    cosines = queries @ rows.T
    z = cosines / np.sqrt(np.square(cosines).mean(axis=1, keepdims=True))
    found = (np.abs(z).max(axis=1) >= threshold_z(4_000)).mean()
    assert found <= 2 * SURELY
