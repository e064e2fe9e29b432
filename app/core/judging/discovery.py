"""False discovery rates: p values adjusted for the number of tests in a list.

Benjamini & Hochberg 1995: `q_(i) = min over j >= i of p_(j) n / j`, p in rising order. Of all with q at most 0.1, no
more than a tenth is expected to be false, for tests that are independent or that err in the same sense. Knows nothing
of what was tested.
"""

import math

import numpy as np
from jaxtyping import Float, Float64

FDR = 0.1
"""The share of false findings that is allowed among those found, whose q is below it."""


def is_found(q: float | None) -> bool:
    """Return whether a test is found: the share of false findings in its list is below FDR. False where q is not known."""
    return q is not None and q < FDR


def q_values(p: Float[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Compute the false discovery rate of the list that ends at each p, over all of `p`; never below the p itself.

    nan is no test: it stays nan and is not counted. ValueError for p outside of 0 to 1.
    """
    tested = ~np.isnan(p)
    values = p[tested].astype(np.float64)
    if ((values < 0) | (values > 1)).any():
        raise ValueError(f"p values lie from 0 to 1, got {values.min()} to {values.max()}")
    order = np.argsort(values)
    steps = values[order] * (len(values) / np.arange(1, len(values) + 1))
    adjusted = np.empty_like(values)
    # From the largest p down; the largest p is its own q, so that none is above 1.
    adjusted[order] = np.minimum.accumulate(steps[::-1])[::-1]
    found = np.full(p.shape, np.nan)
    found[tested] = adjusted
    return found


def count_needed_at_floor(n_tests: int, n_control: int) -> int:
    """Count how many tests must have the smallest possible p, `1 / (n_control + 1)`, before any has a q below FDR.

    Example: count_needed_at_floor(34_522, 4_000) -> 87: of fewer, none can be found with so few controls.
    """
    expected = n_tests / (n_control + 1)
    needed = max(1, math.floor(expected / FDR) - 1)
    while expected / needed >= FDR:
        needed += 1
    return needed
