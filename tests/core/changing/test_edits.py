"""Edits as differences of W_O: against what they say of the output, in float64."""

import pytest
import torch

from app.core.changing.edits import keep_directions, scale_directions, turn_directions

RANK, D_MODEL = 6, 17


@pytest.fixture
def head():
    """A head's W_O, orthonormal directions of what it writes, and what its values come to at some positions."""
    generator = torch.Generator().manual_seed(3)
    output = torch.randn(RANK, D_MODEL, generator=generator, dtype=torch.float64)
    span = torch.linalg.svd(output, full_matrices=False).Vh
    return output, span, torch.randn(9, RANK, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("amounts", [(-1.0,), (-0.5, 3.0), (10.0, -1.0, 0.25)])
def test_each_direction_is_written_so_much_more_and_no_other(head, amounts):
    output, span, mixed = head
    delta = scale_directions(output, span[: len(amounts)], torch.tensor(amounts, dtype=torch.float64))
    before, after = (mixed @ each @ span.T for each in (output, output + delta))
    expected = torch.ones(RANK, dtype=torch.float64)
    expected[: len(amounts)] += torch.tensor(amounts)
    torch.testing.assert_close(after, before * expected, rtol=0, atol=1e-12)


def test_an_edit_is_that_of_the_stored_matrix(head):
    """W_O (I + eps v v^T), the edit of the weights, written out."""
    output, span, _ = head
    along = span[2]
    edited = output @ (torch.eye(D_MODEL, dtype=torch.float64) + 2.5 * torch.outer(along, along))
    found = output + scale_directions(output, span[2:3], torch.tensor([2.5], dtype=torch.float64))
    torch.testing.assert_close(found, edited, rtol=0, atol=1e-12)


def test_kept_directions_are_all_that_is_written(head):
    output, span, mixed = head
    after = mixed @ (output + keep_directions(output, span[[1, 4]]))
    torch.testing.assert_close(
        after @ span.T, (mixed @ output @ span.T) * torch.eye(RANK).sum(0) * torch.tensor([0, 1, 0, 0, 1, 0])
    )


def test_keeping_all_changes_nothing(head):
    output, span, _ = head
    assert float(keep_directions(output, span).abs().max()) < 1e-12


@pytest.mark.parametrize("k", [1, 3, RANK])
def test_random_directions_are_orthonormal_and_in_the_span(head, k):
    _, span, _ = head
    coordinates, drawn = turn_directions(span, k, torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn @ drawn.T, torch.eye(k, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(drawn @ span.T @ span, drawn, rtol=0, atol=1e-12)
    torch.testing.assert_close(coordinates @ span, drawn)


def test_random_directions_are_even():
    """Each coordinate has mean 0 and mean square 1 / rank, within five standard errors."""
    generator, span = torch.Generator().manual_seed(0), torch.eye(4, dtype=torch.float64)
    drawn = torch.stack([turn_directions(span, 2, generator)[1] for _ in range(4_000)])
    assert float(drawn.mean(0).abs().max()) < 5 * 0.5 / 4_000**0.5
    assert float((drawn.square().mean(0) - 0.25).abs().max()) < 5 * 0.25 / 4_000**0.5


@pytest.mark.parametrize("k", [0, RANK + 1])
def test_more_directions_than_the_span_has_are_refused(head, k):
    with pytest.raises(ValueError, match=f"{k} orthogonal vectors do not fit into 6 dimensions"):
        turn_directions(head[1], k, torch.Generator())
