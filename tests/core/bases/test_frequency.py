import numpy as np
import pytest
import torch

from app.core import blocks
from app.core.decomposition import approximate_matrix
from tests.core.conftest import make_upright_and_not, split_by_sample_side, terms_of

D = 16


@pytest.fixture(autouse=True)
def _several_blocks(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 7 * 8 * D)


def means_of(samples: torch.Tensor, groups: int) -> torch.Tensor:
    return torch.stack([part.double().mean(dim=0) for part in torch.tensor_split(samples, groups)])


def projector(rows: torch.Tensor) -> torch.Tensor:
    """Onto their span, by an SVD."""
    _, strength, Vh = torch.linalg.svd(rows, full_matrices=False)
    kept = Vh[strength > 1e-9 * strength[0]]
    return kept.T @ kept


@pytest.mark.parametrize(("n", "groups"), [(60, 6), (60, 16), (16, 16), (5, 3), (40, 2)])
def test_directions_span_what_the_means_do_group_by_group(n, groups):
    samples = torch.randn(n, D) + 0.5
    means = torch.stack(
        [samples[torch.arange(n) * groups // n == group].double().mean(dim=0) for group in range(groups)]
    )
    for matrix in make_upright_and_not(samples):
        terms = terms_of("frequency", matrix, groups=groups)
        of_samples, of_stream = split_by_sample_side(matrix, terms)
        of_stream = of_stream.double()
        assert torch.allclose(of_stream @ of_stream.T, torch.eye(groups, dtype=torch.float64), atol=1e-6)
        for first in range(1, groups + 1):
            ours = of_stream[:first]
            assert torch.allclose(ours.T @ ours, projector(means[:first]), atol=1e-5)
        assert ((of_stream * means).sum(dim=1) > 0).all()
        coordinates = samples.double() @ of_stream.T
        assert torch.allclose(terms.strength.double(), coordinates.norm(dim=0), rtol=1e-5)
        assert torch.allclose(of_samples.double().T, coordinates / coordinates.norm(dim=0), atol=1e-6)


def test_the_terms_are_the_projection_on_the_span():
    samples = torch.randn(60, D) + 0.5
    for matrix in make_upright_and_not(samples):
        terms = terms_of("frequency", matrix, groups=5)
        projected = samples.double() @ projector(means_of(samples, 5))
        whole = projected if matrix.is_upright else projected.T
        assert torch.allclose(approximate_matrix(matrix, terms), whole, atol=1e-5)


def test_merit_is_the_rank_of_a_groups_tokens():
    terms = terms_of("frequency", make_upright_and_not(torch.randn(60, D))[0], groups=6)
    np.testing.assert_allclose(terms.merit.numpy(), [1 / (1 + 10 * group + 4.5) for group in range(6)], rtol=1e-6)
    uneven = terms_of("frequency", make_upright_and_not(torch.randn(61, D))[0], groups=7)
    assert (uneven.merit.diff() < 0).all()


def test_the_order_within_a_group_does_not_matter():
    samples = torch.randn(60, D) + 0.5
    order = torch.cat([start + torch.randperm(10) for start in range(0, 60, 10)])
    one, other = (terms_of("frequency", make_upright_and_not(some)[0], groups=6) for some in (samples, samples[order]))
    assert torch.allclose(one.right, other.right, atol=1e-5)
    assert torch.allclose(one.left[:, order], other.left, atol=1e-5)
    swapped = terms_of("frequency", make_upright_and_not(samples.flip(0))[0], groups=6)
    assert not torch.allclose(one.right, swapped.right, atol=1e-2)


def test_means_that_others_span_are_left_out():
    means = torch.randn(3, D)
    groups = torch.stack([means[0], 2 * means[0], means[1], torch.zeros(D), means[0] - means[1], means[2]])
    terms = terms_of("frequency", make_upright_and_not(groups.repeat_interleave(10, dim=0))[0], groups=6)
    np.testing.assert_allclose(terms.merit.numpy(), [1 / (1 + 10 * group + 4.5) for group in (0, 2, 5)], rtol=1e-6)


@pytest.mark.parametrize("n", [2, 60])
def test_hostile_samples(n):
    for samples, rank in ((torch.zeros(n, D), 0), (torch.ones(n, D), 1), (torch.randn(1, D).repeat(n, 1), 1)):
        for matrix in make_upright_and_not(samples):
            terms = terms_of("frequency", matrix, groups=2)
            assert len(terms.strength) == len(terms.merit) == rank
            assert torch.isfinite(terms.left).all()
            assert torch.allclose(approximate_matrix(matrix, terms), matrix.dense(), atol=1e-5)
