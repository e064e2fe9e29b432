"""The oracle projects the samples themselves, by least squares."""

import pytest
import torch

from app.core.measuring.energy import explained_shares, svd_explained_shares
from tests.core.conftest import make_upright_and_not, terms_of

D = 12


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def samples() -> torch.Tensor:
    return torch.randn(50, D) * torch.logspace(0, -1, D) + torch.randn(D)


def gram_of(samples: torch.Tensor) -> torch.Tensor:
    return samples.double().T @ samples.double()


def oracle(samples: torch.Tensor, vectors: torch.Tensor, mean: torch.Tensor | None = None) -> torch.Tensor:
    """One minus what no mixture of the first vectors, added to the mean, can make of the samples."""
    exact = samples.double()
    rest = exact if mean is None else exact - mean.double()
    shares = []
    for first in range(len(vectors) + 1):
        span = vectors[:first].double()
        left = rest - rest @ torch.linalg.pinv(span, rtol=1e-6) @ span if first else rest
        shares.append(1 - left.square().sum() / exact.square().sum())
    return torch.stack(shares)


def test_against_projecting_the_samples(samples):
    vectors = torch.randn(8, D)
    shares = explained_shares(gram_of(samples), vectors)
    assert shares[0] == 0
    assert torch.allclose(shares, oracle(samples, vectors), atol=1e-10)


def test_vectors_that_others_span_add_nothing(samples):
    a, b = torch.randn(2, D)
    shares = explained_shares(gram_of(samples), torch.stack([a, 2 * a, b, a + b, torch.zeros(D)]))
    assert torch.allclose(shares, oracle(samples, torch.stack([a, 2 * a, b, a + b, torch.zeros(D)])), atol=1e-6)
    assert shares[1] == shares[2]
    assert shares[3] == shares[4] == shares[5]


def test_a_mean_counts_first(samples):
    mean, vectors = samples.mean(dim=0), torch.randn(D, D)
    shares = explained_shares(gram_of(samples), vectors, mean, len(samples))
    assert torch.allclose(shares, oracle(samples, vectors, mean), atol=1e-6)
    assert shares[0] > 0.1
    assert shares[-1] == pytest.approx(1, abs=1e-6)


def test_more_vectors_than_dimensions(samples):
    shares = explained_shares(gram_of(samples), torch.randn(3 * D, D))
    assert shares.shape == (3 * D + 1,)
    assert torch.allclose(shares[D:], torch.ones(2 * D + 1, dtype=torch.float64), atol=1e-9)
    assert (shares.diff() >= 0).all()
    assert (shares <= 1).all()


def test_nothing_explains_more_than_the_singular_directions(samples):
    most = svd_explained_shares(gram_of(samples))
    for _ in range(20):
        assert (explained_shares(gram_of(samples), torch.randn(D, D)) <= most + 1e-12).all()
    matrix, _ = make_upright_and_not(samples)
    assert torch.allclose(explained_shares(gram_of(samples), terms_of("svd", matrix).right), most, atol=1e-9)
    for basis in ("neuron", "frequency"):
        terms = terms_of(basis, matrix, groups=5)
        shares = explained_shares(gram_of(samples), terms.right)
        assert (shares <= most[: len(shares)] + 1e-12).all()


def test_the_singular_directions_explain_their_energy(samples):
    energy = torch.linalg.svdvals(samples.double()).square()
    expected = torch.cat([energy.new_zeros(1), energy.cumsum(0)]) / energy.sum()
    assert torch.allclose(svd_explained_shares(gram_of(samples)), expected, atol=1e-12)


def test_few_samples():
    samples = torch.randn(3, D)
    shares = explained_shares(gram_of(samples), samples)
    assert shares[3] == pytest.approx(1)
    assert svd_explained_shares(gram_of(samples))[3] == pytest.approx(1)


def test_a_zero_matrix_is_not_explained():
    zero = torch.zeros(D, D, dtype=torch.float64)
    assert not explained_shares(zero, torch.randn(4, D)).any()
    assert not explained_shares(zero, torch.randn(4, D), torch.zeros(D), 5).any()
    assert not svd_explained_shares(zero).any()
    assert explained_shares(torch.eye(D).double(), torch.zeros(0, D)).tolist() == [0]
