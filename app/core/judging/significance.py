"""Significance of values: z and p among a control's. Knows nothing of what is measured."""

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

LOW, HIGH, BINS = -4.0, 8.0, 48
"""Range and bins of the distributions of z; values beyond are counted in the last bin of their side."""


def compare_to_control(
    values: Float[ndarray, "*shape"], control: Float[ndarray, " n_control"]
) -> tuple[Float[ndarray, "*shape"], Float[ndarray, "*shape"]]:
    """Compute z and the empirical one-sided p of each value: `(1 + number of controls as large) / (1 + n_control)`.

    nan for nan, and everywhere if fewer than two controls are numbers; controls that are nan do not count. Where all
    controls are equal, z is nan.
    """
    known = np.sort(control[~np.isnan(control)].astype(np.float64))
    if len(known) < 2:
        return np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    exact, spread = values.astype(np.float64), known.std(ddof=1)
    # Not tested by the spread, which may be a rounding error for equal numbers.
    z = (exact - known.mean()) / spread if known[0] < known[-1] else np.full(values.shape, np.nan)
    as_large = len(known) - np.searchsorted(known, exact, side="left")
    return z, np.where(np.isnan(exact), np.nan, (1 + as_large) / (1 + len(known)))


def count_z(z: Float[ndarray, " n"]) -> Int64[ndarray, " bins"]:
    """Count the numbers in each of BINS from LOW to HIGH; nan in none."""
    known = z[np.isfinite(z)].astype(np.float64)
    places = ((known - LOW) * (BINS / (HIGH - LOW))).astype(np.int64)
    return np.bincount(places.clip(0, BINS - 1), minlength=BINS)
