import pytest
import torch

from app.core import blocks
from app.core import gram as gram_module
from app.core.circuits import CIRCUITS
from app.core.gram import ALONE, covariance, gram, limit_threads, mean_of, principal_directions
from tests.core.conftest import make_upright_and_not, run_steps


@pytest.fixture(autouse=True)
def _several_blocks(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 7 * 8 * 16)


def test_grams_of_every_matrix(head):
    for matrix in (*make_upright_and_not(torch.randn(50, 16)), *(circuit(head) for circuit in CIRCUITS.values())):
        samples = matrix.dense() if matrix.is_upright else matrix.dense().T
        assert torch.allclose(run_steps(gram(matrix)), samples.T @ samples, rtol=1e-10, atol=1e-9)


def test_the_mean_is_in_float64():
    samples = torch.randn(50, 16) + 1000
    assert torch.allclose(mean_of(samples), samples.double().mean(dim=0), rtol=1e-14)


def test_a_covariance_is_about_the_mean():
    samples = torch.randn(50, 16) + 1000
    expected = torch.cov(samples.double().T, correction=0)
    assert torch.allclose(run_steps(covariance(samples)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [5, 16, 60])
@pytest.mark.parametrize("is_centred", [False, True])
def test_both_ways_agree(monkeypatch, n, is_centred):
    samples = torch.randn(n, 16) + 3
    mean = mean_of(samples) if is_centred else None
    plain = run_steps(principal_directions(samples, mean))
    monkeypatch.setattr(gram_module, "SMALL", 0)
    squared = run_steps(principal_directions(samples, mean))
    assert torch.allclose(plain.strength, squared.strength, rtol=1e-9)
    for ours, theirs in ((plain.of_samples, squared.of_samples), (plain.of_stream, squared.of_stream)):
        assert torch.allclose((ours * theirs).sum(dim=1).abs(), torch.ones(len(ours)), atol=1e-5)


def test_the_smallest_direction_that_counts_is_exact_to_float32(monkeypatch):
    """Squares of strengths five decades apart leave it six digits."""
    monkeypatch.setattr(gram_module, "SMALL", 0)
    U, V = (torch.linalg.qr(torch.randn(size, 16, dtype=torch.float64)).Q for size in (2000, 16))
    strength = torch.logspace(0, -5, 16, dtype=torch.float64)
    samples = (U * strength) @ V.T
    found = run_steps(principal_directions(samples))
    assert torch.allclose(found.strength, strength, rtol=1e-5)
    assert torch.allclose(found.of_samples @ found.of_samples.T, torch.eye(16), atol=1e-5)


def test_threads_are_given_back():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with limit_threads(ALONE):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with limit_threads(ALONE + 1):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
