"""Random unit vectors in the span of given ones: what a random rotation of that span makes of any vector in it.

The vectors of an orthonormal basis that was turned at random are each distributed so. Or with each singular direction of a
matrix as likely as its singular value is large: what the matrix makes of random vectors. Knows nothing of what the span
means.
"""

from collections.abc import Sequence
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from app.core.measuring.span import orthonormal


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


def images(factors: Sequence[Float[Tensor, "_ _"]], count: int, seed: int) -> Float[Tensor, "_ d"]:
    """So many random vectors times the product of the factors, of length one: `sum_i s_i n_i v_i` of random normal n.

    Fewer if the product is zero: then none.
    """
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(count, len(factors[0]), generator=generator, dtype=torch.float64)
    found = reduce(torch.matmul, [factor.double() for factor in factors], normal.to(factors[0].device))
    return normalize(found[found.any(dim=1)], dim=1).to(factors[0].dtype)
