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


def partial_rank_correlation(values: Values, others: Values) -> float | None:
    """Compute Spearman's correlation of two numbers whose common place in the order is taken out.

    (r_xy - r_xi r_yi) / sqrt((1 - r_xi^2) (1 - r_yi^2)), i the place. None for fewer than four values, for equal ones, and
    where the place alone gives one of them.
    """
    if len(values) < 4 or np.ptp(values) == 0 or np.ptp(others) == 0:
        return None
    ranks = np.stack([_rank_values(values), _rank_values(others), np.arange(len(values))])
    (_, both, first), (_, _, second), _ = np.corrcoef(ranks)
    left = (1 - first**2) * (1 - second**2)
    return float((both - first * second) / np.sqrt(left)) if left > 1e-9 else None


def assign_parts(n: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Assign n places to ten equal parts: place i to part `10 i // n`."""
    return np.arange(n) * PARTS // max(n, 1)


def _rank_values(values: Values) -> Float64[NDArray[np.float64], " n"]:
    """Rank the values in rising order; equal values share the mean of their ranks."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Float64[NDArray[np.float64], " n"] = (counts.cumsum() - (counts + 1) / 2)[which]
    return ranks
