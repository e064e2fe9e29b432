"""The oracle is numpy in float64: every score, sorted by (score, id)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.exact import standing as standing_module
from app.core.exact.readout import read, token_table
from app.core.exact.standing import rank_token


def place(vector: torch.Tensor, table: torch.Tensor, ids: np.ndarray, id_: int) -> tuple[float, int]:
    scores = table.double().numpy() @ vector.double().numpy()
    order = ids[np.lexsort((ids, -scores))]
    return scores[ids == id_][0], int(np.flatnonzero(order == id_)[0]) + 1


@pytest.mark.parametrize("block", [1, 3 * 8 * 16, 2**23])
def test_score_and_rank_are_those_of_the_whole_order(monkeypatch, block):
    monkeypatch.setitem(standing_module.BLOCK_BYTES, "cpu", block)
    draw = torch.Generator().manual_seed(0)
    table, vectors = torch.randn(90, 16, generator=draw), torch.randn(3, 16, generator=draw)
    known = torch.ones(90, dtype=torch.bool)
    known[[0, 7, 80]] = False
    ids = known.numpy().nonzero()[0]
    prepared = token_table(table, known)
    for id_ in (1, 8, 40, 89):
        found = rank_token(prepared, vectors, id_)
        for vector, score, rank in zip(vectors, found.scores.tolist(), found.ranks.tolist(), strict=True):
            expected = place(vector, table[known], ids, id_)
            assert score == pytest.approx(expected[0], rel=1e-12)
            assert rank == expected[1]


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(-2, 2), min_size=4, max_size=4), min_size=1, max_size=12), st.data())
def test_ties_go_to_the_smaller_id(rows, data):
    """Small whole numbers are summed exactly, so equal scores are equal in any order."""
    table = torch.tensor(rows, dtype=torch.float32)
    vector = torch.tensor(data.draw(st.lists(st.integers(-2, 2), min_size=4, max_size=4)), dtype=torch.float32)
    for id_ in range(len(rows)):
        found = rank_token(token_table(table), vector[None], id_)
        assert (found.scores.item(), found.ranks.item()) == place(vector, table, np.arange(len(rows)), id_)


def test_what_a_quick_product_cannot_tell_apart_stands_as_in_a_readout():
    draw = torch.Generator().manual_seed(1)
    row = torch.randn(1, 64, generator=draw)
    near = row + torch.randn(200, 64, generator=draw) * 1e-7
    prepared, vector = token_table(near), torch.randn(1, 64, generator=draw)
    readout = read(prepared, vector, 200)
    for rank, (id_, score) in enumerate(zip(readout.top_ids[0].tolist(), readout.top_scores[0].tolist(), strict=True)):
        found = rank_token(prepared, vector, id_)
        assert found.ranks.item() == rank + 1
        assert found.scores.item() == pytest.approx(score, rel=1e-14)


@pytest.mark.parametrize("id_", [-1, 2, 5])
def test_a_token_that_is_not_in_the_table(id_):
    known = torch.tensor([True, True, False, True, True])
    with pytest.raises(ValueError, match=f"token {id_} is not in a table of 4 tokens"):
        rank_token(token_table(torch.eye(5), known), torch.ones(1, 5), id_)
