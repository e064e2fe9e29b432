"""ICA basis: independent components of a matrix's samples by FastICA (Hyvärinen and Oja 2000), with scikit-learn.

The samples less their mean are projected on their strongest principal components and whitened; then the rotation is
sought that makes their coordinates, the sources, as little like Gaussians as can be (parallel, log cosh). With all
principal components the terms and the mean sum to the matrix. All samples take part. Knows nothing of models or tokens.

The order of the samples changes nothing but their own side. numpy does the products, so torch's threads change nothing.
"""

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float32, Float64

from app.core.basis import Fitting, Parameters
from app.core.decomposition import Decomposition, is_present, orient_terms
from app.core.matrix import Matrix
from app.core.steps import Steps

ITERATIONS = 200
"""Iterations at most: samples without any structure never converge."""
AT_ONCE = 4
"""Iterations in one call: the library inverts the result of each call, which takes as long as an iteration."""
STILL = 1e-5
"""Convergence: largest `1 - cosine` of a direction with itself before the last iteration."""
ROWS = 2**12
"""Samples held in float64 at a time."""


def decompose(matrix: Matrix, parameters: Parameters) -> Fitting:
    """Compute the sources by falling excess kurtosis, skewed to the positive; the seed starts the rotation."""
    samples = matrix.samples().cpu().float().numpy()
    mean = samples.mean(axis=0, dtype=np.float64)
    strength, principal = yield from _principal_directions(samples, mean, parameters["components"])
    (n, d), k = samples.shape, len(strength)
    if k == 0:
        return _build_terms(matrix, np.zeros((0, n), np.float32), np.zeros((0, d)), mean)
    white = np.empty((k, n), np.float32)
    for own in _blocks(n):
        yield 0, ITERATIONS
        white[:, own] = (principal / strength * np.sqrt(n)).T @ (samples[own] - mean).T
    # The start is drawn in the stream, so that it does not depend on the signs of the principal directions.
    start = np.random.RandomState(parameters["seed"]).standard_normal((k, d)) @ principal
    rotation = yield from _fit_rotation(white, start.astype(np.float32))
    mixing = (rotation * strength / np.sqrt(n)) @ principal.T
    return _build_terms(matrix, rotation.astype(np.float32) @ white, mixing, mean)


def _principal_directions(
    samples: Float32[np.ndarray, "n d"], mean: Float64[np.ndarray, " d"], most: int
) -> Steps[tuple[Float64[np.ndarray, " k"], Float64[np.ndarray, "d k"]]]:
    """Compute singular values and directions (columns) of the samples less their mean, those that exceed rounding."""
    n, d = samples.shape
    gram = np.zeros((d, d))
    for own in _blocks(n):
        yield 0, ITERATIONS
        centred = samples[own] - mean
        gram += centred.T @ centred
    squares, directions = np.linalg.eigh(gram)
    strength = np.sqrt(squares.clip(min=0))[::-1]
    # Equal samples less their mean leave the rounding of that mean, so strengths are compared with its size too.
    whole = torch.from_numpy(np.concatenate([[np.linalg.norm(mean) * n**0.5], strength]))
    k = min(most, int(is_present(whole, d)[1:].sum()))
    return strength[:k], directions[:, ::-1][:, :k]


def _fit_rotation(
    white: Float32[np.ndarray, "k n"], start: Float32[np.ndarray, "k k"]
) -> Steps[Float64[np.ndarray, "k k"]]:
    """Fit the unmixing matrix of white samples, orthogonal to float64's digits."""
    from sklearn.decomposition import fastica
    from sklearn.exceptions import ConvergenceWarning

    unmixing = start
    for done in range(0, ITERATIONS, AT_ONCE):
        yield done, ITERATIONS
        with warnings.catch_warnings():
            # Each call runs only a few iterations, and samples without structure never converge.
            warnings.simplefilter("ignore", ConvergenceWarning)
            _, unmixing, _, taken = fastica(
                white.T,
                whiten=False,
                w_init=unmixing,
                max_iter=AT_ONCE,
                tol=STILL,
                compute_sources=False,
                return_n_iter=True,
            )
        if taken < AT_ONCE:
            break
    U, _, Vh = np.linalg.svd(unmixing.astype(np.float64))
    return np.asarray(U @ Vh)


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + ROWS) for start in range(0, n, ROWS))


def _build_terms(
    matrix: Matrix,
    sources: Float32[np.ndarray, "k n"],
    mixing: Float64[np.ndarray, "k d"],
    mean: Float64[np.ndarray, " d"],
) -> Decomposition:
    """Build the terms by falling excess kurtosis, each with the sign that skews its source to the positive."""
    n, lengths = sources.shape[1], [np.linalg.norm(side, axis=1, keepdims=True) for side in (sources, mixing)]
    of_samples, of_stream = sources / lengths[0], mixing / lengths[1]
    # The mean is zero and the squares sum to one.
    kurtosis = n * np.sum(of_samples**4, axis=1, dtype=np.float64) - 3
    sign = np.where(np.sum(of_samples**3, axis=1, dtype=np.float64) < 0, -1, 1)[:, None]
    order = np.argsort(-kurtosis, kind="stable")
    found = (
        (of_samples * sign)[order],
        (lengths[0] * lengths[1])[order, 0],
        (of_stream * sign)[order],
        kurtosis[order],
        mean,
    )
    return orient_terms(matrix, *(torch.from_numpy(numbers).float() for numbers in found))
