"""The oracle is numpy's sort of the same scores in float64."""

import numpy as np
import pytest
import torch

from app.core.exact import extremes as extremes_module
from app.core.exact.extremes import extremes

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def check(scores: torch.Tensor, count: int) -> None:
    rising = np.sort(scores.double().numpy(), axis=1)
    (top, high), (bottom, low) = extremes(scores, count)
    for columns, values, expected in ((top, high, rising[:, ::-1][:, :count]), (bottom, low, rising[:, :count])):
        assert (values.double().numpy() == expected).all()
        assert torch.equal(scores.gather(1, columns), values)
        assert all(len(set(row)) == count for row in columns.tolist())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("n_columns", "count"), [(1, 1), (40, 40), (300, 7), (4097, 20), (9001, 64), (70_001, 130)])
def test_the_largest_and_the_smallest(dtype, n_columns, count):
    check(torch.randn(3, n_columns).to(dtype), count)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sign", [1.0, -1.0, 0.0])
def test_scores_of_one_sign_and_ties(dtype, sign):
    check((torch.randint(1, 9, (4, 5000)) * sign).to(dtype), 33)


def test_scores_that_lie_column_by_column():
    check(torch.randn(9001, 5).T, 64)


def test_a_part_of_the_rows_at_a_time(monkeypatch):
    monkeypatch.setattr(extremes_module, "AT_ONCE", 2 * 5000)
    check(torch.randn(7, 5000).bfloat16(), 20)


def test_more_columns_than_a_key_has_places_for(monkeypatch):
    monkeypatch.setattr(extremes_module, "PLACES", 100)
    check(torch.randn(3, 5000).bfloat16(), 20)
