"""Which rays are nearest to a few tokens, and how many would be as near by chance.

A token is a unit vector `e` of its table, out of which the table's mean and its first components were taken; tokens asked
for together are `q = sum_i w_i e_i` at unit length. A ray is a vector of the residual stream and a sign, with the first
20 tokens that it reads or writes:

- theme: the mean of `e . q` over the ray's tokens, how alike its tokens are to those asked for;
- alignment: the product of its unit vector with `q`;
- how many would be so aligned by chance says `app.core.finding.expectation`;
- the false discovery rate of all rays with a theme of s or more is at most
  `(n_rays / n_control) (controls with s or more) / (rays with s or more)`, by random directions that were read alike.

Knows no file, no model and no word.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32, Int, Int32
from numpy import ndarray

ROWS = 2_048
"""That are looked at in one go: what is taken for them stays in a processor's cache."""
PEAK_OF = 64
"""Scores that are looked at for the largest of them alone, before the largest of all are looked for."""
TINY = 1e-6
"""A sum of unit vectors that is shorter has no direction."""


def combined(units: Float[ndarray, "k d"], weights: Float[ndarray, " k"]) -> Float[ndarray, " d"] | None:
    """The weighted sum at unit length; None where nothing is left of it.

    Example: combined([[1, 0], [0, 1]], [1, -1]) -> [0.71, -0.71]
    """
    total = weights.astype(np.float64) @ units.astype(np.float64)
    length = float(np.linalg.norm(total))
    return None if length < TINY else (total / length).astype(np.float32)


def themes(similarities: Float32[ndarray, " more"], ids: Int32[ndarray, "n 2 k"]) -> Float32[ndarray, "n 2"]:
    """The mean similarity of each ray's tokens, of + and of -; that of no token, which is the id -1, is the last.

    Example: themes([0.5, 0.25, 0], [[[0, 1], [0, -1]]]) -> [[0.375, 0.25]]
    """
    n, signs, k = ids.shape
    share = np.full(k, 1 / k, np.float32)
    found = np.empty((n, signs), np.float32)
    for start in range(0, n, ROWS):
        taken = np.take(similarities, ids[start : start + ROWS].reshape(-1, k), mode="wrap")
        np.matmul(taken, share, out=found[start : start + ROWS].reshape(-1))
    return found


def first(scores: Float[ndarray, " n"], n_first: int) -> Int[ndarray, " k"]:
    """Where the largest scores are, the largest first, of equal ones the first; what is not a number, or -inf, is none."""
    least = -np.inf
    if (
        len(scores) > n_first * PEAK_OF
    ):  # as many stretches have a score of `least` or more, so there are enough of them
        peaks = scores[: len(scores) // PEAK_OF * PEAK_OF].reshape(-1, PEAK_OF).max(1)
        least = np.partition(np.where(np.isnan(peaks), -np.inf, peaks), -n_first)[-n_first]
    known = np.flatnonzero(scores >= least if least > -np.inf else scores > -np.inf)
    if len(known) > n_first:
        known = known[scores[known] >= np.partition(scores[known], -n_first)[-n_first]]
    return known[np.argsort(-scores[known], kind="stable")][:n_first]


def false_discoveries(score: float, rays: Float[ndarray, " n"], controls: Float[ndarray, " m"]) -> float | None:
    """Which share of the rays with that score or more chance alone may have brought; None without controls, or rays."""
    n_found, n_by_chance = int((rays >= score).sum()), int((controls >= score).sum())
    if not len(controls) or not n_found:
        return None
    return min(1.0, len(rays) / len(controls) * n_by_chance / n_found)


def runs(values: Int[ndarray, " n"]) -> Iterator[tuple[int, slice]]:
    """The stretches of equal values, in their order.

    Example: runs([0, 0, 1]) -> (0, slice(0, 2)), (1, slice(2, 3))
    """
    starts = np.flatnonzero(np.diff(values)) + 1
    bounds = [0, *starts.tolist(), len(values)]
    for start, end in itertools.pairwise(bounds):
        if start < end:
            yield int(values[start]), slice(start, end)
