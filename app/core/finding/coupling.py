"""Coupling: how specifically a circuit reads what is written, by the singular directions on either side of it.

A circuit M with the singular values s_j reads the unit vectors u_j. A written unit vector v has `CS = sqrt(d) ||v M|| /
||M||_F`, which is `sqrt(d sum_j s_j^2 (v u_j)^2 / sum_j s_j^2)`. Knows no head. Imports no torch.
"""

import math

import numpy as np
from jaxtyping import Float, Float64


def specificities(
    cosines: Float[np.ndarray, "n m"], strength: Float[np.ndarray, " m"], d_model: int
) -> Float64[np.ndarray, " n"]:
    """Compute CS of each written vector, by its cosines with the directions that the circuit reads.

    `strength`: their singular values. 0 for a circuit of zeros.
    """
    shares = np.square(cosines.astype(np.float64)) @ _energy_shares(strength)
    return np.asarray(np.sqrt(d_model * shares))


def combine_specificities(specificities: Float[np.ndarray, " n"], strength: Float[np.ndarray, " n"]) -> float:
    """Combine the CS of a matrix's directions, by their singular values, to that of all it writes: root mean square.

    Example: combine_specificities([3, 1], [1, 1]) -> 2.24
    """
    return math.sqrt(float(np.square(specificities.astype(np.float64)) @ _energy_shares(strength)))


def _energy_shares(strength: Float[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
    squares = np.square(strength.astype(np.float64))
    return squares / max(float(squares.sum()), 1e-300)
