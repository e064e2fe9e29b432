"""How alike the top tokens of a ray are: mean pairwise cosine of their vectors, the vocabulary's mean removed.

The top tokens of any direction cluster in the space they are read with, so this number means little without a
control; it orders, it proves nothing. Knows no tokens' texts.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from app.core.readout import TokenTable


def coherence(table: TokenTable, ids: Int[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Mean pairwise cosine of the centred vectors of each ray's tokens, k of at least 2."""
    k = ids.shape[1]
    if k < 2:
        raise ValueError(f"coherence needs at least 2 tokens a ray, got {k}")
    centred = table.rows(ids) - table.mean
    unit = torch.nn.functional.normalize(centred.double(), dim=-1)
    # The pairs' sum is the square of the sum without the squares; a vector that is the mean itself counts as 0.
    pairs = unit.sum(dim=1).square().sum(dim=-1) - unit.square().sum(dim=(1, 2))
    return pairs / (k * (k - 1))
