"""Directions of a token matrix from frequent to rare: Gram-Schmidt on the mean vectors of groups of tokens.

A BPE's token id is about the order of frequency, as what was met more often was merged earlier: groups of equal size
follow each other by id, and each group's direction is what its mean adds to the means of the more frequent ones. The
terms add up to the matrix's projection on the span of the means. Knows nothing of models, and no counts.
"""

import torch
from jaxtyping import Float64
from torch import Tensor

from app.core.basis import Fitting, Parameters
from app.core.blocks import blocks
from app.core.decomposition import is_present, oriented
from app.core.matrix import Matrix
from app.core.measuring.span import orthonormal


def decompose(matrix: Matrix, parameters: Parameters) -> Fitting:
    """One term for each of `groups` groups whose mean is not spanned by those before it, turned towards that mean.

    Merit: the group's frequency, said as `1 / (1 + mean id)` of its tokens.
    """
    samples = matrix.samples()
    n, d_model = samples.shape
    group = torch.arange(n, device=samples.device) * parameters["groups"] // n
    sizes = group.bincount().double()
    means = samples.new_zeros(len(sizes), d_model, dtype=torch.float64)
    for own, block in blocks(samples):
        yield own.start, 2 * n
        means.index_add_(0, group[own], block)
    means /= sizes[:, None]
    directions, which = orthonormal(means)
    coordinates = samples.new_empty(len(directions), n, dtype=torch.float64)
    for own, block in blocks(samples):
        yield n + own.start, 2 * n
        coordinates[:, own] = directions @ block.T
    strength = coordinates.norm(dim=1)
    kept = is_present(strength, d_model).nonzero().flatten()
    of_samples = (coordinates[kept] / strength[kept, None]).float()
    merit = _frequency(sizes)[which[kept]].float()
    return oriented(matrix, of_samples, strength[kept].float(), directions[kept].float(), merit)


def _frequency(sizes: Float64[Tensor, " n_groups"]) -> Float64[Tensor, " n_groups"]:
    """`1 / (1 + mean id)` of groups that follow each other."""
    first = sizes.cumsum(0) - sizes
    return 1 / (1 + first + (sizes - 1) / 2)
