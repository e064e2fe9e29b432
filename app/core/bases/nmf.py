"""NMF basis: parts of a matrix's samples by non-negative factorisation (Lee and Seung 1999), with scikit-learn.

Samples X have both signs. Their positive and negative parts are factorised side by side, `[X+, X-] ~ W [H+, H-]` with W
and H non-negative, and are folded back: `X ~ W (H+ - H-)`, codes of one sign and directions of both. Coordinate descent
(Cichocki and Phan 2009) never raises the error of the parts; that of X is at most sqrt(2) times as large. A part that
both signs share cancels, so there can be fewer terms than components. Knows nothing of models or tokens.

The order of the samples changes nothing but their own side. numpy does the products, so torch's threads change nothing.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from app.core.basis import Fitting, Parameters
from app.core.decomposition import Decomposition, is_present, orient_terms
from app.core.matrix import Matrix
from app.core.steps import Steps

ROUNDS = 200
"""Most updates of all codes and directions."""
WORK = 1.5e11
"""Most multiplications in the rounds' slow part, n k^2 a round: minutes, however large the matrix."""
LEAST_ROUNDS = 10
STILL = 1e-5
"""A round that lowers the error by no more than this share is the last."""
ROWS = 2**13
"""Samples taken at a time."""

Factors = tuple[Float32[np.ndarray, "n k"], Float32[np.ndarray, "k d_parts"]]


def decompose(matrix: Matrix, parameters: Parameters) -> Fitting:
    """Compute the parts by falling strength, codes non-negative; the seed chooses the samples that start the fit."""
    samples = matrix.samples().cpu()
    # Scaled to about one, so that no product of tiny weights is lost.
    scale = float(samples.abs().max()) or 1.0
    parts = _signed_parts(samples, scale)
    chosen = _choose_samples(parts, parameters["components"], parameters["seed"])
    if len(chosen) == 0:
        return _build_terms(matrix, scale, np.zeros((len(parts), 0), np.float32), parts[:0])
    H = parts[chosen]
    H /= np.linalg.norm(H, axis=1, keepdims=True)
    W, H = yield from _fit_parts(parts, H)
    return _build_terms(matrix, scale, W, H)


def _signed_parts(samples: Float[Tensor, "n d"], scale: float) -> Float32[np.ndarray, "n d_parts"]:
    """Split the samples into positive and negative parts, side by side."""
    n, d = samples.shape
    parts = np.empty((n, 2 * d), np.float32)
    for own in _blocks(n):
        scaled = samples[own].float().numpy() / np.float32(scale)
        np.maximum(scaled, 0, out=parts[own, :d])
        np.maximum(-scaled, 0, out=parts[own, d:])
    return parts


def _choose_samples(parts: Float32[np.ndarray, "n d_parts"], most: int, seed: int) -> Int64[np.ndarray, " k"]:
    """Choose samples at random by their places along a random direction; none that is negligible beside the others.

    A place depends on the sample alone, so the order of the samples does not matter.
    """
    chance = np.random.RandomState(seed)
    direction = chance.standard_normal(parts.shape[1])
    heights = np.concatenate([parts[own] @ direction for own in _blocks(len(parts))])
    places = np.argsort(heights, kind="stable")
    places = places[parts.max(axis=1)[places] > np.finfo(np.float32).eps]
    chosen: np.ndarray = places[chance.permutation(len(places))[:most]]
    return chosen


def _fit_parts(parts: Float32[np.ndarray, "n d_parts"], H: Float32[np.ndarray, "k d_parts"]) -> Steps[Factors]:
    """Fit codes and directions, starting from these directions, a round at a time."""
    from sklearn.decomposition import non_negative_factorization

    (n, k), total = (len(parts), len(H)), _count_rounds(len(parts), len(H))
    W = np.empty((n, k), np.float32)
    for own in _blocks(n):
        yield 0, total
        # tol=0: always run the whole round, without a warning that it has not converged.
        W[own] = non_negative_factorization(
            parts[own], H=H, n_components=k, init="custom", update_H=False, max_iter=1, tol=0
        )[0]
    error = _residual_norm(parts, W, H)
    for done in range(total):
        yield done, total
        W, H, _ = non_negative_factorization(parts, W, H, n_components=k, init="custom", max_iter=1, tol=0)
        before, error = error, _residual_norm(parts, W, H)
        if before - error <= STILL * before:
            break
    return W, H


def _count_rounds(n: int, k: int) -> int:
    return min(ROUNDS, max(LEAST_ROUNDS, int(WORK / (n * k**2))))


def _residual_norm(
    parts: Float32[np.ndarray, "n d_parts"], W: Float32[np.ndarray, "n k"], H: Float32[np.ndarray, "k d_parts"]
) -> float:
    """Compute the norm of the difference of parts and product."""
    return float(np.linalg.norm([np.linalg.norm(parts[own] - W[own] @ H) for own in _blocks(len(parts))]))


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + ROWS) for start in range(0, n, ROWS))


def _build_terms(
    matrix: Matrix, scale: float, W: Float32[np.ndarray, "n k"], H: Float32[np.ndarray, "k d_parts"]
) -> Decomposition:
    """Fold both signs back and build the terms by falling strength."""
    d = H.shape[1] // 2
    codes, directions = torch.from_numpy(W).T, torch.from_numpy(H[:, :d] - H[:, d:])
    lengths = [torch.linalg.vector_norm(side, dim=1, dtype=torch.float64) for side in (codes, directions)]
    strength = lengths[0] * lengths[1] * scale
    order = strength.argsort(descending=True, stable=True)
    order = order[is_present(strength[order], d)]
    of_samples, of_stream = (
        (side[order] / length[order, None]).float() for side, length in zip((codes, directions), lengths, strict=True)
    )
    return orient_terms(matrix, of_samples, strength[order].float(), of_stream)
