"""Hubs: tokens at the ends of very many random directions, mostly because their vectors are long.

Knows how a control's tokens are laid out (`app.explorer.making.judging.controls`), not how they were read. Imports no
torch.
"""

import numpy as np
from numpy.typing import NDArray

FIRST = 10
"""First tokens of a ray that are counted."""
SHARE = 0.005
"""A hub is among the first tokens of at least this share of all random rays."""
TIMES = 10
"""A hub also comes up at least this many times as often as chance: in a small vocabulary every token is frequent."""


def find_hubs(ids: NDArray[np.int32], size: int) -> NDArray[np.bool_]:
    """Find which of `size` tokens are hubs, by the first tokens [n 2 k] of random directions.

    Example: a token among the first ten at 10 of 2,000 ends is one; in a vocabulary of 300 it takes 667 of them.
    """
    first = ids[:, :, :FIRST].reshape(-1)
    n_rays = ids.shape[0] * ids.shape[1]
    counts = np.bincount(first, minlength=size)
    least = max(SHARE * n_rays, TIMES * len(first) / size)
    is_hub: NDArray[np.bool_] = counts >= least
    return is_hub
