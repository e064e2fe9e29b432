"""How a number changes along an order, such as a matrix's directions by strength: ends, ranks, tenths.

Knows nothing of what was measured, and imports no torch, so that a page needs none.
"""

import numpy as np
from jaxtyping import Float, Float64
from numpy.typing import NDArray

Values = Float[NDArray[np.floating], " n"]
PARTS = 10


def first_minus_last(values: Values) -> float | None:
    """Compute the mean of the first quarter minus that of the last; None for fewer than four values."""
    quarter = len(values) // 4
    return float(values[:quarter].mean() - values[-quarter:].mean()) if quarter else None


def rank_correlation(values: Values) -> float | None:
    """Compute Spearman's correlation of place and value; None for fewer than two values, or equal ones."""
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    return float(np.corrcoef(np.arange(len(values)), _rank_values(values))[0, 1])


def assign_parts(n: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Assign n places to ten equal parts: place i to part `10 i // n`."""
    return np.arange(n) * PARTS // max(n, 1)


def _rank_values(values: Values) -> Float64[NDArray[np.float64], " n"]:
    """Rank the values in rising order; equal values share the mean of their ranks."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Float64[NDArray[np.float64], " n"] = (counts.cumsum() - (counts + 1) / 2)[which]
    return ranks
