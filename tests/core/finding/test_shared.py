import numpy as np
import pytest
import torch

from app.core.finding import shared
from app.core.finding.shared import shared_squares
from app.core.steps import run

SIZES = [(3, 4, 5, 2, 24), (7, 6, 4, 5, 12), (2, 3, 3, 3, 1), (1, 1, 1, 1, 1), (0, 2, 3, 2, 4), (4, 9, 4, 9, 9)]
"""n, h, m, k, d: by products, then by Gram matrices."""


@pytest.mark.parametrize("block", [1, 2**12, 2**28])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", SIZES)
def test_they_are_the_squares_of_plain_products(size, dtype, block, monkeypatch):
    monkeypatch.setattr(shared, "BLOCK_BYTES", block)
    n, h, m, k, d = size
    draw = torch.Generator().manual_seed(1)
    first, second = (torch.randn(*shape, d, generator=draw, dtype=torch.float64) for shape in ((n, h), (m, k)))
    plain = [[np.square(a.numpy() @ b.numpy().T).sum() for b in second] for a in first]
    found = run(shared_squares(first.to(dtype), second.to(dtype)))
    lengths = first.square().sum((1, 2))[:, None] * second.square().sum((1, 2))[None]
    error = (found.double() - torch.tensor(plain, dtype=torch.float64).view(n, m)).abs()
    assert bool((error <= (1e-6 if dtype == torch.float32 else 1e-14) * lengths).all())


def test_what_has_nothing_in_common_is_not_below_zero():
    basis = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(2))).Q
    found = run(shared_squares(basis[None, :8], basis[None, 8:]))  # by Gram matrices
    assert 0 <= found.item() < 1e-6 * 64


def test_steps_say_how_far_it_is(monkeypatch):
    monkeypatch.setattr(shared, "BLOCK_BYTES", 1)
    assert list(shared_squares(torch.zeros(2, 3, 5), torch.zeros(2, 3, 5))) == [(done, 5) for done in range(5)]
    assert list(shared_squares(torch.zeros(3, 1, 5), torch.zeros(2, 1, 5))) == [(done, 3) for done in range(3)]
