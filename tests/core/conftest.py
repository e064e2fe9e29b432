"""A head and an MLP of random tensors (biases, too: a zero bias hides a missing term), and decompositions to check."""

from collections.abc import Generator
from typing import TypeVar

import pytest
import torch

from app.core.bases.svd import decompose_all
from app.core.basis import BASES
from app.core.circuits import Head
from app.core.decomposition import Decomposition
from app.core.matrix import NEURON, READ, TOKEN, WRITE, Matrix
from app.core.mlp import Mlp

D_MODEL, D_HEAD, D_MLP = 48, 8, 300

Value = TypeVar("Value")


def decompose(matrix: Matrix) -> Decomposition:
    """Decompose a single matrix."""
    (terms,) = decompose_all([matrix])
    return terms


def terms_of(basis: str, matrix: Matrix, **parameters: int) -> Decomposition:
    """Decompose a matrix in a basis, run to its end."""
    return run_steps(BASES[basis].decompose(matrix, parameters))


def run_steps(steps: Generator[tuple[int, int], None, Value]) -> Value:
    """Run steps to their end and return their result; assert that progress never decreases or exceeds its total."""
    before = 0
    while True:
        try:
            done, total = next(steps)
        except StopIteration as end:
            return end.value
        assert before <= done <= total
        before = done


def make_upright_and_not(samples: torch.Tensor) -> tuple[Matrix, Matrix]:
    """Make matrices with these samples as an embedding's rows, and as an unembedding's columns."""
    return Matrix((samples,), TOKEN, WRITE), Matrix((samples.T.contiguous(),), READ, TOKEN)


def make_mlp_matrices(samples: torch.Tensor) -> tuple[Matrix, Matrix]:
    """Make matrices with these samples as neurons, the rows of W_out and the columns of W_in."""
    return Matrix((samples,), NEURON, WRITE), Matrix((samples.T.contiguous(),), READ, NEURON)


def split_by_sample_side(matrix: Matrix, terms: Decomposition) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the terms' vectors on the side of samples, and those of the residual stream."""
    return (terms.left, terms.right) if matrix.is_upright else (terms.right, terms.left)


@pytest.fixture
def head() -> Head:
    """Draw a head of d_model 48 and d_head 8."""
    draw = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw)

    return Head(
        W_Q=random(D_MODEL, D_HEAD),
        W_K=random(D_MODEL, D_HEAD),
        W_V=random(D_MODEL, D_HEAD),
        W_O=random(D_HEAD, D_MODEL),
        b_Q=random(D_HEAD),
        b_K=random(D_HEAD),
        b_V=random(D_HEAD),
        b_O=random(D_MODEL),
    )


@pytest.fixture
def mlp() -> Mlp:
    """Draw a gated MLP of d_model 48 with 300 neurons."""
    draw = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw)

    return Mlp(
        W_in=random(D_MODEL, D_MLP),
        W_gate=random(D_MODEL, D_MLP),
        W_out=random(D_MLP, D_MODEL),
        b_in=random(D_MLP),
        b_gate=random(D_MLP),
        b_out=random(D_MODEL),
    )
