from dataclasses import replace

import pytest
import torch

from app.core.circuits import key_bias, qk
from app.core.rotary import Rotary, rotate_head, rotation_matrix

D_HEAD = 16
PAIRINGS = ("halves", "neighbours")


def rotary_of(pairing, n=D_HEAD // 2, scale=1.0):
    return Rotary(10_000.0 ** (-torch.arange(n) / n), pairing, scale)


def as_complex(vectors, rotary):
    """Each pair of coordinates that turns together as one complex number."""
    n = len(rotary.frequencies)
    if rotary.pairing == "halves":
        return torch.complex(vectors[..., :n], vectors[..., n : 2 * n])
    return torch.view_as_complex(vectors[..., : 2 * n].reshape(*vectors.shape[:-1], n, 2).contiguous())


@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("n", [2, D_HEAD // 2])
def test_it_turns_as_complex_numbers_do(pairing, n):
    rotary = rotary_of(pairing, n)
    q, k = torch.randn(2, 5, D_HEAD, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for i, j in ((3, 3), (7, 2), (40, 0)):
        turned = [
            as_complex(vectors, rotary) * torch.polar(torch.ones(n).double(), rotary.frequencies.double() * position)
            for vectors, position in ((q, i), (k, j))
        ]
        still = (q[:, 2 * n :] * k[:, 2 * n :]).sum(1)
        expected = (turned[0] * turned[1].conj()).real.sum(1) + still
        found = torch.einsum("sa,ab,sb->s", q, rotation_matrix(rotary, i - j, D_HEAD), k)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_distances_add_up(pairing):
    rotary = rotary_of(pairing, 6)
    for a, b in ((1, 2), (100, 900), (5, -5)):
        together = rotation_matrix(rotary, a, D_HEAD) @ rotation_matrix(rotary, b, D_HEAD)
        torch.testing.assert_close(together, rotation_matrix(rotary, a + b, D_HEAD), rtol=0, atol=1e-12)


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_it_is_orthogonal_but_for_its_scale(pairing):
    one = torch.eye(D_HEAD, dtype=torch.float64)
    R = rotation_matrix(rotary_of(pairing), 37, D_HEAD)
    torch.testing.assert_close(R @ R.T, one, rtol=0, atol=1e-12)
    R = rotation_matrix(rotary_of(pairing, scale=1.2), 37, D_HEAD)
    torch.testing.assert_close(R @ R.T, one * 1.2**4, rtol=0, atol=1e-12)


def test_a_long_text_turns_by_other_frequencies_at_all_distances():
    short = rotary_of("halves")
    both = replace(short, long=short.frequencies / 4, original=8)
    slow = replace(short, frequencies=short.frequencies / 4)
    for distance, n_tokens, expected in (
        (7, None, short),
        (8, None, slow),
        (-8, None, slow),
        (7, 8, short),
        (7, 9, slow),
        (0, 9, slow),
    ):
        found = rotation_matrix(both, distance, D_HEAD, n_tokens)
        torch.testing.assert_close(found, rotation_matrix(expected, distance, D_HEAD), rtol=0, atol=0)


def test_distance_zero_turns_nothing():
    assert torch.equal(rotation_matrix(rotary_of("halves"), 0, D_HEAD), torch.eye(D_HEAD, dtype=torch.float64))


def test_a_head_at_a_distance_scores_turned_queries_against_its_keys(head):
    rotary = rotary_of("neighbours", head.W_Q.shape[1] // 2)
    far = rotate_head(head, rotary, 9)
    R = rotation_matrix(rotary, 9, head.W_Q.shape[1])
    torch.testing.assert_close(qk(far).dense(), head.W_Q.double() @ R @ head.W_K.double().T, rtol=0, atol=1e-5)
    bias = head.b_Q.double() @ R @ head.W_K.double().T
    torch.testing.assert_close(key_bias(far).double(), bias, rtol=0, atol=1e-5)
    for name in ("W_K", "W_V", "W_O", "b_K", "b_V", "b_O"):
        assert getattr(far, name) is getattr(head, name)
