"""Skewness and kurtosis of scores, from nothing but their counts in equal bins.

Moments of the bins' middles, with Sheppard's corrections for the spread within a bin (W. F. Sheppard, 1898): in units
of a bin's width `m2 - 1/12` and `m4 - m2/2 + 7/240`; the third moment needs none. They suppose a smooth spread that
falls off at both ends, as the scores of a vocabulary do. Knows nothing of tokens.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

LEAST = 0.5
"""Smallest standard deviation in bin widths: narrower scores lie in too few bins for their moments to be told."""


class Moments(NamedTuple):
    """The shape of n spreads; 0 and 0 for the normal distribution."""

    skewness: Float64[np.ndarray, " n"]
    """Positive where the long tail is at the high scores."""
    kurtosis: Float64[np.ndarray, " n"]
    """Kurtosis in excess of the normal distribution's."""


def moments(counts: Int[np.ndarray, "n bins"], low: Float[np.ndarray, " n"], high: Float[np.ndarray, " n"]) -> Moments:
    """Compute skewness and excess kurtosis of scores counted in equal bins from `low` to `high`.

    0 where all scores are equal; nan where there are none, or where the bins are too wide to tell: one token so far out
    that all others are in few of them. Off from the moments of the scores themselves, at most, in 48 bins, for five
    samples of 50,000 each: 0.002 and 0.005 for normal scores, 0.04 and 0.14 for exponential ones (whose skewness is 2
    and kurtosis 6: 2%), 0.008 and 0.1 for Student's t with 5 degrees of freedom (2%), 0.1 and 10% with 3.
    """
    counts = counts.astype(np.float64)
    middles = np.arange(counts.shape[1]) + 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = counts / counts.sum(axis=1, keepdims=True)
        off = middles - (shares * middles).sum(axis=1, keepdims=True)
        m2, m3, m4 = ((shares * off**power).sum(axis=1) for power in (2, 3, 4))
        variance = m2 - 1 / 12
        variance = np.where(variance >= LEAST**2, variance, np.nan)
        skewness = m3 / variance**1.5
        kurtosis = (m4 - m2 / 2 + 7 / 240) / variance**2 - 3
    equal = (low == high) & (counts.sum(axis=1) > 0)
    return Moments(np.where(equal, 0.0, skewness), np.where(equal, 0.0, kurtosis))
