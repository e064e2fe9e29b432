"""One-to-one partners: the assignment whose gains have the largest sum. Imports no torch, and nothing of SciPy.

The Hungarian method by shortest augmenting paths (Jonker & Volgenant 1987), one row after the other, O(n^2 m).
"""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray


def best_partners(gains: Float[np.ndarray, "n m"]) -> Int[np.ndarray, " n"]:
    """Assign each row another column so that the gains have the largest sum; -1 for rows without a column.

    Example: best_partners(np.array([[9.0, 8.0], [9.0, 1.0]])) -> [1, 0]
    """
    n, m = gains.shape
    if n > m:
        partners = np.full(n, -1)
        of_columns = best_partners(gains.T)
        partners[of_columns] = np.arange(m)
        return partners
    costs = -gains.astype(np.float64)
    rows, columns = np.zeros(n), np.zeros(m + 1)
    """Dual variables that keep every reduced cost non-negative; the last column stands for none."""
    owner = np.full(m + 1, -1)
    for row in range(n):
        owner[m] = row
        _augment(costs, rows, columns, owner)
    partners = np.full(n, -1)
    for column in range(m):
        if owner[column] >= 0:
            partners[owner[column]] = column
    return partners


def _augment(
    costs: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64], owner: NDArray[np.intp]
) -> None:
    """Give the row that owns the last column one of its own, along the shortest path of swaps."""
    m = len(owner) - 1
    least, before = np.full(m, np.inf), np.full(m, m)
    is_used = np.zeros(m + 1, bool)
    at = m
    while owner[at] >= 0:
        is_used[at] = True
        reduced = costs[owner[at]] - rows[owner[at]] - columns[:m]
        is_better = ~is_used[:m] & (reduced < least)
        least[is_better], before[is_better] = reduced[is_better], at
        following = int(np.where(is_used[:m], np.inf, least).argmin())
        step = least[following]
        rows[owner[is_used]] += step
        columns[is_used] -= step
        least[~is_used[:m]] -= step
        at = following
    while at != m:
        owner[at] = owner[before[at]]
        at = int(before[at])
