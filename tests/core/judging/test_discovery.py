import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import false_discovery_control, norm

from app.core.judging.discovery import FDR, count_needed_at_floor, q_values

P = arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1) | st.sampled_from([0.0, 1 / 4001, 0.5, 1.0]))


def by_definition(p: list[float]) -> list[float]:
    """For each p, the least share of false ones expected in a list that has it: all of at most some p' >= p."""
    return [min(other * len(p) / sum(each <= other for each in p) for other in p if other >= mine) for mine in p]


@given(P)
def test_against_the_definition_and_against_scipy(p):
    found = q_values(p)
    assert found == pytest.approx(by_definition(p.tolist()), rel=1e-12, abs=0)
    assert found == pytest.approx(false_discovery_control(p), rel=1e-12, abs=0)


@given(P)
def test_q_rises_with_p_and_lies_between_it_and_1(p):
    found = q_values(p)
    order = np.argsort(p, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    assert (found >= p).all()
    assert (found <= 1).all()


def test_nan_is_no_test_and_the_shape_is_kept():
    p = np.array([[0.01, np.nan, 0.5], [np.nan, 0.02, 0.9]], dtype=np.float32)
    found = q_values(p)
    assert found.shape == p.shape
    assert (np.isnan(found) == np.isnan(p)).all()
    assert found[~np.isnan(p)] == pytest.approx(false_discovery_control(p[~np.isnan(p)]), rel=1e-6)


@pytest.mark.parametrize("p", [np.zeros(0), np.zeros((3, 0)), np.full(4, np.nan)])
def test_no_tests_at_all(p):
    found = q_values(p)
    assert found.shape == p.shape
    assert np.isnan(found).all()


@pytest.mark.parametrize("wrong", [-0.1, 1.5, math.inf])
def test_what_is_no_p(wrong):
    with pytest.raises(ValueError, match="p values lie from 0 to 1"):
        q_values(np.array([0.5, wrong]))


@pytest.mark.parametrize("nominal", [0.05, 0.1, 0.3])
def test_no_more_are_false_than_is_said(nominal):
    """300 lists of 400 tests, a quarter of them of something; what is expected is three quarters of the nominal rate."""
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((300, 400))
    scores[:, 300:] += 3
    rates, shares_found = [], []
    for p in norm.sf(scores):
        listed = q_values(p) <= nominal
        rates.append(listed[:300].sum() / max(1, listed.sum()))
        shares_found.append(listed[300:].mean())
    error = np.std(rates) / np.sqrt(len(rates))
    assert np.mean(rates) < nominal
    assert np.mean(rates) == pytest.approx(0.75 * nominal, abs=4 * error)
    assert np.mean(shares_found) > 0.5


@pytest.mark.parametrize(("n_tests", "n_control"), [(34_522, 4_000), (128, 4_000), (18_752, 4_000), (999, 99), (1, 9)])
def test_so_many_at_the_floor_are_found_and_one_fewer_are_not(n_tests, n_control):
    needed = count_needed_at_floor(n_tests, n_control)
    for at_floor, is_any_found in ((needed, True), (needed - 1, False)):
        if at_floor <= n_tests:
            p = np.full(n_tests, 1.0)
            p[:at_floor] = 1 / (n_control + 1)
            assert (q_values(p) < FDR).any() == (is_any_found and at_floor > 0)


def test_a_control_that_is_too_small_can_show_nothing():
    assert count_needed_at_floor(5, 1) > 5
