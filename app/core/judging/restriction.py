"""Rank-restricted matrices: an MLP's or token matrix restricted at random to the rank of a head's.

With equal ranks, readings do not differ because of the number of dimensions. Neurons are drawn, or a subspace of the
residual stream. Either gives two factors, so that matrices of one size are decomposed together. Knows nothing of how,
nor of what is read.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from app.core.matrix import Matrix
from app.core.measuring.comparison import draw_rows


def random_neurons(matrix: Matrix, h: int, seed: int) -> Matrix:
    """Draw `h` samples of a one-factor matrix, none twice, in their own order: rows of W_out, columns of W_in.

    ValueError if it has fewer.
    """
    samples = matrix.samples()
    _check_rank(h, len(samples), "samples")
    drawn = draw_rows(samples, h, seed)
    ones = torch.eye(h, dtype=drawn.dtype, device=drawn.device)
    return _build_matrix(matrix, ones, drawn)


def random_projection(matrix: Matrix, h: int, seed: int) -> Matrix:
    """Project the samples of a one-factor matrix on a random h-dimensional subspace of the stream: `X Q Q^T`.

    ValueError if the stream has fewer dimensions.
    """
    samples = matrix.samples()
    _check_rank(h, samples.shape[1], "dimensions")
    draw = torch.Generator().manual_seed(seed)
    Q = torch.linalg.qr(torch.randn(samples.shape[1], h, generator=draw, dtype=torch.float64)).Q.to(samples)
    return _build_matrix(matrix, samples @ Q, Q.T)


def _build_matrix(matrix: Matrix, of_samples: Float[Tensor, "n h"], of_stream: Float[Tensor, "h d"]) -> Matrix:
    factors = (of_samples, of_stream) if matrix.is_upright else (of_stream.T, of_samples.T)
    return Matrix(factors, matrix.left, matrix.right)


def _check_rank(h: int, most: int, noun: str) -> None:
    if not 0 < h <= most:
        raise ValueError(f"a matrix with {most} {noun} cannot be cut down to {h}")
