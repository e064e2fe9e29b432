"""The used basis against the plain formula: the SVD of `C^(1/2) W`, of matrices and covariances drawn at random, in float64."""

import pytest
import torch

from app.core.bases.used import find_axes
from app.core.decomposition import Decomposition

D, RANK = 24, 6


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def drawn():
    """W, the covariance C of what it reads, its singular directions, and M."""
    W = random(D, RANK, seed=0) @ random(RANK, D, seed=1)
    spread = random(D, D, seed=2)
    C = spread @ spread.T / D
    U, strength, Vh = torch.linalg.svd(W, full_matrices=False)
    terms = Decomposition(U.T[:RANK].contiguous(), strength[:RANK], Vh[:RANK].contiguous())
    read = terms.left.T * terms.strength
    return W, C, terms, read.T @ C @ read


@pytest.fixture(scope="module")
def axes(drawn):
    _, _, terms, M = drawn
    return find_axes(terms, M)


def test_axes_are_the_singular_directions_of_the_matrix_weighted_by_the_stream(drawn, axes):
    W, C, _, _ = drawn
    values, vectors = torch.linalg.eigh(C)
    _, strength, Vh = torch.linalg.svd((vectors * values.sqrt()) @ vectors.T @ W, full_matrices=False)
    squares = strength[:RANK].square()
    torch.testing.assert_close(axes.terms.merit, squares / squares.sum(), rtol=0, atol=1e-8)
    cosines = (axes.terms.right * Vh[:RANK]).sum(dim=1).abs()
    torch.testing.assert_close(cosines, torch.ones(RANK, dtype=torch.float64), rtol=0, atol=1e-8)


def test_terms_add_up_to_the_matrix_and_mixtures_to_one(drawn, axes):
    W, _, terms, _ = drawn
    torch.testing.assert_close(axes.terms.reconstruct(), W, rtol=0, atol=1e-10)
    one = torch.ones(RANK, dtype=torch.float64)
    torch.testing.assert_close(axes.mixture.square().sum(dim=1), one, rtol=0, atol=1e-12)
    torch.testing.assert_close(axes.mixture, (axes.terms.right @ terms.right.T).abs(), rtol=0, atol=1e-12)


def test_writes_are_orthonormal_and_reads_are_under_the_covariance_alone(drawn, axes):
    _, C, _, _ = drawn
    left, right = axes.terms.left, axes.terms.right
    identity = torch.eye(RANK, dtype=torch.float64)
    torch.testing.assert_close(right @ right.T, identity, rtol=0, atol=1e-10)
    torch.testing.assert_close(left.norm(dim=1), torch.ones(RANK, dtype=torch.float64), rtol=0, atol=1e-12)
    assert (left @ left.T - identity).abs().max() > 0.1
    under = left @ C @ left.T
    torch.testing.assert_close(under, under.diag().diag(), rtol=0, atol=1e-10)


def test_signs_follow_the_rule_and_what_does_not_vary_has_no_share(drawn, axes):
    largest = axes.terms.right.gather(1, axes.terms.right.abs().argmax(dim=1, keepdim=True))
    assert (largest > 0).all()
    still = find_axes(drawn[2], torch.zeros(RANK, RANK))
    assert not still.terms.merit.any()
    torch.testing.assert_close(still.terms.reconstruct(), drawn[0], rtol=0, atol=1e-10)
