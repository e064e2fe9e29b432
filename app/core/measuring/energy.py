"""Shares of a matrix's energy `||X||^2` that its first directions explain, from its samples' Gram matrix.

Knows nothing of bases: any vectors of the residual stream will do.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from app.core.gram import limit_threads
from app.core.measuring.span import orthonormalise

Gram = Float64[Tensor, "d d"]


def explained_shares(
    gram: Gram, vectors: Float[Tensor, "n d"], mean: Float[Tensor, " d"] | None = None, n_samples: int = 0
) -> Float64[Tensor, " n+1"]:
    """Compute the shares that the samples' mean and the span of the first i vectors explain, for i from 0.

    Where a mean of `n_samples` samples is given, it counts first, and the vectors explain what is left without it.
    Vectors that others before them span add nothing. A matrix of zeros: 0.
    """
    total = gram.trace()
    gains = gram.new_zeros(len(vectors) + 1)
    if total <= 0:
        return gains
    if mean is not None:
        exact = mean.double()
        gains[0] = n_samples * exact.square().sum()
        gram = gram - n_samples * torch.outer(exact, exact)
    unit, rows = orthonormalise(vectors.double())
    gains[rows + 1] = ((unit @ gram) * unit).sum(dim=1).clamp(min=0)
    return (gains / total).cumsum(0).clamp(max=1)


def svd_explained_shares(gram: Gram) -> Float64[Tensor, " d+1"]:
    """Compute the shares of the singular directions, which explain the most that so many vectors can."""
    with limit_threads(len(gram)):
        energy = torch.linalg.eigvalsh(gram).flip(0).clamp(min=0)
    shares = torch.cat([energy.new_zeros(1), energy.cumsum(0)])
    total = energy.sum()
    return shares / total if total > 0 else shares
