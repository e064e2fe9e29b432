"""Reversed pairs as a control: how many writers and readers would be as specific if they could not compose.

The control are pairs in the wrong order: written later, read earlier. They have the same geometry and cannot compose.
At the same distance in layers their rate, divided by that of pairs in the right order, estimates which share of the
latter means nothing. It is at most that: a feature may be written late and read early for its own sake.

Counts are of CS in bins of STEP from FLOOR on; the last bin is open. Knows nothing of weights. Imports no torch.
"""

import numpy as np
from jaxtyping import Float, Float64, Int64

FLOOR = 2.0
"""Lowest CS that is counted or listed: one pair in a hundred is as specific."""
STEP = 0.1
BINS = 141
"""Bins up to a CS of 16; the largest measured is 13."""


def count_bins(specificities: Float[np.ndarray, "*shape"]) -> Int64[np.ndarray, " bins"]:
    """Count the specificities in each bin."""
    above = specificities[specificities >= FLOOR]
    return np.bincount(bin_of(above), minlength=BINS)


def bin_of(specificities: Float[np.ndarray, "*shape"]) -> Int64[np.ndarray, "*shape"]:
    """Find the bin of each; 0 for those below FLOOR, too."""
    # Add a rounding error, so that 2.3 is in the bin that begins there.
    return np.floor((specificities.astype(np.float64) - FLOOR) / STEP + 1e-6).astype(np.int64).clip(0, BINS - 1)


def false_shares(
    counts: Int64[np.ndarray, "layers layers bins"], pairs: Int64[np.ndarray, "layers layers"]
) -> Float64[np.ndarray, "distances bins"]:
    """Estimate the share of pairs in the right order, at least so specific, that means nothing: at most 1.

    `counts` and `pairs` are [layer that writes, layer that reads]. Row 0 is distance 1. The share of a list that ends
    higher is never larger; nan where there is nothing to estimate from.
    """
    n_layers = len(pairs)
    at_least = counts[..., ::-1].cumsum(axis=-1)[..., ::-1]
    shares = np.full((max(n_layers - 1, 0), counts.shape[-1]), np.nan)
    for distance in range(1, n_layers):
        early = np.arange(n_layers - distance)
        right, wrong = (early, early + distance), (early + distance, early)
        n_right, n_wrong = pairs[right].sum(), pairs[wrong].sum()
        if not n_right or not n_wrong:
            continue
        rates = at_least[right].sum(axis=0) / n_right, at_least[wrong].sum(axis=0) / n_wrong
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(rates[0] > 0, np.minimum(rates[1] / rates[0], 1.0), np.nan)
        shares[distance - 1] = np.fmin.accumulate(found)
    return shares
