"""A head whose every tensor is random: biases, too, since a zero bias hides a missing term."""

import pytest
import torch

from app.core.circuits import Head

D_MODEL, D_HEAD = 48, 8


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
