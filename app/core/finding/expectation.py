"""Expected number of vectors that are so aligned by chance. Knows nothing of the vectors. Imports no torch.

The cosines of v with vectors anywhere in the stream are about normal with the standard deviation `sqrt(v^T C v)`, C the
mean of their outer products: so many of them reach a given size by chance, on either side.
"""

import math

import numpy as np
from jaxtyping import Float, Float64

SURELY = 0.05
"""An expectation below which an alignment counts as more than chance."""

_erfc = np.frompyfunc(math.erfc, 1, 1)


def expected_count(z: Float[np.ndarray, "*shape"], n: int) -> Float64[np.ndarray, "*shape"]:
    """Compute how many of n normal numbers would be as far from zero as each z: `n * 2 Phi(-|z|)`.

    nan for nan. Example: expected_count([5.0], 122_112) -> [0.07]
    """
    return np.asarray(n * _erfc(np.abs(z.astype(np.float64)) / math.sqrt(2)), np.float64)


def cosine_spread(vectors: Float[np.ndarray, "n d"], moments: Float[np.ndarray, "d d"]) -> Float64[np.ndarray, " n"]:
    """Compute the deviation of each vector's cosines, `sqrt(v^T C v)`.

    `moments`: C, the mean of `u u^T` over the vectors it is compared with. Example: cosine_spread(unit vectors,
    identity / d) -> [1 / sqrt(d), …]
    """
    exact = vectors.astype(np.float64)
    squares = np.einsum("nd,nd->n", exact @ moments.astype(np.float64), exact)
    return np.asarray(np.sqrt(np.maximum(squares, 1e-300)))


def threshold_z(n: int, expectation: float = SURELY) -> float:
    """Compute the z that an expected `expectation` of n normal numbers reach.

    Example: threshold_z(17_280) -> 4.68
    """
    low, high = 0.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if n * math.erfc(middle / math.sqrt(2)) > expectation else (low, middle)
    return high
