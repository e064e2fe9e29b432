import math

import numpy as np
import pytest
import torch

from app.core.finding.composition import composition_scores, normalise_factors, right_gram_factor
from app.core.steps import run

D, H, N, M = 24, 4, 3, 5


@pytest.fixture
def draw():
    return torch.Generator().manual_seed(3)


def random(draw, *shape):
    return torch.randn(*shape, generator=draw)


def score(of, matrix):
    """The formula in float64, from dense products."""
    of, matrix = of.double(), matrix.double()
    return math.sqrt(D) * (torch.linalg.norm(of @ matrix) / torch.linalg.norm(of) / torch.linalg.norm(matrix)).item()


def scores_of(V, W, left, right):
    """Of writers V @ W with readers left @ right, through the small factors."""
    writers = normalise_factors(right_gram_factor(V, W))
    readers = normalise_factors(right_gram_factor(right.mT, left.mT))
    return run(composition_scores(writers, readers))


def test_factors_say_what_dense_products_say(draw):
    V, W = random(draw, N, D, H), random(draw, N, H, D)
    left, right = random(draw, M, D, H) ** 3, random(draw, M, H, D)
    found = scores_of(V, W, left, right)
    expected = [[score(V[a] @ W[a], left[b] @ right[b]) for b in range(M)] for a in range(N)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_a_writer_that_is_turned_at_random_has_one_in_the_mean_square(draw):
    """Whatever both spectra are."""
    n = 2_000
    turns = torch.linalg.qr(random(draw, n, D, D)).Q
    V = random(draw, 1, D, H).expand(n, -1, -1)
    W = (torch.diag(torch.tensor([9.0, 3.0, 1.0, 0.1])) @ random(draw, 1, H, D)).expand(n, -1, -1) @ turns
    left, right = random(draw, 1, D, H) * torch.tensor([5.0, 1.0, 1.0, 0.01]), random(draw, 1, H, D)
    squares = scores_of(V, W, left, right).square()
    assert squares.mean().item() == pytest.approx(1, abs=4 * squares.std().item() / math.sqrt(n))


def test_a_reader_of_what_is_written_stands_out_and_one_of_the_rest_has_nothing(draw):
    basis = torch.linalg.qr(random(draw, D, D)).Q.T
    V, W = random(draw, 1, D, H), basis[None, :H]
    readers = torch.stack([basis[:H].T, basis[H : 2 * H].T])
    found = scores_of(V, W, readers, torch.eye(H).expand(2, H, H))
    np.testing.assert_allclose(found[0], [math.sqrt(D / H), 0], atol=1e-5)


def test_a_matrix_that_is_zero_composes_with_nothing(draw):
    zero, V, W = torch.zeros(1, D, H), random(draw, 1, D, H), random(draw, 1, H, D)
    assert scores_of(V, W, zero, W).item() == 0
    assert scores_of(zero, W, V, W).item() == 0
