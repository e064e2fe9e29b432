"""The oracle counts, one value at a time."""

import numpy as np
import pytest

from app.core.judging.significance import compare_to_control


def slowly(value: float, control: np.ndarray) -> tuple[float, float]:
    known = [float(each) for each in control if not np.isnan(each)]
    mean = sum(known) / len(known)
    spread = (sum((each - mean) ** 2 for each in known) / (len(known) - 1)) ** 0.5
    return (value - mean) / spread, (1 + sum(each >= value for each in known)) / (1 + len(known))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_z_and_p_against_counting(dtype):
    draw = np.random.default_rng(0)
    control, values = draw.normal(2, 3, 101).astype(dtype), draw.normal(2, 5, (6, 2)).astype(dtype)
    control[::10] = np.nan
    z, p = compare_to_control(values, control)
    assert z.shape == p.shape == (6, 2)
    for at in np.ndindex(6, 2):
        assert (z[at], p[at]) == pytest.approx(slowly(float(values[at]), control), rel=1e-12)


def test_a_value_equal_to_controls_counts_them_as_large():
    _, p = compare_to_control(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 2.0, 3.0]))
    assert p.tolist() == [1, 4 / 5, 2 / 5, 1 / 5]


def test_no_p_is_zero_nor_above_one():
    control = np.arange(4_000.0)
    _, p = compare_to_control(np.array([-np.inf, -1.0, 1e9, np.inf]), control)
    assert p.tolist() == [1, 1, 1 / 4_001, 1 / 4_001]


def test_p_falls_as_values_rise_and_needs_no_scale():
    draw = np.random.default_rng(1)
    control, values = draw.normal(size=200), np.sort(draw.normal(size=50))
    z, p = compare_to_control(values, control)
    assert (np.diff(z) > 0).all()
    assert (np.diff(p) <= 0).all()
    other_z, other_p = compare_to_control(values * 8 + 1, control * 8 + 1)
    np.testing.assert_allclose(other_z, z, rtol=1e-9)
    np.testing.assert_array_equal(other_p, p)


def test_what_is_no_number_has_no_place():
    z, p = compare_to_control(np.array([np.nan, 0.0]), np.array([1.0, 2.0, np.nan]))
    assert np.isnan([z[0], p[0]]).all()
    assert (z[1], p[1]) == pytest.approx((-1.5 * 2**0.5, 1))


@pytest.mark.parametrize("control", [[], [1.0], [np.nan, np.nan, 3.0]])
def test_fewer_than_two_controls_say_nothing(control):
    z, p = compare_to_control(np.array([[0.0, 5.0]]), np.array(control))
    assert z.shape == p.shape == (1, 2)
    assert np.isnan(z).all()
    assert np.isnan(p).all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3])
def test_controls_that_are_all_equal_have_no_z(value):
    z, p = compare_to_control(np.array([value, value + 1]), np.full(7, value))
    assert np.isnan(z).all()
    assert p.tolist() == [1, 1 / 8]


def test_no_values():
    z, p = compare_to_control(np.zeros((0, 2)), np.arange(5.0))
    assert z.shape == p.shape == (0, 2)
