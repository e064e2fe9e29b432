"""A matrix cut down at random to the rank of a head's: what is read in the rest owes nothing to the number of dimensions.

Neurons are drawn, or a subspace of the residual stream. Either gives two factors, so that those of one size are taken
apart together. Knows nothing of how, nor of what is read.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from app.core.matrix import Matrix
from app.core.measuring.comparison import drawn_rows


def random_neurons(matrix: Matrix, h: int, seed: int) -> Matrix:
    """So many of the samples of a matrix of one factor, none twice, in their own order: rows of W_out, columns of W_in.

    ValueError if it has fewer.
    """
    samples = matrix.samples()
    _check(h, len(samples), "samples")
    drawn = drawn_rows(samples, h, seed)
    ones = torch.eye(h, dtype=drawn.dtype, device=drawn.device)
    return _made_of(matrix, ones, drawn)


def random_projection(matrix: Matrix, h: int, seed: int) -> Matrix:
    """The samples of a matrix of one factor as seen in a random h-dimensional subspace of the stream: `X Q Q^T`.

    ValueError if the stream has fewer dimensions.
    """
    samples = matrix.samples()
    _check(h, samples.shape[1], "dimensions")
    draw = torch.Generator().manual_seed(seed)
    Q = torch.linalg.qr(torch.randn(samples.shape[1], h, generator=draw, dtype=torch.float64)).Q.to(samples)
    return _made_of(matrix, samples @ Q, Q.T)


def _made_of(matrix: Matrix, of_samples: Float[Tensor, "n h"], of_stream: Float[Tensor, "h d"]) -> Matrix:
    factors = (of_samples, of_stream) if matrix.is_upright else (of_stream.T, of_samples.T)
    return Matrix(factors, matrix.left, matrix.right)


def _check(h: int, most: int, noun: str) -> None:
    if not 0 < h <= most:
        raise ValueError(f"a matrix with {most} {noun} cannot be cut down to {h}")
