import pytest
import torch

from app.core.measuring import span
from app.core.measuring.span import orthonormalise


@pytest.fixture(autouse=True, params=[3, 64])
def _seed(request, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(span, "PANEL", request.param)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (5, 20), (20, 20), (70, 20)])
def test_spans_grow_as_those_of_the_vectors(n, d):
    vectors = torch.randn(n, d, dtype=torch.float64)
    unit, rows = orthonormalise(vectors)
    rank = min(n, d)
    assert rows.tolist() == list(range(rank))
    assert torch.allclose(unit @ unit.T, torch.eye(rank, dtype=torch.float64), atol=1e-12)
    for first in range(1, rank + 1):
        inside = vectors[:first] @ unit[:first].T @ unit[:first]
        assert torch.allclose(inside, vectors[:first], atol=1e-10)
    assert ((unit * vectors[:rank]).sum(dim=1) > 0).all()


def test_dependent_vectors_give_none():
    a, b, c = torch.randn(3, 10, dtype=torch.float64)
    vectors = torch.stack([a, 3 * a, torch.zeros_like(a), b, a - 2 * b, (a + b).float().double(), c, b])
    unit, rows = orthonormalise(vectors)
    assert rows.tolist() == [0, 3, 6]
    assert torch.allclose(unit @ unit.T, torch.eye(3, dtype=torch.float64), atol=1e-12)


def test_nearly_dependent_vectors_stay_orthogonal():
    base = torch.randn(10, 40, dtype=torch.float64)
    vectors = torch.cat([base, base + 1e-4 * torch.randn_like(base)])
    unit, rows = orthonormalise(vectors)
    assert len(rows) == 20
    assert torch.allclose(unit @ unit.T, torch.eye(20, dtype=torch.float64), atol=1e-10)


def test_length_does_not_matter():
    vectors = torch.randn(5, 8, dtype=torch.float64)
    scaled = vectors * torch.tensor([1e-25, 1e20, 1, 1e-3, 1e9], dtype=torch.float64)[:, None]
    assert torch.allclose(orthonormalise(vectors)[0], orthonormalise(scaled)[0], atol=1e-12)


def test_no_vectors():
    unit, rows = orthonormalise(torch.zeros(0, 5, dtype=torch.float64))
    assert (unit.shape, rows.shape) == ((0, 5), (0,))
