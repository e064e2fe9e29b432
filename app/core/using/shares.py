"""How a head's directions share its output out: on text, and by weights alone as if the stream were even. numpy only.

`M = diag(s) Cov(a) diag(s)` is the covariance of a head's output in the axes that its directions write to: its trace is
the output's variance, a diagonal entry what one direction makes of it. The axes along which the output really varies
most are M's eigenvectors: mixtures of directions, fitted on one half of the text and scored on the other. Knows no model.
"""

from functools import lru_cache, partial

import numpy as np
from jaxtyping import Float, Float64
from numpy.typing import NDArray

from app.core.judging.bootstrap import Estimate, estimate_from_draws, estimate_statistic, resample_statistic

Vector = Float[NDArray[np.floating], " rank"]
SEED = 0
DRAWN_AXES = 2_000
"""Random axes whose mean is taken."""


def weight_shares(strength: Vector) -> Float64[NDArray[np.float64], " rank"]:
    """Compute each direction's share of the squared strengths: its share of the output if the stream were even."""
    squares = strength.astype(np.float64) ** 2
    total = squares.sum()
    return squares / total if total else squares


def measure_overuse(
    used: Float[NDArray[np.floating], "*n"], even: Float[NDArray[np.floating], "*n"]
) -> Float64[NDArray[np.float64], "*n"]:
    """Measure how far shares on text lie above those of an even stream, as log2; nan where nothing varies."""
    varies = (used > 0) & (even > 0)
    found: NDArray[np.float64] = np.log2(np.where(varies, used, np.nan) / np.where(varies, even, 1.0))
    return found


def output_covariance(
    n: int,
    attended: Float[NDArray[np.floating], "*heads rank"],
    products: Float[NDArray[np.floating], "*heads rank rank"],
    strength: Float[NDArray[np.floating], "*heads rank"],
) -> Float64[NDArray[np.float64], "*heads rank rank"]:
    """Compute M of each head from sums over n positions."""
    mean = attended / n
    covariance = products / n - mean[..., :, None] * mean[..., None, :]
    return np.asarray(strength[..., :, None] * strength[..., None, :] * covariance, np.float64)


def used_shares(
    n: Float[NDArray[np.floating], " clusters"],
    attended: Float[NDArray[np.floating], "clusters rank"],
    squares: Float[NDArray[np.floating], "clusters rank"],
    strength: Vector,
) -> Float64[NDArray[np.float64], " rank"]:
    """Compute each direction's share of the variance of the head's output, from sums of each cluster of positions.

    nan where the output does not vary.
    """
    parts = variances(n.sum(), attended.sum(axis=0), squares.sum(axis=0)) * strength.astype(np.float64) ** 2
    total = parts.sum()
    return parts / total if total else np.full_like(parts, np.nan)


def estimate_first_share(
    k: int,
    n: Float[NDArray[np.floating], " clusters"],
    attended: Float[NDArray[np.floating], "clusters rank"],
    squares: Float[NDArray[np.floating], "clusters rank"],
    strength: Vector,
) -> Estimate:
    """Estimate the share of the output's variance that the first k directions make, with its interval over clusters."""
    return estimate_statistic(_join_sums(n, attended, squares), partial(_share_of_first, k, strength), SEED)


def resample_first_share(
    k: int,
    n: Float[NDArray[np.floating], " clusters"],
    attended: Float[NDArray[np.floating], "clusters rank"],
    squares: Float[NDArray[np.floating], "clusters rank"],
    strength: Vector,
) -> Float64[NDArray[np.float64], " draws"]:
    """Compute the same share of each draw of clusters: the same draws for every head."""
    return resample_statistic(_join_sums(n, attended, squares), partial(_share_of_first, k, strength), SEED)


def estimate_median_ratio(
    used: Float[NDArray[np.floating], " heads"],
    even: Float[NDArray[np.floating], " heads"],
    draws: Float[NDArray[np.floating], "heads draws"],
    n_clusters: int,
) -> Estimate:
    """Estimate the median over heads of a share on text by that of an even stream, with its interval over clusters.

    `draws` has the shares of each draw of clusters. Heads that write nothing that varies do not count; nan if none does.
    """
    varies = np.isfinite(used) & (even > 0)
    if not varies.any():
        return Estimate(float("nan"), None, n_clusters)
    own = even[varies].astype(np.float64)
    medians = np.nanmedian(draws[varies] / own[:, None], axis=0)
    return estimate_from_draws(float(np.median(used[varies] / own)), np.asarray(medians, np.float64), n_clusters)


def _join_sums(
    n: NDArray[np.floating], attended: NDArray[np.floating], squares: NDArray[np.floating]
) -> NDArray[np.float64]:
    return np.concatenate([n[:, None], attended, squares], axis=1).astype(np.float64)


def _share_of_first(k: int, strength: NDArray[np.floating], totals: NDArray[np.float64]) -> NDArray[np.float64]:
    rank = len(strength)
    parts = variances(totals[..., :1], totals[..., 1 : 1 + rank], totals[..., 1 + rank :])
    parts = parts * strength.astype(np.float64) ** 2
    with np.errstate(invalid="ignore"):  # nan where nothing varies
        return np.asarray(parts[..., :k].sum(axis=-1) / parts.sum(axis=-1), np.float64)


def score_fitted_axes(
    halves: Float64[NDArray[np.float64], "halves rank rank"],
) -> Float64[NDArray[np.float64], " rank"]:
    """Compute the share of the output's variance along its first k axes, for each k from 1 on.

    Axes are fitted on one half and scored on the other, both ways; `halves` has M of each.
    """
    curves: list[NDArray[np.float64]] = []
    for fitted, scored in (halves, halves[::-1]):
        axes = np.linalg.eigh(fitted)[1][:, ::-1]
        parts = ((scored @ axes) * axes).sum(axis=0)
        with np.errstate(invalid="ignore"):  # nan where nothing varies
            curves.append(np.cumsum(parts) / parts.sum())
    found: NDArray[np.float64] = np.mean(curves, axis=0)
    return found


@lru_cache
def expect_nearest(rank: int) -> float:
    """Compute the cosine, in size, that a random axis has with the one of `rank` directions that it is most like, on average.

    Example: expect_nearest(64) -> 0.33, about
    """
    drawn = np.abs(np.random.default_rng(SEED).normal(size=(DRAWN_AXES, rank)))
    return float((drawn.max(axis=1) / np.linalg.norm(drawn, axis=1)).mean())


def estimate_skew(
    n: Float[NDArray[np.floating], " clusters"], powers: Float[NDArray[np.floating], "clusters 3"]
) -> Estimate:
    """Estimate the skewness of a coefficient from its power sums: above 0 where its larger values are on the + side."""

    def skewness(totals: NDArray[np.float64]) -> NDArray[np.float64]:
        mean, square, cube = (totals[..., power] / totals[..., 0] for power in (1, 2, 3))
        variance = square - mean**2
        with np.errstate(invalid="ignore", divide="ignore"):  # of a direction that a head of smaller rank does not have
            return np.asarray((cube - 3 * mean * square + 2 * mean**3) / variance**1.5, np.float64)

    return estimate_statistic(np.concatenate([n[:, None], powers], axis=1).astype(np.float64), skewness, SEED)


def variances(
    n: NDArray[np.float64] | np.floating, sums: NDArray[np.float64], squares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute variances from sums over n positions; never below 0."""
    found: NDArray[np.float64] = np.maximum(squares / n - (sums / n) ** 2, 0)
    return found
