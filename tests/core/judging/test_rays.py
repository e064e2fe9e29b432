"""Planted directions are classed by p of a plain coherence, written here, against random directions of the same space."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.core.judging.rays import ALPHA, HALF, RAY_CLASSES, READINGS, classify_directions, classify_rays

D, CLUSTERS, SIZE, NOISE = 64, 40, 30, 0.7
K, CONTROLS = 10, 2000

P = arrays(np.float64, 12, elements=st.sampled_from([0.0, 1 / 4001, ALPHA, 0.011, 0.5, 1.0, np.nan]))


def word(plus: float, minus: float, difference: float) -> str:
    if any(map(np.isnan, (plus, minus, difference))):
        return "undetermined"
    if plus < ALPHA and minus < ALPHA:
        return "antipodal"
    if plus >= ALPHA and minus >= ALPHA:
        return "neither"
    return "one-sided" if difference < ALPHA else "undetermined"


def names(codes):
    return np.array(RAY_CLASSES)[codes]


@given(P, P, P)
def test_against_the_words_one_by_one(plus, minus, difference):
    found = classify_directions(plus, minus, difference)
    assert names(found).tolist() == [word(*each) for each in zip(plus, minus, difference, strict=True)]


@given(P, P, P)
def test_which_ray_is_called_plus_does_not_matter(plus, minus, difference):
    assert (
        classify_directions(plus, minus, difference).tolist() == classify_directions(minus, plus, difference).tolist()
    )


def test_every_word_occurs_in_any_shape():
    plus = np.array([[0.001, 0.001], [0.5, 0.001]], dtype=np.float32)
    minus = np.array([[0.5, 0.001], [0.5, 0.5]], dtype=np.float32)
    difference = np.array([[0.001, 0.5], [0.001, 0.5]], dtype=np.float32)
    found = names(classify_directions(plus, minus, difference))
    assert found.tolist() == [["one-sided", "antipodal"], ["neither", "undetermined"]]


BOOLS, SHARES = arrays(np.bool_, 12), arrays(np.float64, 12, elements=st.sampled_from([0.0, 0.49, HALF, 0.9, np.nan]))


def reading(p, letterless, n_forms, forms_p, spelling_p, beyond_p, beyond_share):
    if np.isnan(p):
        return "unknown"
    if not p < ALPHA:
        return "none"
    if letterless:
        return "letterless"
    if n_forms < 10:
        return "one word"
    if np.isnan(forms_p):
        return "unknown"
    if not forms_p < ALPHA:
        return "one word"
    if spelling_p < ALPHA:
        if not beyond_p < ALPHA:
            return "spelling"
        if beyond_share < 0.5:
            return "partly spelling"
    return "theme"


@given(P, BOOLS, arrays(np.int32, 12, elements=st.sampled_from([0, 9, 10, 50])), P, P, P, SHARES)
def test_readings_against_the_words_one_by_one(p, letterless, n_forms, forms_p, spelling_p, beyond_p, beyond_share):
    found = classify_rays(p, letterless, n_forms, forms_p, spelling_p, beyond_p, beyond_share)
    numbers = zip(p, letterless, n_forms, forms_p, spelling_p, beyond_p, beyond_share, strict=True)
    assert [READINGS[code] for code in found] == [reading(*each) for each in numbers]


def test_every_reading_occurs():
    low, high, never = 0.001, 0.5, np.nan
    rows = [
        (low, False, 30, low, high, low, 0.1),
        (low, False, 30, high, low, low, 0.9),
        (low, False, 30, low, low, low, 0.1),
        (low, False, 30, low, low, high, 0.9),
        (low, True, 30, low, low, low, 0.9),
        (high, True, 30, low, low, low, 0.9),
        (never, False, 3, never, never, never, never),
    ]
    columns = [np.array(column)[:, None] for column in zip(*rows, strict=True)]
    assert np.array(READINGS)[classify_rays(*columns)].tolist() == [[name] for name in READINGS]


class World:
    """Tokens in clusters, and p values against its own random directions."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        centres = self.rng.standard_normal((CLUSTERS, D))
        tokens = np.repeat(centres, SIZE, axis=0) + NOISE * self.rng.standard_normal((CLUSTERS * SIZE, D))
        loose = 1.3 * self.rng.standard_normal((3 * len(tokens), D))
        self.tokens = np.concatenate([tokens, loose])
        self.tokens -= self.tokens.mean(axis=0)
        self.unit = self.tokens / np.linalg.norm(self.tokens, axis=1, keepdims=True)
        self.control = self.coherence(self.random(CONTROLS))

    def random(self, n: int) -> np.ndarray:
        return self.rng.standard_normal((n, D))

    def sums(self) -> np.ndarray:
        """Of each cluster's tokens, at unit length: of two that differ, the longer one would rule their difference."""
        sums = self.tokens[: CLUSTERS * SIZE].reshape(CLUSTERS, SIZE, D).sum(axis=1)
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)

    def coherence(self, directions: np.ndarray) -> np.ndarray:
        """Mean pairwise cosine of the top tokens of both rays: [n 2]."""
        order = np.argsort(directions @ self.tokens.T, axis=1)
        ends = self.unit[np.stack([order[:, -K:], order[:, :K]], axis=1)]
        return (np.square(ends.sum(axis=2)).sum(axis=-1) - K) / (K * (K - 1))

    def names(self, directions: np.ndarray) -> np.ndarray:
        found = self.coherence(directions)
        p = above(found, self.control)
        lead = above(np.abs(found[:, 0] - found[:, 1]), np.abs(self.control[:, 0] - self.control[:, 1]))
        return names(classify_directions(p[:, 0], p[:, 1], lead))


def above(values: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Empirical p."""
    below = np.searchsorted(np.sort(control, axis=None), values, side="left")
    return (1 + control.size - below) / (1 + control.size)


@pytest.fixture(scope="module")
def world() -> World:
    return World(0)


def test_planted_one_sided_directions_are_found(world):
    found = world.names(world.sums())
    assert (found == "one-sided").mean() >= 0.9


def test_planted_antipodal_directions_are_found(world):
    sums = world.sums()
    found = world.names(sums - np.roll(sums, 1, axis=0))
    assert (found == "antipodal").mean() >= 0.9


def test_random_directions_are_seldom_called_anything(world):
    found = world.names(world.random(2000))
    assert (found == "one-sided").mean() <= 0.02
    assert (found == "antipodal").mean() <= 0.002
    assert (found == "neither").mean() >= 0.95
