"""The oracle is numpy: every entry sorted by (value, id)."""

import numpy as np
import pytest
import torch

from app.core.exact import entries
from app.core.exact.entries import read_entries
from app.core.exact.histogram import BINS


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def check(vectors: torch.Tensor, ids: torch.Tensor | None = None, k: int = 50) -> None:
    readout = read_entries(vectors, ids, k)
    kept = np.arange(vectors.shape[1]) if ids is None else ids.numpy()
    rows = vectors.double().numpy()[:, kept]
    top = np.stack([np.lexsort((kept, -row))[:k] for row in rows])
    bottom = np.stack([np.lexsort((kept, row))[:k] for row in rows])
    assert np.array_equal(readout.top_ids.numpy(), kept[top])
    assert np.array_equal(readout.bottom_ids.numpy(), kept[bottom])
    assert np.array_equal(readout.top_scores.numpy(), np.take_along_axis(rows, top, 1))
    assert np.array_equal(readout.bottom_scores.numpy(), np.take_along_axis(rows, bottom, 1))
    assert np.array_equal(readout.low.numpy(), rows.min(axis=1))
    assert np.array_equal(readout.high.numpy(), rows.max(axis=1))
    assert not np.signbit(readout.top_scores.numpy()[readout.top_scores.numpy() == 0]).any()
    assert not np.signbit(readout.bottom_scores.numpy()[readout.bottom_scores.numpy() == 0]).any()
    assert (readout.counts.sum(dim=1) == len(kept)).all()
    assert readout.unsettled == 0


@pytest.mark.parametrize("size", [1, 2, 49, 50, 51, 1000])
def test_vectors_of_any_size(size):
    check(torch.randn(7, size))


@pytest.mark.parametrize("k", [1, 2, 5, 50, 300])
def test_ties_go_to_the_smaller_id(k):
    check(torch.randint(-2, 3, (40, 300)).float(), k=k)
    check(torch.randint(-40, 41, (40, 300)).float(), k=k)


def test_one_hot_and_empty_vectors():
    check(torch.eye(200))
    check(-torch.eye(200))
    check(torch.zeros(3, 200))


def test_zeros_of_both_signs_are_equal():
    check(torch.tensor([[-0.0, 0.0, -0.0, 0.0], [0.0, -1.0, -0.0, 1.0]]), k=2)


def test_only_what_may_appear():
    ids = torch.tensor([0, 3, 4, 7, 100, 250, 299])
    check(torch.randn(20, 300), ids, k=3)
    check(torch.randint(-1, 2, (20, 300)).float(), ids, k=3)
    check(torch.randn(20, 300), ids, k=50)


def test_batches_change_nothing(monkeypatch):
    vectors = torch.randint(-9, 10, (50, 300)).float()
    whole = read_entries(vectors)
    monkeypatch.setattr(entries, "ENTRIES", 7 * 300)
    parts = read_entries(vectors)
    for name, value in vars(whole).items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(getattr(parts, name)))


def test_counts_are_those_of_the_entries():
    vectors = torch.randn(5, 4000)
    readout = read_entries(vectors, torch.arange(0, 4000, 2))
    for row, counts in zip(vectors[:, ::2].double().numpy(), readout.counts.numpy(), strict=True):
        expected, _ = np.histogram(row, bins=BINS)
        assert np.abs(expected.cumsum() - counts.cumsum()).max() <= 1  # an entry within rounding of an edge


def test_no_vectors():
    assert read_entries(torch.zeros(0, 30), k=4).top_ids.shape == (0, 4)


def test_what_cannot_be_read():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        read_entries(torch.zeros(1, 3), k=0)
    with pytest.raises(ValueError, match="none of the 3 coordinates"):
        read_entries(torch.zeros(1, 3), torch.zeros(0, dtype=torch.int64))
