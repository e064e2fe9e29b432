"""Random subspaces (Haar): the overlap expected of two, and their principal angles. Imports no torch.

`O = ||U1 U2^T||_F^2` of orthonormal rows is the sum of squared cosines of principal angles: `E[O] = r1 r2 / d`, `Var[O]
= 2 r1 r2 (d - r1)(d - r2) / (d^2 (d - 1)(d + 2))`.
"""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

SEED = 3_141_592


def expected_overlap(r1: int, r2: int, d: int) -> tuple[float, float]:
    """Compute mean and standard deviation of O for random subspaces of r1 and r2 dimensions.

    Example: expected_overlap(64, 64, 576) -> (7.11, 0.14)
    """
    variance = 2 * r1 * r2 * (d - r1) * (d - r2) / (d**2 * (d - 1) * (d + 2)) if d > 1 else 0.0
    return r1 * r2 / d, math.sqrt(max(variance, 0.0))


def random_orthonormal_rows(count: int, d: int, seed: int = SEED) -> Float32[np.ndarray, "count d"]:
    """Draw orthonormal rows that span a random subspace; at most d of them."""
    drawn = np.random.default_rng(seed).standard_normal((d, count))
    rows: NDArray[np.float32] = np.ascontiguousarray(np.linalg.qr(drawn)[0].T, np.float32)
    return rows


@lru_cache(maxsize=64)
def random_cosines(r1: int, r2: int, d: int) -> tuple[float, ...]:
    """Draw the cosines of the principal angles of two random subspaces, falling; once, since they scatter little."""
    # One of the two may be fixed: here along the first coordinates.
    cosines: list[float] = np.linalg.svd(random_orthonormal_rows(r2, d)[:, :r1], compute_uv=False).tolist()
    return tuple(min(1.0, each) for each in cosines)
