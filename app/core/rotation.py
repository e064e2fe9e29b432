"""Random unit vectors in the span of given ones: what a random rotation of that span makes of any vector in it.

The vectors of an orthonormal basis that was turned at random are each distributed so. Knows nothing of what the span
means.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from app.core.span import orthonormal


def rotated(rows: Float[Tensor, "n d"], count: int, seed: int) -> Float[Tensor, "count d"]:
    """So many unit vectors of the rows' span, independent, no direction in it more likely than another.

    The same for the same rows and seed. ValueError if the rows span nothing.
    """
    unit, _ = orthonormal(rows.double())
    if not len(unit):
        raise ValueError(f"{len(rows)} rows of {rows.shape[1]} span nothing that could be turned")
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(count, len(unit), generator=generator, dtype=torch.float64)
    return normalize(normal.to(unit.device) @ unit, dim=1).to(rows.dtype)
