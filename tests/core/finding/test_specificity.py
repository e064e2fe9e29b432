import math

import pytest
import torch

from app.core.bases.svd import decompose_all
from app.core.circuits import Head, ov
from app.core.finding.specificity import specificity

D, H = 48, 8


def reader(seed, d=D, h=H):
    return torch.randn(d, h, generator=torch.Generator().manual_seed(seed)) @ torch.diag(torch.linspace(0.1, 3, h))


def unit(n, seed, d=D):
    return torch.nn.functional.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_it_is_the_plain_formula():
    vectors, readers = unit(5, 0), torch.stack([reader(1), reader(2)])
    found = specificity(vectors, readers)
    for row, vector in zip(found, vectors.double(), strict=True):
        for own, W in zip(row, readers.double(), strict=True):
            assert own.item() == pytest.approx(math.sqrt(D) * ((vector @ W).norm() / W.norm()).item(), rel=1e-6)


def test_in_the_mean_square_it_is_one_over_all_directions():
    found = specificity(unit(20_000, 3), reader(4)[None]).square().mean().item()
    assert found == pytest.approx(1, abs=0.02)
    # Exactly so over any orthonormal basis.
    basis = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(5))).Q
    assert specificity(basis, reader(4)[None]).square().mean().item() == pytest.approx(1, abs=1e-5)


def test_a_heads_own_is_the_mean_of_its_directions_weighted_by_their_squares():
    generator = torch.Generator().manual_seed(6)
    W_V, W_O = torch.randn(D, H, generator=generator), torch.randn(H, D, generator=generator)
    zero = torch.zeros
    head = Head(W_V, W_V, W_V, W_O, zero(H), zero(H), zero(H), zero(D))
    (terms,) = decompose_all([ov(head)])
    W = reader(7)
    squares = terms.strength.double().square()
    from_rays = (squares @ specificity(terms.right, W[None])[:, 0].double().square() / squares.sum()).sqrt().item()
    dense = W_V.double() @ W_O.double()
    whole = math.sqrt(D) * ((dense @ W.double()).norm() / (dense.norm() * W.double().norm())).item()
    assert from_rays == pytest.approx(whole, abs=1e-6)


def test_what_a_reader_reads_alone_is_as_specific_as_can_be():
    vector = unit(1, 8)
    planted = vector.T @ torch.ones(1, H)
    assert specificity(vector, planted[None]).item() == pytest.approx(math.sqrt(D), rel=1e-6)
    assert specificity(vector, torch.zeros(1, D, H)).item() == 0
