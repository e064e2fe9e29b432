import numpy as np
import pytest
import torch

from app.core.matrix import HEAD, KEY, NEURON, POSITION, QUERY, READ, TOKEN, WRITE
from app.explorer import sides
from app.explorer.sides import read_side
from tests.explorer.steps import ended


def vectors(n, d):
    return torch.nn.functional.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(n)), dim=1)


@pytest.mark.parametrize("side", [READ, QUERY, KEY, WRITE])
@pytest.mark.parametrize("processing", ["raw", "folded"])
def test_the_stream_is_read_as_tokens(bench_of, oracle_of, side, processing):
    given = vectors(5, 32)
    found = ended(read_side(bench_of("llama", processing), side, given))
    scores = given.double().numpy() @ oracle_of("llama").table(side.name, processing).T[:, :97]
    assert found["top_ids"].shape == found["bottom_ids"].shape == (5, 50)
    for row in range(5):
        np.testing.assert_allclose(found["top_scores"][row], np.sort(scores[row])[::-1][:50], atol=1e-5)
        np.testing.assert_allclose(found["bottom_scores"][row], np.sort(scores[row])[:50], atol=1e-5)
        np.testing.assert_allclose(scores[row][found["top_ids"][row]], found["top_scores"][row], atol=1e-5)
    np.testing.assert_array_equal(found["counts"].sum(axis=1), 97)


@pytest.mark.parametrize("side", [NEURON, POSITION, HEAD, TOKEN])
def test_any_other_side_is_read_by_its_own_entries(bench_of, side):
    given = vectors(3, 100)
    n_known = 97 if side is TOKEN else 100  # three rows of padding are no tokens
    found = ended(read_side(bench_of("llama", "raw"), side, given))
    for row, vector in enumerate(given.numpy()):
        order = np.argsort(-vector[:n_known], kind="stable")
        np.testing.assert_array_equal(found["top_ids"][row], order[:50])
        np.testing.assert_array_equal(found["top_scores"][row], vector[order[:50]])
        np.testing.assert_array_equal(found["bottom_ids"][row], order[::-1][:50])
    np.testing.assert_array_equal(found["counts"].sum(axis=1), n_known)


@pytest.mark.parametrize(("side", "d"), [(WRITE, 32), (NEURON, 48)])
def test_parts_are_the_whole(bench_of, side, d, monkeypatch):
    bench, given, said = bench_of("llama", "folded"), vectors(11, d), []
    whole = ended(read_side(bench, side, given))
    monkeypatch.setattr(sides, "AT_ONCE", 4)
    parts = ended(read_side(bench, side, given), said)
    assert said == [(0, 11), (4, 11), (8, 11)]
    assert set(parts) == set(whole)
    for name, array in whole.items():
        np.testing.assert_array_equal(parts[name], array)


@pytest.mark.parametrize(("side", "d"), [(WRITE, 32), (NEURON, 48), (TOKEN, 100)])
def test_no_vectors_have_no_rows(bench_of, side, d):
    found = ended(read_side(bench_of("llama", "raw"), side, torch.zeros(0, d)))
    assert {len(array) for array in found.values()} == {0}
    assert found["top_ids"].shape[1] == min(50, 97 if side is not NEURON else d)
