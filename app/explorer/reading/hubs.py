"""Tokens that crowd the ends of any direction, by a control's random ones: long vectors, mostly, and no finding.

Knows how a control's tokens are kept (`app.explorer.making.judging.controls`), not how they were read. Imports no torch.
"""

import numpy as np
from numpy.typing import NDArray

FIRST = 10
"""Tokens of a ray that count."""
SHARE = 0.005
"""A hub is among the first of that share of all random rays, or of more."""
TIMES = 10
"""And that many times as often as if all tokens came up equally often: in a small vocabulary each is often there."""


def hubs(ids: NDArray[np.int32], size: int) -> NDArray[np.bool_]:
    """Which of `size` tokens are hubs, by the first tokens [n 2 k] of random directions.

    Example: a token among the first ten at 10 of 2,000 ends is one; in a vocabulary of 300 it takes 667 of them.
    """
    first = ids[:, :, :FIRST].reshape(-1)
    n_rays = ids.shape[0] * ids.shape[1]
    counts = np.bincount(first, minlength=size)
    least = max(SHARE * n_rays, TIMES * len(first) / size)
    is_hub: NDArray[np.bool_] = counts >= least
    return is_hub
