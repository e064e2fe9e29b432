"""By dense products in float64."""

import math

import numpy as np
import pytest

from app.core.finding.coupling import combine_specificities, specificities


def test_they_are_those_of_the_dense_product():
    rng = np.random.default_rng(0)
    d, h = 24, 5
    A, M = (rng.standard_normal((d, h)) @ rng.standard_normal((h, d)) for _ in range(2))
    (_, s, V), (U, t, _) = np.linalg.svd(A), np.linalg.svd(M)
    V, U, s, t = V[:h], U[:, :h], s[:h], t[:h]
    own = specificities(V @ U, t, d)
    for v, found in zip(V, own, strict=True):
        assert found == pytest.approx(math.sqrt(d) * np.linalg.norm(v @ M) / np.linalg.norm(M))
    whole = math.sqrt(d) * np.linalg.norm(A @ M) / (np.linalg.norm(A) * np.linalg.norm(M))
    assert combine_specificities(own, s) == pytest.approx(whole)


def test_a_circuit_of_zeros_reads_nothing():
    assert specificities(np.ones((2, 3)), np.zeros(3), 9).tolist() == [0, 0]
    assert combine_specificities(np.ones(2), np.zeros(2)) == 0
