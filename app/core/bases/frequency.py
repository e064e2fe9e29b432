"""Frequency basis: directions of a token matrix from frequent to rare, by Gram-Schmidt on means of token groups.

A BPE's token id follows the order of frequency, as what was met more often was merged earlier: groups of equal size
follow each other by id, and each group's direction is the part of its mean that the means of more frequent groups do
not span. The terms add up to the matrix's projection on the span of the means. Knows nothing of models, and no counts.
"""

import torch
from jaxtyping import Float64
from torch import Tensor

from app.core.basis import Fitting, Parameters
from app.core.blocks import blocks
from app.core.decomposition import is_present, orient_terms
from app.core.matrix import Matrix
from app.core.measuring.span import orthonormalise


def decompose(matrix: Matrix, parameters: Parameters) -> Fitting:
    """Compute a term for each of `groups` groups whose mean earlier ones do not span, with the sign of that mean.

    Merit: the group's frequency, estimated as `1 / (1 + mean id)` of its tokens.
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
    directions, which = orthonormalise(means)
    coordinates = samples.new_empty(len(directions), n, dtype=torch.float64)
    for own, block in blocks(samples):
        yield n + own.start, 2 * n
        coordinates[:, own] = directions @ block.T
    strength = coordinates.norm(dim=1)
    kept = is_present(strength, d_model).nonzero().flatten()
    of_samples = (coordinates[kept] / strength[kept, None]).float()
    merit = _mean_frequencies(sizes)[which[kept]].float()
    return orient_terms(matrix, of_samples, strength[kept].float(), directions[kept].float(), merit)


def _mean_frequencies(sizes: Float64[Tensor, " n_groups"]) -> Float64[Tensor, " n_groups"]:
    """Compute `1 / (1 + mean id)` of groups that follow each other."""
    first = sizes.cumsum(0) - sizes
    return 1 / (1 + first + (sizes - 1) / 2)
