import pytest
import torch

from app.core import blocks as blocks_module
from app.core.blocks import blocks, sample_blocks
from app.core.circuits import CIRCUITS
from app.core.matrix import QUERY, TOKEN, Matrix
from tests.core.conftest import make_upright_and_not


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("rows_at_once", [1, 3, 10, 11])
def test_blocks_are_the_rows_in_order(monkeypatch, rows_at_once):
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", rows_at_once * 8 * 4)
    rows, mean = torch.randn(10, 4), torch.randn(4).double()
    places, parts = zip(*blocks(rows), strict=True)
    assert [index for place in places for index in range(10)[place]] == list(range(10))
    assert max(len(part) for part in parts) == min(rows_at_once, 10)
    assert torch.equal(torch.cat(parts), rows.double())
    assert torch.equal(torch.cat([part for _, part in blocks(rows, mean)]), rows.double() - mean)


def test_rows_are_not_written_to():
    rows = torch.randn(10, 4).double()
    before = rows.clone()
    assert len(list(blocks(rows, torch.ones(4).double()))) == 1
    assert torch.equal(rows, before)


def test_samples_of_every_matrix(head, monkeypatch):
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 7 * 8 * 8)
    across = Matrix((torch.randn(9, 3), torch.randn(3, 20)), QUERY, TOKEN)
    for matrix in (
        *make_upright_and_not(torch.randn(30, 8)),
        *(circuit(head) for circuit in CIRCUITS.values()),
        across,
    ):
        samples = matrix.dense() if matrix.is_upright else matrix.dense().T
        assert torch.allclose(torch.cat([block for _, block in sample_blocks(matrix)]), samples, atol=1e-12)
