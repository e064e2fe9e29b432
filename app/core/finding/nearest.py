"""Nearest rays to a few tokens, and how many would be as near by chance.

A token is a unit vector `e` of its table, less the table's mean and its first components; tokens asked
for together are `q = sum_i w_i e_i` at unit length. A ray is a vector of the residual stream and a sign, with the first
20 tokens that it reads or writes:

- theme: the mean of `e . q` over the ray's tokens, how alike its tokens are to those asked for;
- alignment: the product of its unit vector with `q`;
- `app.core.finding.expectation` says how many would be so aligned by chance;
- the false discovery rate of all rays with a theme of s or more is at most
  `(n_rays / n_control) (controls with s or more) / (rays with s or more)`, by random directions read in the same way.

Knows no file, no model and no word.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32, Int, Int32
from numpy import ndarray

ROWS = 2_048
"""Rays whose similarities are gathered at a time: they stay in a processor's cache."""
PEAK_OF = 64
"""Scores in one stretch: the largest of each stretch bounds the largest of all from below."""
TINY = 1e-6
"""Length below which a sum of unit vectors has no direction."""


def combine_units(units: Float[ndarray, "k d"], weights: Float[ndarray, " k"]) -> Float[ndarray, " d"] | None:
    """Sum the vectors by weight, at unit length; None where they cancel.

    Example: combine_units([[1, 0], [0, 1]], [1, -1]) -> [0.71, -0.71]
    """
    total = weights.astype(np.float64) @ units.astype(np.float64)
    length = float(np.linalg.norm(total))
    return None if length < TINY else (total / length).astype(np.float32)


def themes(similarities: Float32[ndarray, " more"], ids: Int32[ndarray, "n 2 k"]) -> Float32[ndarray, "n 2"]:
    """Compute the mean similarity of each ray's tokens, of + and of -; id -1, no token, reads the last similarity.

    Example: themes([0.5, 0.25, 0], [[[0, 1], [0, -1]]]) -> [[0.375, 0.25]]
    """
    n, signs, k = ids.shape
    share = np.full(k, 1 / k, np.float32)
    found = np.empty((n, signs), np.float32)
    for start in range(0, n, ROWS):
        taken = np.take(similarities, ids[start : start + ROWS].reshape(-1, k), mode="wrap")
        np.matmul(taken, share, out=found[start : start + ROWS].reshape(-1))
    return found


def find_largest(scores: Float[ndarray, " n"], n_first: int) -> Int[ndarray, " k"]:
    """Find the places of the largest scores, the largest first, of equal ones the first; nan and -inf are left out."""
    least = -np.inf
    if len(scores) > n_first * PEAK_OF:  # n_first stretches have a score of `least` or more, so enough scores remain
        peaks = scores[: len(scores) // PEAK_OF * PEAK_OF].reshape(-1, PEAK_OF).max(1)
        least = np.partition(np.where(np.isnan(peaks), -np.inf, peaks), -n_first)[-n_first]
    known = np.flatnonzero(scores >= least if least > -np.inf else scores > -np.inf)
    if len(known) > n_first:
        known = known[scores[known] >= np.partition(scores[known], -n_first)[-n_first]]
    return known[np.argsort(-scores[known], kind="stable")][:n_first]


def false_discovery_rate(
    score: float, rays: Float[ndarray, " n"], controls: Float[ndarray, " m"], n_compared: int | None = None
) -> float | None:
    """Estimate the share of the rays with that score or more that is due to chance; None without controls, or rays.

    `n_compared`: the number of rays that these were picked from by a test that the controls did not take, such as being
    readable; None: all of them are there.
    """
    n_found, n_by_chance = int((rays >= score).sum()), int((controls >= score).sum())
    if not len(controls) or not n_found:
        return None
    return min(1.0, (n_compared or len(rays)) / len(controls) * n_by_chance / n_found)


def iterate_runs(values: Int[ndarray, " n"]) -> Iterator[tuple[int, slice]]:
    """Yield the stretches of equal values, in order.

    Example: iterate_runs([0, 0, 1]) -> (0, slice(0, 2)), (1, slice(2, 3))
    """
    starts = np.flatnonzero(np.diff(values)) + 1
    bounds = [0, *starts.tolist(), len(values)]
    for start, end in itertools.pairwise(bounds):
        if start < end:
            yield int(values[start]), slice(start, end)
