import numpy as np
import pytest
import torch

from app.core import blocks
from app.core.decomposition import orient_terms
from app.core.matrix import NEURON, READ, TOKEN, WRITE, Matrix
from app.core.measuring.residue import relative_error
from tests.core.conftest import make_upright_and_not, run_steps, terms_of


@pytest.fixture
def samples():
    return torch.randn(200, 24, generator=torch.Generator().manual_seed(3)) + 0.3


def missed(samples, terms, is_upright):
    """By the definition, dense and in float64."""
    left, strength, right = (part.double().numpy() for part in (terms.left, terms.strength, terms.right))
    whole = (left.T * strength) @ right
    whole = whole if is_upright else whole.T
    mean = 0 if terms.mean is None else terms.mean.double().numpy()
    exact = samples.double().numpy()
    return np.linalg.norm(exact - whole - mean) / np.linalg.norm(exact)


@pytest.mark.parametrize(("basis", "parameters"), [("pca", {}), ("frequency", {"groups": 5}), ("neuron", {})])
def test_the_error_is_what_is_missed(samples, basis, parameters):
    for matrix in make_upright_and_not(samples):
        terms = terms_of(basis, matrix, **parameters)
        expected = missed(samples, terms, matrix.is_upright)
        assert run_steps(relative_error(matrix, terms)) == pytest.approx(expected, rel=1e-5, abs=1e-6)
        assert (expected > 0.3) == (basis == "frequency")


@pytest.mark.parametrize("kept", [1, 8, 23])
def test_of_the_first_singular_directions_it_is_the_rest_of_the_energy(samples, kept):
    matrix = Matrix((samples,), TOKEN, WRITE)
    terms = terms_of("svd", matrix)
    first = orient_terms(matrix, terms.left[:kept], terms.strength[:kept], terms.right[:kept])
    s = np.linalg.svd(samples.double().numpy())[1]
    rest = np.sqrt((s[kept:] ** 2).sum() / (s**2).sum())
    assert run_steps(relative_error(matrix, first)) == pytest.approx(rest, rel=1e-5)


def test_blocks_change_nothing(samples, monkeypatch):
    matrix = Matrix((samples.T.contiguous(),), READ, NEURON)
    terms = terms_of("ica", matrix, components=6, seed=0)
    assert terms.mean is not None
    whole = run_steps(relative_error(matrix, terms))
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 8 * 24 * 7)
    assert run_steps(relative_error(matrix, terms)) == pytest.approx(whole, rel=1e-7)
    assert len(list(relative_error(matrix, terms))) == 29


def test_of_nothing_nothing_is_missed():
    matrix = Matrix((torch.zeros(30, 8),), TOKEN, WRITE)
    assert run_steps(relative_error(matrix, terms_of("svd", matrix))) == 0.0
