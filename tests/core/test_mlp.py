from dataclasses import replace

import pytest
import torch
from torch.nn.functional import linear, silu

from app.core.address import LAYER_KINDS
from app.core.matrix import NEURON, READ, WRITE
from app.core.mlp import MLP_BIASES, MLP_MATRICES


def test_sides():
    assert MLP_MATRICES.keys() == MLP_BIASES.keys() == set(LAYER_KINDS)


def test_matrices_and_biases_are_the_forward_pass(mlp):
    x = torch.randn(5, 48, dtype=torch.float64)
    up, gate = (linear(x, W.T.double(), b.double()) for W, b in ((mlp.W_in, mlp.b_in), (mlp.W_gate, mlp.b_gate)))
    expected = linear(silu(gate) * up, mlp.W_out.T.double(), mlp.b_out.double())
    matrices = {kind: build(mlp) for kind, build in MLP_MATRICES.items()}
    assert {kind: (matrix.left, matrix.right) for kind, matrix in matrices.items()} == {
        "mlp-in": (READ, NEURON),
        "mlp-gate": (READ, NEURON),
        "mlp-out": (NEURON, WRITE),
    }

    def through(kind: str, vectors: torch.Tensor) -> torch.Tensor:
        return vectors @ matrices[kind].dense() + getattr(mlp, MLP_BIASES[kind]).double()

    found = through("mlp-out", silu(through("mlp-gate", x)) * through("mlp-in", x))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", MLP_MATRICES)
def test_samples_are_neurons(mlp, kind):
    """Each a vector of the stream: what the neuron reads, or writes."""
    matrix = MLP_MATRICES[kind](mlp)
    by_hand = {"mlp-in": mlp.W_in[:, 7], "mlp-gate": mlp.W_gate[:, 7], "mlp-out": mlp.W_out[7]}
    assert matrix.samples().shape == (300, 48)
    assert torch.equal(matrix.samples()[7], by_hand[kind])


def test_an_mlp_without_a_gate(mlp):
    plain = replace(mlp, W_gate=None, b_gate=None)
    with pytest.raises(ValueError, match="has no gate"):
        MLP_MATRICES["mlp-gate"](plain)
    assert torch.equal(MLP_MATRICES["mlp-in"](plain).dense(), mlp.W_in.double())
