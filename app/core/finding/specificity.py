"""Specificity: how much more a reader reads a written vector than a random direction, whatever its own strength.

`CS = sqrt(d) ||v W|| / ||W||_F` of a unit vector v and a reader W [d h]: 1 in the mean square over all directions,
sqrt(d) at most. Knows nothing of heads, layers or the order in which they run.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def specificity(
    vectors: Float[Tensor, "n d_model"], readers: Float[Tensor, "m d_model d_head"]
) -> Float[Tensor, "n m"]:
    """Compute CS of each unit vector and each reader; 0 for a reader that is zero, which reads nothing."""
    found = vectors.new_zeros(len(vectors), len(readers))
    for column, reader in zip(found.T, readers, strict=True):
        length = torch.linalg.vector_norm(reader, dtype=torch.float64).item()
        if length > 0:
            column.copy_(torch.linalg.vector_norm(vectors @ reader, dim=1) * (math.sqrt(vectors.shape[1]) / length))
    return found
