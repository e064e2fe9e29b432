"""How specifically a circuit reads what is written, by the singular directions on either side of it.

A circuit with the singular values s_j reads the unit vectors u_j. `CS = sqrt(d) ||v M|| / ||M||_F` of a unit vector v that
is written, M the circuit, is `sqrt(d sum_j s_j^2 (v u_j)^2 / sum_j s_j^2)`. Knows no head. Imports no torch.
"""

import math

import numpy as np
from jaxtyping import Float, Float64


def specificities(
    cosines: Float[np.ndarray, "n m"], strength: Float[np.ndarray, " m"], d_model: int
) -> Float64[np.ndarray, " n"]:
    """CS of each vector that is written, by its cosines with the directions that the circuit reads; 0 for a circuit of zeros.

    `strength`: their singular values.
    """
    shares = np.square(cosines.astype(np.float64)) @ _shares(strength)
    return np.asarray(np.sqrt(d_model * shares))


def together(specificities: Float[np.ndarray, " n"], strength: Float[np.ndarray, " n"]) -> float:
    """CS of all that a matrix writes, by those of its directions and their singular values: their mean square's root.

    Example: together([3, 1], [1, 1]) -> 2.24
    """
    return math.sqrt(float(np.square(specificities.astype(np.float64)) @ _shares(strength)))


def _shares(strength: Float[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
    squares = np.square(strength.astype(np.float64))
    return squares / max(float(squares.sum()), 1e-300)
