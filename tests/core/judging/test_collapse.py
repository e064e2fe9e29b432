"""The oracle sorts every token's cosines to all others, in float64."""

import numpy as np
import pytest
import torch

from app.core.judging import collapse
from app.core.judging.collapse import COLLAPSED, NEIGHBOURS, is_trained


def embedding(n: int, d: int, n_collapsed: int, seed: int = 0, apart: float = 0.2) -> torch.Tensor:
    """Tokens of which the last ones lie `apart` from one point, in random order beside a long mean."""
    draw = torch.Generator().manual_seed(seed)
    vectors = torch.randn(n, d, generator=draw)
    vectors[n - n_collapsed :] = torch.randn(d, generator=draw) + apart * torch.randn(n_collapsed, d, generator=draw)
    return vectors + 3 * torch.randn(d, generator=draw)


def nearness(vectors: torch.Tensor) -> np.ndarray:
    own = vectors.double().numpy()
    own = own - own.mean(axis=0)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    cosines = own @ own.T
    np.fill_diagonal(cosines, -2)
    return np.array([np.mean(sorted(row)[::-1][:NEIGHBOURS]) for row in cosines])


@pytest.mark.parametrize("screening", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("block", [7, collapse.BLOCK])
@pytest.mark.parametrize(("n", "d", "n_collapsed"), [(400, 16, 60), (400, 64, 0), (300, 8, 21), (60, 40, 30)])
def test_near_neighbours_are_those_of_all_pairs(n, d, n_collapsed, screening, block, monkeypatch):
    monkeypatch.setattr(collapse, "BLOCK", block)
    vectors = embedding(n, d, n_collapsed)
    expected = nearness(vectors)
    assert np.abs(expected - COLLAPSED).min() > 1e-5  # or rounding may decide
    np.testing.assert_array_equal(is_trained(vectors, screening).numpy(), expected <= COLLAPSED)


def test_a_point_of_many_tokens_is_found_and_the_rest_is_left():
    trained = is_trained(embedding(500, 32, 80))
    assert trained[:420].all()
    assert not trained[420:].any()


def test_a_few_tokens_on_a_point_are_left():
    """Forms of one word may be that near."""
    assert is_trained(embedding(500, 32, 3 * NEIGHBOURS // 4)).all()
    assert not is_trained(embedding(500, 32, NEIGHBOURS + 1))[-NEIGHBOURS - 1 :].any()


@pytest.mark.parametrize("seed", range(3))
def test_of_many_tokens_none_is_taken_that_is_trained_and_nearly_all_are_found(monkeypatch, seed):
    vectors = embedding(1_500, 24, 200, seed)
    whole = is_trained(vectors)
    monkeypatch.setattr(collapse, "EXACT", 100)
    parted = is_trained(vectors)
    assert not (whole & ~parted).any()
    assert (~parted).sum() >= 0.98 * (~whole).sum() > 0
    assert torch.equal(parted, is_trained(vectors))


def test_the_order_of_ids_does_not_matter():
    vectors = embedding(600, 16, 90)
    order = torch.randperm(600, generator=torch.Generator().manual_seed(1))
    assert torch.equal(is_trained(vectors[order]), is_trained(vectors)[order])


def test_blocks_are_the_whole(monkeypatch):
    vectors = embedding(300, 16, 50)
    whole = is_trained(vectors)
    monkeypatch.setattr(collapse, "BLOCK", 7)
    assert torch.equal(is_trained(vectors), whole)


@pytest.mark.parametrize("n", [1, NEIGHBOURS])
def test_of_hardly_any_tokens_all_count(n):
    assert is_trained(torch.ones(n, 4)).all()


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -3.7])
@pytest.mark.parametrize("exact", [4_096, 50])
def test_tokens_that_are_all_equal_have_no_direction_of_their_own(monkeypatch, value, exact):
    monkeypatch.setattr(collapse, "EXACT", exact)
    assert not is_trained(torch.full((300, 8), value)).any()
