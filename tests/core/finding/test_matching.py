from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from app.core.finding.matching import best_partners


@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(1, 12), st.booleans())
def test_the_sum_is_as_large_as_can_be(seed, n, m, has_ties):
    draw = np.random.default_rng(seed)
    gains = draw.integers(0, 3, (n, m)).astype(float) if has_ties else draw.standard_normal((n, m))
    found = best_partners(gains)
    given_one = np.flatnonzero(found >= 0)
    assert len(given_one) == min(n, m) == len(set(found[given_one].tolist()))
    expected = gains[linear_sum_assignment(gains, maximize=True)].sum()
    assert gains[given_one, found[given_one]].sum() == pytest.approx(expected)


def test_it_is_the_best_of_all_orders():
    gains = np.random.default_rng(1).standard_normal((6, 6))
    best = max(permutations(range(6)), key=lambda order: sum(gains[row, column] for row, column in enumerate(order)))
    assert best_partners(gains).tolist() == list(best)


def test_what_is_alike_but_for_its_order_is_put_in_order():
    order = np.random.default_rng(2).permutation(40)
    assert best_partners(np.eye(40)[order]).tolist() == order.tolist()
