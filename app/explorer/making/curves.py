"""Curves of an artifact: few points of many, close together where a curve is steep. Knows no matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.explorer.making.context import Arrays

CURVE_POINTS = 48
"""Points of the curve of explained energy, about."""


def sample_curve(shares: NDArray[Any], best: NDArray[Any]) -> Arrays:
    """Sample a curve of explained energy by number of terms, and that of the best terms."""
    n = len(shares) - 1
    at = np.unique(np.geomspace(1, n, CURVE_POINTS).round().astype(np.int32)) if n else np.zeros(0, np.int32)
    at = np.concatenate([np.zeros(1, np.int32), at])
    return {
        "explained_at": at,
        "explained": shares[at].astype(np.float32),
        "explained_svd": best[np.minimum(at, len(best) - 1)].astype(np.float32),
    }
