import json
import math
from dataclasses import replace

import pytest
import torch

from app.core import decomposition
from app.core.decomposition import (
    Decomposition,
    Instability,
    badges,
    fix_signs,
    is_present,
    orient_terms,
    relative_gaps,
    rounding_norms,
)
from app.core.matrix import READ, WRITE, Matrix
from tests.core.conftest import decompose, make_upright_and_not, split_by_sample_side, terms_of


def uneven_matrix(d: int, h: int) -> Matrix:
    """Three rows twenty times as long as the others, and singular values over two decades."""
    draw = torch.Generator().manual_seed(3)
    A, B = torch.randn(d, h, generator=draw), torch.randn(h, d, generator=draw)
    A[:3] *= 20
    return Matrix((A * torch.logspace(0, -1, h), B * torch.logspace(0, -1, h)[:, None]), READ, WRITE)


def as_stored(matrix: Matrix, dtype: torch.dtype) -> Matrix:
    """Weights that the dtype rounds to these: uniformly within the last place."""
    factors = []
    for factor in matrix.factors:
        last_place = torch.finfo(dtype).eps * 2 ** factor.abs().log2().floor()
        factors.append(factor + (torch.rand_like(factor) - 0.5) * last_place)
    return replace(matrix, factors=tuple(factors))


def degrees_between(one: Decomposition, other: Decomposition) -> torch.Tensor:
    """How far each direction turned within the span of all of them; the side that turned more."""
    rank = min(len(one.strength), len(other.strength))
    sines = []
    for a, b in ((one.left, other.left), (one.right, other.right)):
        overlap = (a.double() @ b.double().T).square()[:rank, :rank]
        sines.append((1 - overlap.diagonal() / overlap.sum(dim=1)).clamp(min=0).sqrt())
    return torch.maximum(*sines).asin().rad2deg()


def test_signs_flip_together():
    left, right = torch.eye(3)[:2], torch.tensor([[0.6, -0.8], [0.0, 1.0]])
    fixed = fix_signs(Decomposition(left, torch.tensor([2.0, 1.0]), right))
    assert torch.equal(fixed.right, torch.tensor([[-0.6, 0.8], [0.0, 1.0]]))
    assert torch.equal(fixed.left, torch.tensor([[-1.0, 0, 0], [0, 1, 0]]))


def test_of_equal_entries_the_first_is_positive():
    right = torch.tensor([[-0.5, 0.5, 0.5, -0.5]])
    fixed = fix_signs(Decomposition(torch.eye(4)[:1], torch.ones(1), right))
    assert torch.equal(fixed.right, -right)


def test_gaps_look_both_ways_and_at_the_null_space():
    assert relative_gaps(torch.tensor([4.0, 3.0, 1.5])).tolist() == [0.25, 0.25, 0.5]
    assert relative_gaps(torch.tensor([4.0])).tolist() == [1.0]
    assert relative_gaps(torch.empty(0)).tolist() == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rounding_as_the_directions_see_it(dtype):
    matrix = uneven_matrix(64, 8)
    terms = decompose(matrix)
    seen = [
        terms.left.double() @ (as_stored(matrix, dtype).dense() - matrix.dense()) @ terms.right.double().T
        for _ in range(300)
    ]
    deviation = torch.stack(seen).square().mean(dim=0).sqrt()
    ratio = rounding_norms(matrix, terms, dtype) / (2 * torch.maximum(deviation, deviation.T))
    assert ratio.min() > 0.6
    assert ratio.max() < 1.6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("way", [0, 1], ids=["rows", "columns"])
@pytest.mark.parametrize("basis", ["svd", "pca"])
def test_rounding_of_one_factor_as_the_directions_see_it(monkeypatch, dtype, way, basis):
    monkeypatch.setattr(decomposition, "ROWS", 30)
    samples = uneven_matrix(64, 8).dense().float()
    matrix = make_upright_and_not(samples)[way]
    terms = terms_of(basis, matrix)
    seen = [
        terms.left.double() @ (as_stored(matrix, dtype).dense() - matrix.dense()) @ terms.right.double().T
        for _ in range(300)
    ]
    deviation = torch.stack(seen).square().mean(dim=0).sqrt()
    ratio = rounding_norms(matrix, terms, dtype) / (2 * torch.maximum(deviation, deviation.T))
    assert ratio.min() > 0.6
    assert ratio.max() < 1.6


def test_rounding_of_one_factor_is_its_formula_whatever_the_scale():
    samples = torch.randn(50, 12)
    for scale in (1.0, 2.0**-80):
        for matrix in make_upright_and_not(samples * scale):
            terms = terms_of("svd", matrix)
            u, v = terms.left.double().square(), terms.right.double().square()
            deviation = 0.21 * torch.finfo(torch.float16).eps * (u @ matrix.dense().square() @ v.T).sqrt()
            expected = 2 * torch.maximum(deviation, deviation.T)
            assert torch.allclose(rounding_norms(matrix, terms, torch.float16), expected, rtol=1e-4, atol=0)


def test_no_rounding_of_zeros():
    for one_factor in make_upright_and_not(torch.zeros(6, 2)):
        assert rounding_norms(one_factor, terms_of("svd", one_factor), torch.float16).shape == (0, 0)
    matrix = Matrix((torch.zeros(6, 2), torch.randn(2, 6)), READ, WRITE)
    assert rounding_norms(matrix, decompose(matrix), torch.float16).shape == (0, 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_badges_say_how_far_rounding_turns(dtype):
    matrix = uneven_matrix(192, 32)
    terms = decompose(matrix)
    turned = torch.stack([degrees_between(terms, decompose(as_stored(matrix, dtype))) for _ in range(20)])
    said = torch.tensor([badge.degrees for badge in badges(terms.strength, rounding_norms(matrix, terms, dtype))])
    typical = turned.square().mean(dim=0).sqrt()
    assert (typical < 1.5 * said).all()
    assert (said < 10 * typical).all()


def test_a_pair_that_rounding_mixes_is_one_subspace():
    torch.manual_seed(0)
    U, V = (torch.linalg.qr(torch.randn(128, 4)).Q for _ in range(2))
    matrix = Matrix((U * torch.tensor([4.0, 2.0, 2.0 - 1e-6, 1.0]), V.T.contiguous()), READ, WRITE)
    terms = decompose(matrix)
    found = badges(terms.strength, rounding_norms(matrix, terms, torch.float16))
    assert [badge.kind for badge in found] == [None, "subspace", "subspace", None]
    assert [(badge.first, badge.last) for badge in found] == [(0, 0), (1, 2), (1, 2), (3, 3)]
    turned = torch.stack([degrees_between(terms, decompose(as_stored(matrix, torch.float16))) for _ in range(10)])
    assert turned[:, 1:3].amax() > 10
    assert turned[:, [0, 3]].amax() < 1


def evenly(rank: int, rounding: float) -> torch.Tensor:
    return torch.full((rank, rank), rounding, dtype=torch.float64)


def test_rows_of_small_gaps_are_not_chained():
    steps = torch.tensor([1.0 - 0.01 * step for step in range(10)])
    found = badges(steps, evenly(10, 0.005))  # 30 degrees to the next, 14.5 to the one after, 9.6 to the third
    assert {badge.kind for badge in found} == {"subspace"}
    assert [(badge.first, badge.last) for badge in found][:5] == [(0, 2), (0, 3), (0, 4), (1, 5), (2, 6)]
    assert found[4].degrees == pytest.approx(30, abs=1e-3)


def test_close_neighbours():
    found = badges(torch.tensor([1.0, 0.9, 0.5]), evenly(3, 0.005))
    assert [(badge.kind, badge.first, badge.last) for badge in found] == [
        ("close", 0, 1),
        ("close", 0, 1),
        (None, 2, 2),
    ]


def test_equal_strengths():
    assert [badge.degrees for badge in badges(torch.ones(2), evenly(2, 1e-9))] == [90, 90]
    assert [badge.kind for badge in badges(torch.ones(2), evenly(2, 0.0))] == [None, None]
    assert badges(torch.empty(0), evenly(0, 1.0)) == []


def test_badges_are_plain_values():
    kind, turn, first, last = json.loads(json.dumps(badges(torch.tensor([1.0, 0.99]), evenly(2, 0.001))))[0]
    assert (kind, first, last) == ("close", 0, 1)
    assert isinstance(turn, float)


def one_by_one(strength: torch.Tensor, rounding: torch.Tensor) -> list[Instability]:
    """Badges as they are defined, pair by pair."""
    found = []
    for i, own in enumerate(strength.tolist()):
        angles = {}
        for j, other in enumerate(strength.tolist()):
            turn, apart = float(rounding[i, j]), abs(own - other)
            sine = min(1.0, turn / apart) if apart else float(turn > 0)
            angles[j] = math.degrees(math.asin(sine)) if j != i else 0.0
        widest = max(angles.values())
        least = 10 if widest > 10 else 1
        within = [j for j, angle in angles.items() if angle > least or j == i] if widest > 1 else [i]
        kind = "subspace" if widest > 10 else "close" if widest > 1 else None
        found.append(Instability(kind, widest, min(within), max(within)))
    return found


def test_badges_against_pair_by_pair():
    draw = torch.Generator().manual_seed(5)
    for size in (1e-5, 1e-4, 1e-3):
        strength = torch.rand(60, generator=draw).sort(descending=True).values
        strength[10:13] = strength[10]
        rounding = torch.rand(60, 60, generator=draw, dtype=torch.float64) * size
        found, expected = badges(strength, rounding + rounding.T), one_by_one(strength, rounding + rounding.T)
        assert len({badge.kind for badge in expected}) > 1
        for ours, theirs in zip(found, expected, strict=True):
            assert (ours.kind, ours.first, ours.last) == (theirs.kind, theirs.first, theirs.last)
            assert ours.degrees == pytest.approx(theirs.degrees, rel=1e-4)


def test_sides_are_where_the_matrix_has_them():
    of_samples, of_stream = torch.randn(2, 30), torch.randn(2, 8)
    for matrix in make_upright_and_not(torch.randn(30, 8)):
        terms = orient_terms(matrix, of_samples, torch.ones(2), of_stream)
        assert terms.reconstruct().shape == matrix.dense().shape
        ours = split_by_sample_side(matrix, terms)
        assert torch.equal(ours[0], of_samples)
        assert torch.equal(ours[1], of_stream)


def test_what_rounding_alone_could_make_is_not_present():
    floor = 10 * torch.finfo(torch.float32).eps
    strength = torch.tensor([[1, 2 * floor, floor / 2, 0], [1e-30, 1e-31, 1e-39, 0], [0, 0, 0, 0]], dtype=torch.float64)
    assert is_present(strength, 10).sum(dim=1).tolist() == [2, 2, 0]
    assert is_present(strength[0, :0], 10).shape == (0,)
