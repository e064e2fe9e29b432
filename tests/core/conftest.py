"""A head and an MLP of random tensors (biases, too: a zero bias hides a missing term); one matrix taken apart."""

import pytest
import torch

from app.core.bases.svd import decompose_all
from app.core.circuits import Head
from app.core.decomposition import Decomposition
from app.core.matrix import Matrix
from app.core.mlp import Mlp

D_MODEL, D_HEAD, D_MLP = 48, 8, 300


def decompose(matrix: Matrix) -> Decomposition:
    """One matrix by itself."""
    (terms,) = decompose_all([matrix])
    return terms


@pytest.fixture
def head() -> Head:
    """One head of d_model 48 and d_head 8."""
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
    """A gated MLP of d_model 48 with 300 neurons."""
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
