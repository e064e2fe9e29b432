"""The lens against the plain formulas in float64, and what must hold of any."""

import numpy as np
import pytest
import torch

from app.core.using.lens import read_lens, share_in_spans

POINTS, N, D, V = 4, 5, 6, 11


@pytest.fixture(scope="module")
def given():
    """Streams, a map to logits, chances that are the same everywhere; all float64."""
    generator = torch.Generator().manual_seed(2)
    streams = torch.randn(POINTS, N, D, generator=generator, dtype=torch.float64)
    W = torch.randn(D, V, generator=generator, dtype=torch.float64)
    everywhere = torch.rand(V, generator=generator, dtype=torch.float64)
    return streams, W, everywhere / everywhere.sum()


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_numbers_are_those_of_the_formulas(given):
    streams, W, everywhere = given
    shift = torch.linspace(0, 1, POINTS * D, dtype=torch.float64).reshape(POINTS, D)
    shift = (1 - shift) * torch.tensor([1, 1, 1, 0])[:, None]  # the end is as it is
    found = read_lens(streams, shift, lambda stream: stream @ W, everywhere)
    chances = softmax((streams + shift[:, None]).numpy() @ W.numpy())
    end = softmax(streams[-1].numpy() @ W.numpy())
    best = end.argmax(axis=-1)
    for point in range(POINTS):
        of = chances[point]
        assert found.top[point].tolist() == of.argmax(axis=-1).tolist()
        np.testing.assert_allclose(found.top_chance[point], of.max(axis=-1))
        np.testing.assert_allclose(found.chance[point], of[range(N), best])
        assert found.rank[point].tolist() == [
            1 + int((row > row[token]).sum()) for row, token in zip(of, best, strict=True)
        ]
        np.testing.assert_allclose(found.divergence[point], (end * np.log(end / of)).sum(axis=-1), atol=1e-12)
    np.testing.assert_allclose(found.constant, (end * np.log(end / everywhere.numpy())).sum(axis=-1))


def test_the_end_is_what_the_model_says(given):
    streams, W, _ = given
    found = read_lens(streams, torch.zeros(POINTS, D), lambda stream: stream @ W, None)
    assert found.rank[-1].tolist() == [1] * N
    assert float(found.divergence[-1].abs().max()) < 1e-12
    assert (found.divergence >= 0).all()
    assert torch.isnan(found.constant).all()


def test_the_shift_takes_out_what_all_positions_share(given):
    """Points that differ from the end by a vector alone say the same as the end, with that vector as the shift."""
    streams, W, _ = given
    moved = torch.randn(POINTS, D, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    moved[-1] = 0
    found = read_lens(streams[-1] + moved[:, None], -moved, lambda stream: stream @ W, None)
    assert float(found.divergence.max()) < 1e-12
    raw = read_lens(streams[-1] + moved[:, None], torch.zeros(POINTS, D), lambda stream: stream @ W, None)
    assert float(raw.divergence[:-1].mean()) > 0.1


def test_shares_are_those_of_projections_on_spans(given):
    """Of oblique vectors, one of which adds nothing, against least squares."""
    streams, _, _ = given
    vectors = torch.randn(4, D, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    vectors[1] = 2 * vectors[0]
    found = share_in_spans(streams, vectors, [1, 2, 3, 4])
    for at, size in enumerate((1, 2, 3, 4)):
        flat, basis = streams.reshape(-1, D).numpy(), vectors[:size].numpy()
        solved = np.linalg.lstsq(basis.T, flat.T, rcond=None)[0]
        shares = ((basis.T @ solved) ** 2).sum(axis=0) / (flat**2).sum(axis=1)
        np.testing.assert_allclose(found[..., at].reshape(-1), shares, atol=1e-10)
    whole = share_in_spans(streams, torch.eye(D), [D])
    np.testing.assert_allclose(whole, 1)
    assert float(share_in_spans(torch.zeros(1, 1, D), torch.eye(D), [2]).sum()) == 0
