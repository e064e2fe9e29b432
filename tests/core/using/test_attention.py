"""Scores by directions, by queries and by planes, against plain products in float64."""

import math
from dataclasses import replace

import pytest
import torch

from app.core.bases.svd import decompose_all
from app.core.circuits import Head, qk
from app.core.rotary import Rotary, rotate_head
from app.core.using.attention import (
    Products,
    compare_with_others,
    count_settled,
    draw_random_terms,
    hold_for_queries,
    score_keys,
    split_by_biases,
    split_by_directions,
    split_by_planes,
)

D, H, N = 12, 6, 9
FREQUENCIES = torch.tensor([1.0, 0.3], dtype=torch.float64)


@pytest.fixture(scope="module")
def head():
    generator = torch.Generator().manual_seed(5)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    return Head(draw(D, H), draw(D, H), draw(D, H), draw(H, D), draw(H), draw(H), draw(H), draw(D))


@pytest.fixture(scope="module")
def stream():
    return torch.randn(N, D, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


@pytest.fixture(params=[None, "halves", "neighbours"])
def rotary(request):
    return request.param and Rotary(FREQUENCIES, request.param, scale=1.2)


def turn_by_hand(vector, position, rotary):
    """A query or key at a position, rotated in complex numbers."""
    if rotary is None:
        return vector
    turned = vector.clone()
    for p, frequency in enumerate(rotary.frequencies.tolist()):
        a, b = (p, p + 2) if rotary.pairing == "halves" else (2 * p, 2 * p + 1)
        z = (
            rotary.scale
            * complex(vector[a], vector[b])
            * complex(math.cos(angle := frequency * position), math.sin(angle))
        )
        turned[a], turned[b] = z.real, z.imag
    return turned


def scores_by_hand(head, stream, rotary):
    """What the last position gives each, each side rotated by where it stands."""
    q = turn_by_hand(stream[-1] @ head.W_Q.double() + head.b_Q.double(), N - 1, rotary)
    keys = [turn_by_hand(x @ head.W_K.double() + head.b_K.double(), j, rotary) for j, x in enumerate(stream)]
    return torch.stack([q @ k for k in keys]) * 0.4


def test_scores_are_those_of_both_sides_rotated(head, stream, rotary):
    found = 0.4 * score_keys(stream[-1], stream, head, rotary, N)
    torch.testing.assert_close(found, scores_by_hand(head, stream, rotary), rtol=1e-7, atol=1e-7)


def test_directions_and_biases_sum_to_the_score_and_not_with_the_distance_reversed(head, stream, rotary):
    scores = scores_by_hand(head, stream, rotary)
    for j in range(N - 1):

        def sum_at(distance, j=j):
            rotated = head if rotary is None else rotate_head(head, rotary, distance)
            (terms,) = decompose_all([qk(rotated)])
            content = split_by_directions(stream[-1], stream[j], terms, 0.4)
            return float(content.terms.sum() + split_by_biases(stream[-1], stream[j], rotated, 0.4).sum())

        distance = N - 1 - j
        assert sum_at(distance) == pytest.approx(float(scores[j]), abs=1e-4)
        if rotary is not None:
            assert abs(sum_at(-distance) - float(scores[j])) > 1e-3
            assert abs(sum_at(0) - float(scores[j])) > 1e-3


def test_query_directions_of_no_distance_sum_to_every_score(head, stream, rotary):
    plain = replace(head, b_Q=torch.zeros(H), b_K=torch.zeros(H))
    (terms,) = decompose_all([qk(head)])
    held = hold_for_queries(stream, plain, rotary, N, terms.left)
    found = 0.4 * held @ (terms.left.double() @ stream[-1])
    torch.testing.assert_close(found, scores_by_hand(plain, stream, rotary), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pairing", ["halves", "neighbours"])
def test_planes_sum_to_the_score(head, stream, pairing):
    rotary = Rotary(FREQUENCIES, pairing, scale=1.2)
    scores = scores_by_hand(head, stream, rotary)
    for j in range(N):
        planes = split_by_planes(stream[-1], stream[j], head, rotary, N - 1 - j, N, 0.4)
        total = (planes.size * planes.angle.cos()).sum() + planes.still
        assert float(total) == pytest.approx(float(scores[j]), abs=1e-9)
        assert (planes.size > 0).all()


def test_what_all_sources_hold_speaks_for_none():
    held = torch.tensor([[5.0, 1.0], [5.0, 3.0], [5.0, -1.0]], dtype=torch.float64)
    pattern = torch.tensor([0.5, 0.25, 0.25])
    found = compare_with_others(held, pattern, 1)
    assert found[0] == 0
    assert float(found[1]) == pytest.approx(3 - (0.5 * 1 + 0.25 * -1) / 0.75)
    assert torch.equal(compare_with_others(held, torch.tensor([0.0, 1.0, 0.0]), 1), held[1])


@pytest.mark.parametrize(
    ("terms", "count"),
    [
        ([10.0, 0.0, 0.0], 1),
        ([10.0, 0.9, 0.0], 1),
        ([8.0, 2.0, 0.0], 2),
        ([5.0, 5.0, -5.0, 5.0], 4),
        # The first two reach the sum, and the third leaves it again.
        ([6.0, 4.0, -3.0, 2.0, 1.0], 4),
        ([1.0, -1.0], 2),
    ],
)
def test_terms_are_counted_until_their_sum_stays(terms, count):
    assert int(count_settled(torch.tensor(terms).flip(0))) == count


def test_random_bases_split_the_same_sum():
    products = Products(*torch.randn(2, H, generator=torch.Generator().manual_seed(7), dtype=torch.float64))
    found = draw_random_terms(products, 8, 3)
    torch.testing.assert_close(found.sum(1), products.terms.sum().expand(8))
    assert found.shape == (8, H)
    assert not torch.allclose(found[0], found[1])
    assert torch.equal(found, draw_random_terms(products, 8, 3))
