"""What is predicted against noise that is drawn again and again, by dense SVDs in float64 that know no factors."""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch

from app.core.circuits import CIRCUITS, Head
from app.core.decomposition import Decomposition, error_variances, rounding_norms
from app.core.folding import Norms, fold_head, fold_mlp
from app.core.matrix import READ, WRITE, Matrix
from app.core.measuring.turns import Leak, expected_leaks, median_degrees, predict_turns, retained_shares
from app.core.mlp import MLP_MATRICES, Mlp
from app.core.noise import Noise, noise_of_steps
from app.core.rotary import Rotary, rotate_head
from tests.core.conftest import decompose, make_upright_and_not, terms_of

D, H, DRAWS = 40, 8, 120


class Redrawn(NamedTuple):
    """What became of the left and of the right directions."""

    degrees: tuple[torch.Tensor, torch.Tensor]
    """Median [rank]."""
    rest: tuple[torch.Tensor, torch.Tensor]
    """Mean squared cosine of the spans of row and all after it [rank]."""


def redrawn(matrix: Matrix, terms: Decomposition) -> Redrawn:
    """Noise of its variances, uniform, on each factor."""
    draw = torch.Generator().manual_seed(7)
    product = None
    assert matrix.noise is not None
    for factor, noise in zip(matrix.factors, matrix.noise, strict=True):
        size = torch.outer(noise.rows, noise.columns).mul(12).sqrt()
        error = (torch.rand(DRAWS, *size.shape, generator=draw, dtype=torch.float64) - 0.5) * size
        product = factor.double() + error if product is None else product @ (factor.double() + error)
    rank = len(terms.strength)
    U, _, Vh = torch.linalg.svd(product, full_matrices=False)
    degrees, spans = [], []
    for before, after in ((terms.left, U.mT[:, :rank]), (terms.right, Vh[:, :rank])):
        cosines = before.double() @ after.mT
        own = cosines.diagonal(dim1=1, dim2=2).abs().clamp(max=1)
        degrees.append(own.acos().rad2deg().median(dim=0).values)
        shares = [cosines[:, row:, row:].square().sum(dim=(1, 2)).mean() / (rank - row) for row in range(rank)]
        spans.append(torch.stack(shares))
    return Redrawn((degrees[0], degrees[1]), (spans[0], spans[1]))


def circuit(step_A: float, step_B: float) -> Matrix:
    """Factors of uneven steps, the first behind a gain; its singular values fall off by a factor of ten."""
    draw = torch.Generator().manual_seed(3)
    A, B = torch.randn(D, H, generator=draw), torch.randn(H, D, generator=draw)
    A, B = A * torch.logspace(0, -0.5, H), B * torch.logspace(0, -0.5, H)[:, None]
    gain = torch.logspace(-0.7, 0.7, D)[torch.randperm(D, generator=draw)]
    noise = (noise_of_steps(A, step_A).scale(rows=gain), noise_of_steps(B, step_B))
    return Matrix((gain[:, None] * A, B), READ, WRITE, noise)


def samples() -> torch.Tensor:
    draw = torch.Generator().manual_seed(5)
    return torch.randn(60, 12, generator=draw) * torch.logspace(0, -0.8, 12)


def is_near(matrix: Matrix, terms: Decomposition, measured: Redrawn) -> bool:
    """Whether every side's predictions are within a quarter in the median, and within a factor of 1.6 each."""
    predicted = predict_turns(matrix, terms)
    assert predicted is not None
    for side, degrees in zip(predicted, measured.degrees, strict=True):
        ratio = side.degrees / degrees
        if not (0.8 < ratio.median() < 1.25 and ratio.min() > 1 / 1.6 and ratio.max() < 1.6):
            return False
    return True


@pytest.mark.parametrize("steps", [(0.2, 0.05), (0.05, 0.3), (0.1, 0.2)], ids=["read", "written", "both"])
def test_turns_of_a_circuit(steps):
    matrix = circuit(*steps)
    terms = decompose(matrix)
    measured = redrawn(matrix, terms)
    assert is_near(matrix, terms, measured)
    assert 1 < measured.degrees[0].median() < 45


def test_a_factor_or_a_gain_left_out_is_seen():
    matrix = circuit(0.1, 0.2)
    terms = decompose(matrix)
    measured = redrawn(matrix, terms)
    of_A, of_B = matrix.noise or ()
    nothing = Noise(torch.zeros_like(of_A.rows), of_A.columns)
    for wrong in (
        (nothing, of_B),
        (of_A, nothing.transposed),
        (Noise(torch.ones_like(of_A.rows), of_A.columns), of_B),
        (of_A.scale(columns=torch.full((H,), 2.0)), of_B),
    ):
        assert not is_near(replace(matrix, noise=wrong), terms, measured)


@pytest.mark.parametrize("way", [0, 1], ids=["rows", "columns"])
def test_turns_of_one_factor(way):
    upright = samples()
    noise = noise_of_steps(upright.T, 0.2).transposed
    matrix = replace(make_upright_and_not(upright)[way], noise=((noise, noise.transposed)[way],))
    terms = terms_of("svd", matrix)
    measured = redrawn(matrix, terms)
    assert is_near(matrix, terms, measured)
    # The stream's side has nowhere to go but its own span.
    stream, tokens = expected_leaks(error_variances(matrix, terms), terms)[:: 1 if way else -1]
    assert stream.n_out == 0
    assert not stream.out.any()
    assert (tokens.out > 0).all()


def test_each_side_turns_by_what_it_sees():
    """Only the second row of the matrix is off: the first left direction turns to it, and the first right one hardly."""
    noise = Noise(torch.tensor([0, 1e-3, 0], dtype=torch.float64), torch.ones(3, dtype=torch.float64))
    matrix = Matrix((torch.diag(torch.tensor([3.0, 1.0, 0.1])),), READ, WRITE, (noise,))
    terms = terms_of("svd", matrix)
    left, right = predict_turns(matrix, terms) or ()
    measured = redrawn(matrix, terms).degrees
    # One number alone turns them: which is uniform here, and not nearly normal.
    assert left.degrees[0] / right.degrees[0] == pytest.approx(float(measured[0][0] / measured[1][0]), rel=0.05)
    assert left.degrees[0] > 2 * right.degrees[0]


def test_spans_that_stay():
    for matrix in (circuit(0.2, 0.2), circuit(0.1, 0.4)):
        terms = decompose(matrix)
        measured, predicted = redrawn(matrix, terms), predict_turns(matrix, terms)
        assert predicted is not None
        for side, shares in zip(predicted, measured.rest, strict=True):
            # Its own mean squared cosine for the last: where everything is lost, first order says so too soon.
            assert torch.allclose(1 - side.rest[:-2], 1 - shares[:-2], rtol=0.3, atol=0.003)


def test_a_pair_of_equal_strength_is_anywhere_in_its_plane():
    axes = torch.eye(6)
    small = Noise(torch.full((6,), 1e-8, dtype=torch.float64), torch.ones(3, dtype=torch.float64))
    factors = (axes[:, :3] * torch.tensor([2.0, 1.0, 1.0]), axes[:3])
    matrix = Matrix(factors, READ, WRITE, (small, small.transposed))
    found = predict_turns(matrix, decompose(matrix))
    assert found is not None
    for side in found:
        assert side.degrees[0] < 0.1
        # As likely any angle as any other: 45 degrees in the median.
        assert (side.degrees[1:] > 30).all()
        assert (side.degrees[1:] < 50).all()
        assert side.rest[1] > 0.9999


def test_nothing_is_turned_where_nothing_is_off():
    matrix = circuit(0.0, 0.0)
    found = predict_turns(matrix, decompose(matrix))
    assert found is not None
    for side in found:
        assert not side.degrees.any()
        assert torch.equal(side.rest, torch.ones_like(side.rest))
    same = Matrix((torch.eye(4)[:, :2], torch.eye(4)[:2]), READ, WRITE)
    nothing = Noise(torch.zeros(4, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
    both = replace(same, noise=(nothing, nothing.transposed))
    assert [side.degrees.tolist() for side in predict_turns(both, decompose(both)) or ()] == [[0, 0], [0, 0]]


def test_nothing_is_said_where_nothing_is_known():
    matrix = replace(circuit(0.1, 0.1), noise=None)
    assert predict_turns(matrix, decompose(matrix)) is None


def test_a_matrix_of_zeros():
    matrix = replace(circuit(0.1, 0.1), factors=(torch.zeros(D, H), torch.zeros(H, D)))
    found = predict_turns(matrix, decompose(matrix))
    assert found is not None
    assert [side.degrees.shape for side in found] == [(0,), (0,)]
    assert [side.rest.shape for side in found] == [(0,), (0,)]


def test_half_of_all_errors_turn_by_less():
    draw = torch.Generator().manual_seed(2)
    among = torch.rand(5, 5, generator=draw, dtype=torch.float64).pow(4).mul(0.01).fill_diagonal_(0.0)
    leak = Leak(among, torch.full((5,), 0.002, dtype=torch.float64), 50)
    squares = (torch.randn(20_000, 5, 5, generator=draw, dtype=torch.float64).square() * among).sum(dim=2)
    squares += 0.002 * torch.randn(20_000, 5, 50, generator=draw, dtype=torch.float64).square().mean(dim=2)
    measured = squares.sqrt().atan().rad2deg().median(dim=0).values
    assert torch.allclose(median_degrees(leak), measured, rtol=0.05)
    assert retained_shares(leak)[0] == pytest.approx(1 / 1.002)


@pytest.mark.parametrize("way", [0, 1, 2], ids=["rows", "columns", "circuit"])
def test_badges_go_by_the_noise_where_it_is_known(way):
    if way < 2:
        noise = noise_of_steps(samples().T, 0.2).transposed
        matrix = replace(make_upright_and_not(samples())[way], noise=((noise, noise.transposed)[way],))
        terms = terms_of("svd", matrix)
    else:
        matrix = circuit(0.1, 0.2)
        terms = decompose(matrix)
    seen = []
    draw = torch.Generator().manual_seed(1)
    for _ in range(300):
        off = []
        for factor, noise in zip(matrix.factors, matrix.noise or (), strict=True):
            size = torch.outer(noise.rows, noise.columns).mul(12).sqrt()
            off.append(factor + (torch.rand(size.shape, generator=draw, dtype=torch.float64) - 0.5) * size * 1e-3)
        error = (replace(matrix, factors=tuple(off)).dense() - matrix.dense()) * 1e3
        seen.append(terms.left.double() @ error @ terms.right.double().T)
    deviation = torch.stack(seen).square().mean(dim=0).sqrt()
    ratio = rounding_norms(matrix, terms, torch.float32) / (2 * torch.maximum(deviation, deviation.T))
    assert ratio.min() > 0.8
    assert ratio.max() < 1.25


def off(tensors: Head | Mlp, draw: torch.Generator) -> Head | Mlp:
    """The same with another rounding of every weight: a ten-thousandth of it, since only first order is predicted."""
    weights = {}
    for name, noise in tensors.noise.items():
        size = torch.outer(noise.rows, noise.columns).mul(12).sqrt()
        weights[name] = (getattr(tensors, name) + (torch.rand(size.shape, generator=draw) - 0.5) * size * 1e-2).float()
    return replace(tensors, **weights)


def with_noise(tensors: Head | Mlp) -> Head | Mlp:
    """Every weight with errors, which are larger in some columns, and the more so in some weights."""
    names = [name for name in vars(tensors) if name.startswith("W_")]
    weights = {name: getattr(tensors, name) for name in names}
    weights = {name: W * torch.linspace(0.3, 2, W.shape[1]) for name, W in weights.items()}
    noise = {name: noise_of_steps(W, 0.1 + 0.1 * at) for at, (name, W) in enumerate(weights.items())}
    return replace(tensors, **weights, noise=noise)


def gain(n: int, seed: int) -> torch.Tensor:
    return torch.logspace(-0.5, 0.5, n)[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]


@pytest.mark.parametrize("kind", [*CIRCUITS, *MLP_MATRICES])
@pytest.mark.parametrize("center", [False, True])
def test_errors_go_through_the_norms_and_turns_that_weights_go_through(head, mlp, kind, center):
    d = len(head.W_Q)
    norms = Norms(center, gain(d, 0), None, gain(d, 1), gain(8, 2), gain(8, 3), center_heads=False)
    rotary = Rotary(torch.tensor([1.0, 0.1, 0.01]), "halves", 1.3)

    def product(tensors: Head | Mlp) -> Matrix:
        if isinstance(tensors, Mlp):
            return MLP_MATRICES[kind](fold_mlp(tensors, norms))
        return CIRCUITS[kind](rotate_head(fold_head(tensors, norms), rotary, 3))

    tensors = with_noise(head if kind in CIRCUITS else mlp)
    matrix, draw = product(tensors), torch.Generator().manual_seed(4)
    terms = terms_of("svd", matrix)
    u, v, seen = terms.left.double(), terms.right.double(), []
    for _ in range(60):
        seen.append(u @ (product(off(tensors, draw)).dense() - matrix.dense()) @ v.T * 1e2)
    measured = torch.stack(seen).square().mean(dim=0)
    ratio = error_variances(matrix, terms).pairs / measured
    assert 0.9 < ratio.median() < 1.15
    assert (ratio.log().mean(dim=0).exp()).min() > 0.9
    assert (ratio.log().mean(dim=1).exp()).max() < 1.25
