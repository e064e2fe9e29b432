"""Matrices cut down at random: what is kept of them, against dense products in float64."""

import pytest
import torch

from app.core.bases.svd import decompose_all
from app.core.judging.restriction import random_neurons, random_projection
from app.core.matrix import NEURON, READ, TOKEN, WRITE, Matrix

D, M, H = 24, 60, 6
CUTS = (random_neurons, random_projection)


def weights(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


W_OUT = Matrix((weights(M, D),), NEURON, WRITE)
W_IN = Matrix((weights(D, M),), READ, NEURON)
W_E = Matrix((weights(200, D),), TOKEN, WRITE)
BOTH = pytest.mark.parametrize("matrix", [W_OUT, W_IN], ids=["rows", "columns"])


@BOTH
def test_neurons_are_the_matrix_s_own_and_none_twice(matrix):
    kept = random_neurons(matrix, H, seed=3)
    rows = kept.dense() if matrix.is_upright else kept.dense().T
    own = matrix.samples().double()
    places = [int((own == row).all(dim=1).nonzero()[0]) for row in rows]
    assert rows.shape == (H, D)
    assert len(set(places)) == H
    assert (kept.left, kept.right, kept.is_upright) == (matrix.left, matrix.right, matrix.is_upright)


@pytest.mark.parametrize("matrix", [W_E, W_IN], ids=["rows", "columns"])
def test_a_projection_keeps_what_lies_in_one_subspace(matrix):
    kept = random_projection(matrix, H, seed=3)
    whole, part = matrix.samples().double(), (kept.dense() if matrix.is_upright else kept.dense().T)
    assert int(torch.linalg.matrix_rank(part, rtol=1e-5)) == H
    # What was taken away is orthogonal to what was kept, and projecting again changes nothing.
    P = torch.linalg.pinv(part, rtol=1e-5) @ part
    torch.testing.assert_close(part, whole @ P, rtol=0, atol=1e-5)
    torch.testing.assert_close(P.trace(), torch.tensor(float(H), dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("cut", CUTS)
@BOTH
def test_directions_are_those_of_the_dense_matrix(cut, matrix):
    cuts = [cut(matrix, H, seed) for seed in range(3)]
    for each, terms in zip(cuts, decompose_all(cuts), strict=True):
        strength = torch.linalg.svdvals(each.dense())[:H]
        torch.testing.assert_close(terms.strength.double(), strength, rtol=1e-4, atol=0)
        torch.testing.assert_close(terms.reconstruct(), each.dense(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("cut", CUTS)
def test_a_seed_names_one_draw(cut):
    first, again, other = (cut(W_OUT, H, seed).dense() for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_every_neuron_and_every_dimension_has_its_chance():
    drawn = torch.stack([random_neurons(W_OUT, M // 2, seed).dense()[:, 0] for seed in range(200)])
    own = W_OUT.factors[0][:, 0].double()
    shares = torch.stack([(drawn == each).any(dim=1).double().mean() for each in own])
    assert float((shares - 0.5).abs().max()) < 5 * (0.25 / 200) ** 0.5
    kept = torch.stack([random_projection(W_E, H, seed).dense().square().sum(dim=0) for seed in range(200)]).mean(dim=0)
    torch.testing.assert_close(kept, W_E.dense().square().sum(dim=0) * (H / D), rtol=0.4, atol=0)


@pytest.mark.parametrize(
    ("cut", "least", "noun"), [(random_neurons, M + 1, "samples"), (random_projection, D + 1, "dimensions")]
)
def test_what_cannot_be_cut_is_refused_with_its_size(cut, least, noun):
    for h in (0, least):
        with pytest.raises(ValueError, match=f"{least - 1} {noun} cannot be cut down to {h}"):
            cut(W_OUT, h, 0)
    assert cut(W_OUT, least - 1, 0).dense().shape[1] == D
