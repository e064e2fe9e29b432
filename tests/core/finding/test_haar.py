import numpy as np
import pytest

from app.core.finding.haar import expected_overlap, random_cosines, random_orthonormal_rows


def test_the_published_size_has_the_published_chance():
    mean, spread = expected_overlap(64, 64, 576)
    assert mean == pytest.approx(7.11, abs=0.01)
    assert spread == pytest.approx(0.140, abs=0.001)


@pytest.mark.parametrize(("r1", "r2", "d"), [(64, 64, 576), (5, 9, 32), (3, 20, 21)])
def test_drawn_subspaces_share_what_is_expected(r1, r2, d):
    n = 100
    drawn = [
        np.square(random_orthonormal_rows(r1, d, 2 * i) @ random_orthonormal_rows(r2, d, 2 * i + 1).T).sum()
        for i in range(n)
    ]
    mean, spread = expected_overlap(r1, r2, d)
    assert abs(np.mean(drawn) - mean) < 4 * spread / np.sqrt(n)
    assert np.std(drawn) == pytest.approx(spread, rel=0.3)


def test_a_subspace_that_is_all_there_is_leaves_nothing_to_chance():
    assert expected_overlap(7, 7, 7) == (7, 0)
    assert random_cosines(3, 7, 7) == pytest.approx((1, 1, 1))
    assert expected_overlap(1, 1, 1) == (1, 0)


def test_cosines_are_as_many_as_the_smaller_has_dimensions_and_fall():
    cosines = random_cosines(4, 9, 40)
    assert len(cosines) == len(random_cosines(9, 4, 40)) == 4
    assert list(cosines) == sorted(cosines, reverse=True)
    assert sum(each**2 for each in random_cosines(64, 64, 576)) == pytest.approx(7.11, abs=0.42)


def test_rows_are_orthonormal_and_the_same_for_one_seed():
    rows = random_orthonormal_rows(5, 12, 3)
    np.testing.assert_allclose(rows @ rows.T, np.eye(5), atol=1e-6)
    np.testing.assert_array_equal(rows, random_orthonormal_rows(5, 12, 3))
