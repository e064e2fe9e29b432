"""Sums over windows of text against the plain formulas over all positions at once."""

import numpy as np
import pytest
import torch

from app.core.using import shares
from app.core.using.statistics import GROUPS, HALVES, LayerSums, StreamSums

N_WINDOWS, N, HEADS, RANK = 32, 11, 2, 4


@pytest.fixture(scope="module")
def text():
    """What is read and what arrives at each position of each window: [windows heads positions rank]."""
    generator = torch.Generator().manual_seed(3)
    read, attended = torch.randn(2, N_WINDOWS, HEADS, N, RANK, generator=generator)
    return read.exp() - 1, attended * torch.tensor([3.0, 1.0, 2.0, 0.5]) + 0.7


@pytest.fixture(scope="module")
def sums(text):
    found = LayerSums.empty(HEADS, RANK)
    for number, (read, attended) in enumerate(zip(*text, strict=True)):
        found.add_window(number, read, attended)
    return found


def by_position(values, head):
    """All positions of a head but each window's first: [positions rank], float64."""
    return values[:, head, 1:].reshape(-1, RANK).double().numpy()


def test_the_first_position_of_a_window_is_in_no_sum(text, sums):
    read, attended = text
    other = LayerSums.empty(HEADS, RANK)
    for number in range(N_WINDOWS):
        sink = [of[number].clone() for of in (read, attended)]
        for of in sink:
            of[:, 0] = 24_000
        other.add_window(number, *sink)
    assert torch.equal(other.squares, sums.squares)
    assert torch.equal(other.powers, sums.powers)
    assert int(sums.positions.sum()) == N_WINDOWS * (N - 1)


def test_halves_and_groups_share_the_windows_alike(sums):
    assert sums.positions.shape == (GROUPS, HALVES)
    assert set(sums.positions.flatten().tolist()) == {N_WINDOWS // GROUPS // HALVES * (N - 1)}


@pytest.mark.parametrize("head", range(HEADS))
def test_shares_are_those_of_the_variances(text, sums, head):
    attended = by_position(text[1], head)
    strength = np.array([4.0, 2.0, 1.0, 0.0], np.float32)
    n = sums.positions.double().numpy().ravel()
    own, squares = (of[:, :, head].flatten(0, 1).numpy() for of in (sums.attended, sums.squares))
    parts = attended.var(axis=0) * strength**2
    np.testing.assert_allclose(shares.used_shares(n, own, squares, strength), parts / parts.sum(), rtol=1e-6)
    np.testing.assert_allclose(shares.weight_shares(strength), np.array([16, 4, 1, 0]) / 21)
    first = shares.estimate_first_share(2, n, own, squares, strength)
    assert first.value == pytest.approx(parts[:2].sum() / parts.sum(), rel=1e-6)
    assert first.interval.low < first.value < first.interval.high
    assert first.n == GROUPS * HALVES


def test_the_covariance_of_a_half_is_that_of_its_windows(text, sums):
    strength = np.array([4.0, 2.0, 1.0, 0.5])
    for half in range(HALVES):
        own = by_position(text[1][half::HALVES], 1)
        found = shares.output_covariance(
            len(own), sums.attended[:, half, 1].sum(0).numpy(), sums.products[half, 1].numpy(), strength
        )
        np.testing.assert_allclose(found, np.cov((own * strength).T, bias=True), rtol=1e-4, atol=1e-5)


def test_skewness_is_that_of_all_positions(text, sums):
    read = by_position(text[0], 0)
    centred = read - read.mean(axis=0)
    expected = (centred**3).mean(axis=0) / (centred**2).mean(axis=0) ** 1.5
    n, powers = sums.positions.sum(1).double().numpy(), sums.powers[:, :, 0].numpy()
    for index in range(RANK):
        found = shares.estimate_skew(n, powers[:, :, index])
        assert found.value == pytest.approx(expected[index], rel=1e-9)
        assert found.interval.low < found.value < found.interval.high
    positive = sums.positive[:, 0].sum(0).numpy() / n.sum()
    np.testing.assert_allclose(positive, (read > 0).mean(axis=0))


def test_axes_that_were_fitted_are_scored_on_the_other_half():
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(6, 6)) * np.array([5, 3, 1, 1, 1, 1])
    samples = generator.normal(size=(2, 4_000, 6)) @ mixing.T
    halves = np.array([np.cov(half.T) for half in samples])
    curve = shares.score_fitted_axes(halves)
    truth = np.sort(np.linalg.eigvalsh(mixing @ mixing.T))[::-1]
    np.testing.assert_allclose(curve, np.cumsum(truth) / truth.sum(), atol=0.01)
    assert curve[-1] == pytest.approx(1)
    in_sample = np.sort(np.linalg.eigvalsh(halves.mean(axis=0)))[::-1]
    assert (curve[:-1] <= np.cumsum(in_sample)[:-1] / in_sample.sum() + 1e-9).all()


def test_noise_fits_nothing():
    """Fitted and scored on the same text, axes of noise would seem to hold more than their share."""
    samples = np.random.default_rng(1).normal(size=(2, 60, 20))
    halves = np.array([np.cov(half.T) for half in samples])
    curve = shares.score_fitted_axes(halves)
    own = np.mean([np.cumsum(np.linalg.eigvalsh(half)[::-1]) / np.trace(half) for half in halves], axis=0)
    assert abs(curve[4] - 0.25) < 0.1 < own[4] - curve[4]


def test_what_does_not_vary_has_no_shares_and_no_skew(sums):
    nothing, zeros = np.zeros(RANK, np.float32), np.zeros((GROUPS * HALVES, RANK))
    n = sums.positions.double().numpy().ravel()
    assert np.isnan(shares.used_shares(n, zeros, zeros, nothing)).all()
    assert np.isnan(shares.estimate_first_share(2, n, zeros, zeros, nothing).value)
    assert np.isnan(shares.score_fitted_axes(np.zeros((HALVES, RANK, RANK)))).all()
    assert np.isnan(shares.estimate_skew(np.ones(GROUPS), np.zeros((GROUPS, 3))).value)


def test_overuse_is_how_often_shares_double():
    used, even = np.array([0.4, 0.1, 0.0, np.nan, 0.2]), np.array([0.2, 0.4, 0.1, 0.1, 0.0])
    np.testing.assert_allclose(shares.measure_overuse(used, even), [1, -2, np.nan, np.nan, np.nan])


def test_the_mean_stream_is_that_of_all_positions_but_sinks():
    generator = torch.Generator().manual_seed(4)
    streams, logits = torch.randn(3, N, 5, generator=generator), torch.randn(N, 7, generator=generator)
    streams[1, 4] = 1_000  # at one layer only
    sums = StreamSums.empty(2, 5, 7)
    sums.add_window(streams, logits)
    kept = [n for n in range(1, N) if n != 4]
    assert sums.counted.tolist() == [len(kept)]
    np.testing.assert_allclose(sums.streams, streams[:, kept].double().sum(1), rtol=1e-6)
    np.testing.assert_allclose(sums.chances, logits[kept].double().softmax(-1).sum(0), rtol=1e-5)
