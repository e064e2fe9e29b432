import pytest
import torch

from app.core.exact import histogram as histogram_module
from app.core.exact.histogram import BINS, histogram


def test_every_score_is_counted_in_its_bin():
    scores = torch.tensor([[0.0, 1.0, 47.5, 48.0, 24.25], [-3.0, -3.0, -1.0, -2.0, -2.0]])
    counts = histogram(scores, scores.double().amin(1), scores.double().amax(1))
    assert counts.shape == (2, BINS)
    assert {index: count for index, count in enumerate(counts[0].tolist()) if count} == {0: 1, 1: 1, 24: 1, 47: 2}
    assert {index: count for index, count in enumerate(counts[1].tolist()) if count} == {0: 2, 24: 2, 47: 1}


@pytest.mark.parametrize("at_once", [2**20, 7000])
@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("n_scores", [5000, 5001])
def test_against_counting_one_by_one(monkeypatch, by_column, n_scores, at_once):
    monkeypatch.setitem(histogram_module.SCORES, "cpu", at_once)
    monkeypatch.setattr(histogram_module, "PAIRED", at_once)
    scores = torch.randn(n_scores, 3).T if by_column else torch.randn(3, n_scores)
    low, high = scores.double().amin(1), scores.double().amax(1)
    counts = histogram(scores, low, high)
    for row, of_row, start, end in zip(scores, counts, low, high, strict=True):
        edges = torch.linspace(float(start), float(end), BINS + 1, dtype=torch.float64)[1:-1]
        below = (row.double()[:, None] < edges).sum(dim=0)
        assert (of_row.cumsum(0)[:-1] - below).abs().max() <= 1  # a score within rounding of an edge
        assert of_row.sum() == n_scores


def test_equal_scores_share_a_bin():
    counts = histogram(torch.full((1, 7), 2.5), torch.tensor([2.5]).double(), torch.tensor([2.5]).double())
    assert counts.max() == counts.sum() == 7


def test_spans_too_small_for_float32():
    scores = torch.tensor([[0.0, 1e-45]])
    assert histogram(scores, scores.double().amin(1), scores.double().amax(1)).sum() == 2


def test_no_rows():
    none = torch.zeros(0)
    assert histogram(torch.zeros(0, 5), none, none).shape == (0, BINS)
