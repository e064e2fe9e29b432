"""Shared squares of small factors: `||A B^T||_F^2` of every factor A with every factor B, rows in one space.

For orthonormal rows it is the sum of squared cosines of principal angles. Knows nothing of heads.
"""

from jaxtyping import Float
from torch import Tensor

from app.core.steps import Steps

BLOCK_BYTES = 2**28
"""Bytes of products, or of Gram matrices, that are held at a time."""


def shared_squares(first: Float[Tensor, "n h d"], second: Float[Tensor, "m k d"]) -> Steps[Float[Tensor, "n m"]]:
    """Compute the squares in the cheaper way: by all products [h k], or by Gram matrices where h k > d.

    The latter, `||A B^T||^2 = <A^T A, B^T B>`, lose what is below 1e-7 of `||A||^2 ||B||^2` to rounding in float32.
    """
    return (
        _squares_by_grams(first, second)
        if first.shape[1] * second.shape[1] > first.shape[2]
        else _squares_by_products(first, second)
    )


def _squares_by_products(first: Float[Tensor, "n h d"], second: Float[Tensor, "m k d"]) -> Steps[Float[Tensor, "n m"]]:
    (n, h, d), (m, k, _) = first.shape, second.shape
    columns = second.reshape(m * k, d).T
    found = first.new_zeros(n, m)
    most = max(1, BLOCK_BYTES // (first.element_size() * h * m * k))
    for start in range(0, n, most):
        yield start, n
        some = first[start : start + most]
        products = (some.reshape(-1, d) @ columns).view(len(some), h, m, k)
        found[start : start + most] = products.square_().sum((1, 3))
    return found


def _squares_by_grams(first: Float[Tensor, "n h d"], second: Float[Tensor, "m k d"]) -> Steps[Float[Tensor, "n m"]]:
    n, m, d = len(first), len(second), first.shape[2]
    found = first.new_zeros(n, m)
    most = max(1, BLOCK_BYTES // (first.element_size() * (n + m) * d))
    for start in range(0, d, most):
        yield start, d
        rows = slice(start, start + most)
        ours, theirs = (each[:, :, rows].mT @ each[:, :, start:] for each in (first, second))
        ours[:, :, ours.shape[1] :] *= 2  # the part below the diagonal is equal
        found.addmm_(ours.flatten(1), theirs.flatten(1).T)
    return found.clamp_(min=0)
