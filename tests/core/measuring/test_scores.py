import math

import pytest
import torch

from app.core.matrix import READ, WRITE, Matrix
from app.core.measuring.scores import SCORES, copying_score, energy_shares, stream_gram


@pytest.mark.parametrize("rank", [1, 5, 64])
def test_equal_strengths_count_each_direction(rank):
    strength = torch.full((rank,), 3.0)
    values = {key: score(strength) for key, score in SCORES.items()}
    assert values["top"] == 3
    assert values["first-share"] == pytest.approx(1 / rank)
    for key in ("stable-rank", "participation", "entropy-rank"):
        assert values[key] == pytest.approx(rank)


def test_against_the_formulas():
    strength = torch.tensor([2.0, 1.0, 1.0])
    assert energy_shares(strength).tolist() == pytest.approx([4 / 6, 1 / 6, 1 / 6])
    assert SCORES["stable-rank"](strength) == pytest.approx(6 / 4)
    assert SCORES["participation"](strength) == pytest.approx(36 / 18)
    entropy = -sum(share * math.log(share) for share in (4 / 6, 1 / 6, 1 / 6))
    assert SCORES["entropy-rank"](strength) == pytest.approx(math.exp(entropy))


@pytest.mark.parametrize("strength", [torch.empty(0), torch.zeros(4)])
def test_a_zero_matrix_scores_zero(strength):
    assert {score(strength) for score in SCORES.values()} == {0.0}


@pytest.mark.parametrize("key", ["first-share", "stable-rank", "participation", "entropy-rank"])
def test_scores_of_shape_ignore_the_scale(key):
    strength = torch.rand(20).sort(descending=True).values
    for scale in (1e-15, 1e15):
        assert SCORES[key](strength * scale) == pytest.approx(SCORES[key](strength), rel=1e-4)


def test_the_gram_is_what_is_written_against_what_is_read():
    W_E, W_U = torch.randn(5000, 12), torch.randn(12, 5000)
    assert torch.allclose(stream_gram(W_E, W_U.T), W_U.double() @ W_E.double(), rtol=0, atol=1e-3)


def test_copying_is_that_of_the_whole_token_matrix():
    W_E, W_U = torch.randn(60, 10), torch.randn(10, 60)
    W_V, W_O = torch.randn(10, 4), torch.randn(4, 10)
    whole = torch.linalg.eigvals((W_E @ W_V @ W_O @ W_U).double())
    score = copying_score(Matrix((W_V, W_O), READ, WRITE), stream_gram(W_E, W_U.T))
    assert score == pytest.approx(float((whole.sum() / whole.abs().sum()).real), abs=1e-4)


def test_copying_suppressing_and_neither():
    W_E = torch.randn(60, 10)
    gram = stream_gram(W_E, W_E)
    Q = torch.linalg.qr(torch.randn(10, 4)).Q
    assert copying_score(Matrix((Q, Q.T), READ, WRITE), gram) == pytest.approx(1, abs=1e-5)
    assert copying_score(Matrix((Q, -Q.T), READ, WRITE), gram) == pytest.approx(-1, abs=1e-5)
    assert copying_score(Matrix((Q, torch.zeros(4, 10)), READ, WRITE), gram) == 0
