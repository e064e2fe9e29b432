"""How a number changes along an order, such as that of a matrix's directions by strength: ends, ranks, tenths.

Knows nothing of what was measured, and no torch, so that a page needs none.
"""

import numpy as np
from jaxtyping import Float, Float64
from numpy.typing import NDArray

Values = Float[NDArray[np.floating], " n"]
PARTS = 10


def first_minus_last(values: Values) -> float | None:
    """Mean of the first quarter minus mean of the last; None for fewer than four."""
    quarter = len(values) // 4
    return float(values[:quarter].mean() - values[-quarter:].mean()) if quarter else None


def rank_correlation(values: Values) -> float | None:
    """Spearman's, of place and value: -1 where values fall all the way; None for fewer than two, or equal ones."""
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    return float(np.corrcoef(np.arange(len(values)), _ranks(values))[0, 1])


def parts(n: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """In which of ten equal parts each of n places lies: place i in part `10 i // n`."""
    return np.arange(n) * PARTS // max(n, 1)


def _ranks(values: Values) -> Float64[NDArray[np.float64], " n"]:
    """Places in rising order; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Float64[NDArray[np.float64], " n"] = (counts.cumsum() - (counts + 1) / 2)[which]
    return ranks
