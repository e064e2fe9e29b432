"""Random unit vectors in the span of given ones: the images of any vector of it under random rotations.

The vectors of a randomly rotated orthonormal basis are each distributed so. Or with each singular direction of a matrix
as likely as its singular value is large: the images of random vectors under the matrix. Knows nothing of what the span
means.
"""

from collections.abc import Sequence
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from app.core.measuring.span import orthonormalise


def draw_in_span(rows: Float[Tensor, "n d"], count: int, seed: int) -> Float[Tensor, "count d"]:
    """Draw independent unit vectors of the rows' span, every direction in it equally likely.

    The same for the same rows and seed. ValueError if the rows span nothing.
    """
    unit, _ = orthonormalise(rows.double())
    if not len(unit):
        raise ValueError(f"{len(rows)} rows of {rows.shape[1]} span nothing that could be turned")
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(count, len(unit), generator=generator, dtype=torch.float64)
    return normalize(normal.to(unit.device) @ unit, dim=1).to(rows.dtype)


def draw_images(factors: Sequence[Float[Tensor, "_ _"]], count: int, seed: int) -> Float[Tensor, "_ d"]:
    """Multiply random vectors by the product of the factors, to length one: `sum_i s_i n_i v_i` of random normal n.

    No rows if the product is zero.
    """
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(count, len(factors[0]), generator=generator, dtype=torch.float64)
    found = reduce(torch.matmul, [factor.double() for factor in factors], normal.to(factors[0].device))
    return normalize(found[found.any(dim=1)], dim=1).to(factors[0].dtype)
