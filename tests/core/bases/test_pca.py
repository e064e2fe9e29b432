import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from app.core import blocks, gram
from app.core.decomposition import approximate_matrix
from tests.core.conftest import make_mlp_matrices, make_upright_and_not, split_by_sample_side, terms_of

D = 24


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, params=[0, 2**28], ids=["gram", "plain"])
def _way(request, monkeypatch):
    """Whatever the size: by eigenvectors of the Gram matrix in several blocks, or by a plain SVD."""
    monkeypatch.setattr(gram, "SMALL", request.param)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 7 * 8 * D)


def off_centre(n: int) -> torch.Tensor:
    """Samples that spread differently in each coordinate, ten times as far from the origin as from each other."""
    return torch.randn(n, D) * torch.logspace(0, -1, D) + 10 * torch.randn(D)


@pytest.mark.parametrize("n", [D + 1, 100])
def test_against_another_implementation(n):
    samples = off_centre(n)
    oracle = PCA(svd_solver="full").fit(samples.double().numpy())
    for matrix in make_upright_and_not(samples):
        terms = terms_of("pca", matrix)
        of_samples, of_stream = split_by_sample_side(matrix, terms)
        assert len(terms.strength) == D
        np.testing.assert_allclose(terms.strength.numpy(), oracle.singular_values_, rtol=1e-5)
        np.testing.assert_allclose(terms.merit.numpy() * n / (n - 1), oracle.explained_variance_, rtol=1e-5)
        np.testing.assert_allclose(terms.mean.numpy(), oracle.mean_, rtol=1e-5)
        sign = np.sign((of_stream.numpy() * oracle.components_).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(of_stream.numpy() * sign, oracle.components_, atol=1e-4)
        scores = oracle.transform(samples.double().numpy()) / oracle.singular_values_
        np.testing.assert_allclose(of_samples.numpy().T * sign.T, scores, atol=1e-4)
        assert (terms.right.gather(1, terms.right.abs().argmax(dim=1, keepdim=True)) > 0).all()


@pytest.mark.parametrize("n", [1, 2, 10, D, 100])
def test_terms_and_mean_make_the_matrix(n):
    samples = off_centre(n)
    for matrix in (*make_upright_and_not(samples), *make_mlp_matrices(samples)):
        terms = terms_of("pca", matrix)
        assert len(terms.strength) == min(n - 1, D)
        assert torch.allclose(approximate_matrix(matrix, terms), matrix.dense(), atol=1e-5)
        assert (terms.merit.diff() <= 0).all()


def test_a_mean_moves_nothing_else():
    samples = off_centre(80)
    (plain, _), (moved, _) = make_upright_and_not(samples), make_upright_and_not(samples + 100)
    one, other = terms_of("pca", plain), terms_of("pca", moved)
    assert torch.allclose(other.mean - one.mean, torch.tensor(100.0), atol=1e-3)
    assert torch.allclose(one.strength, other.strength, rtol=1e-4)
    for i, j in zip(one.right, other.right, strict=True):
        assert abs(float(i @ j)) > 1 - 1e-5


@pytest.mark.parametrize("n", [1, 5, 100])
def test_equal_samples_have_a_mean_and_no_terms(n):
    for row in (torch.zeros(D), torch.randn(D), torch.full((D,), 0.1)):
        for matrix in make_upright_and_not(row.repeat(n, 1)):
            terms = terms_of("pca", matrix)
            assert len(terms.strength) == len(terms.merit) == 0
            assert torch.equal(terms.mean, row)


def test_samples_near_each_other_and_far_from_the_origin():
    """Their differences are exact in float32, and none is too small beside the mean to be a direction."""
    samples = 4096 + torch.randint(-3, 4, (60, D)) * 2.0**-10
    oracle = torch.linalg.svdvals(samples.double() - samples.double().mean(dim=0))
    for matrix in make_upright_and_not(samples):
        assert torch.allclose(terms_of("pca", matrix).strength.double(), oracle, rtol=1e-6)


def test_the_order_of_samples_is_only_theirs():
    samples, order = off_centre(60), torch.randperm(60)
    (plain, _), (shuffled, _) = make_upright_and_not(samples), make_upright_and_not(samples[order])
    one, other = terms_of("pca", plain), terms_of("pca", shuffled)
    assert torch.allclose(one.right, other.right, atol=1e-4)
    assert torch.allclose(one.left[:, order], other.left, atol=1e-4)
