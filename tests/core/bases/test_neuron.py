import pytest
import torch

from app.core import blocks
from app.core.circuits import CIRCUITS
from app.core.decomposition import approximate_matrix
from app.core.matrix import HEAD, READ, WRITE, Matrix
from tests.core.conftest import make_mlp_matrices, make_upright_and_not, split_by_sample_side, terms_of

D = 16


@pytest.fixture(autouse=True)
def _several_blocks(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 7 * 8 * D)


def is_one_hot(rows: torch.Tensor) -> bool:
    return bool(((rows == 0) | (rows == 1)).all()) and bool((rows.sum(dim=1) == 1).all())


def test_an_mlps_neurons_with_their_weights():
    weights = torch.randn(40, D)
    for matrix in make_mlp_matrices(weights):
        terms = terms_of("neuron", matrix)
        of_neurons, of_stream = split_by_sample_side(matrix, terms)
        assert is_one_hot(of_neurons)
        norms = weights.double().norm(dim=1)
        order = norms.sort(descending=True, stable=True).indices
        assert torch.equal(of_neurons.argmax(dim=1), order)
        assert torch.equal(terms.strength, norms[order].float())
        assert torch.allclose(of_stream * terms.strength[:, None], weights[order], atol=1e-6)
        assert torch.allclose(approximate_matrix(matrix, terms), matrix.dense(), atol=1e-6)


def test_other_matrices_by_the_streams_coordinates():
    samples = torch.randn(40, D)
    heads = Matrix((samples,), HEAD, WRITE)
    for matrix in (*make_upright_and_not(samples), heads):
        terms = terms_of("neuron", matrix)
        of_samples, of_stream = split_by_sample_side(matrix, terms)
        assert is_one_hot(of_stream)
        norms = samples.double().norm(dim=0)
        order = norms.sort(descending=True, stable=True).indices
        assert torch.equal(of_stream.argmax(dim=1), order)
        assert torch.allclose(terms.strength.double(), norms[order], rtol=1e-6)
        assert torch.allclose(of_samples * terms.strength[:, None], samples[:, order].T, atol=1e-6)
        assert torch.allclose(approximate_matrix(matrix, terms), matrix.dense(), atol=1e-6)


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_a_circuits_coordinates_are_those_of_its_right_side(circuit, head):
    matrix = CIRCUITS[circuit](head)
    terms = terms_of("neuron", matrix)
    assert is_one_hot(terms.right)
    columns = matrix.dense()[:, terms.right.argmax(dim=1)].T
    assert torch.allclose(terms.strength.double(), columns.norm(dim=1), rtol=1e-6)
    assert torch.allclose(terms.left.double(), columns / columns.norm(dim=1, keepdim=True), atol=1e-6)
    assert (terms.strength.diff() <= 0).all()
    assert torch.allclose(approximate_matrix(matrix, terms), matrix.dense(), atol=1e-5)


def test_equal_norms_keep_their_order_and_null_ones_are_left_out():
    weights = torch.eye(D)[torch.arange(40) % D]
    weights[[3, 20]] = 0
    weights[7] *= 1e-7
    for matrix in make_mlp_matrices(weights):
        of_neurons, _ = split_by_sample_side(matrix, terms_of("neuron", matrix))
        assert of_neurons.argmax(dim=1).tolist() == [index for index in range(40) if index not in (3, 7, 20)]
    for matrix in make_upright_and_not(weights.index_fill(1, torch.tensor([2, 5]), 0.0)):
        _, of_stream = split_by_sample_side(matrix, terms_of("neuron", matrix))
        assert not {2, 5} & set(of_stream.argmax(dim=1).tolist())


@pytest.mark.parametrize("n", [1, 40])
def test_a_zero_matrix_has_no_terms(n):
    circuit = Matrix((torch.zeros(D, 4), torch.randn(4, D)), READ, WRITE)
    for matrix in (*make_mlp_matrices(torch.zeros(n, D)), *make_upright_and_not(torch.zeros(n, D)), circuit):
        terms = terms_of("neuron", matrix)
        assert len(terms.left) == len(terms.strength) == len(terms.right) == 0


def test_tiny_weights_are_not_null():
    weights = torch.randn(40, D)
    for usual, tiny in zip(make_mlp_matrices(weights), make_mlp_matrices(weights * 2.0**-80), strict=True):
        one, other = terms_of("neuron", usual), terms_of("neuron", tiny)
        assert torch.equal(one.strength * 2.0**-80, other.strength)
        assert torch.equal(one.left, other.left)
        assert torch.equal(one.right, other.right)
