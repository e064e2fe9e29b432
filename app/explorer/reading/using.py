"""What directions do on text: the artifact of a whole model read for one direction and for one head. Knows no torch."""

import math

import numpy as np

from app.core.address import Address
from app.core.judging.bootstrap import Estimate, Interval
from app.explorer.layout import USE_FIRST
from app.explorer.pages.using import DirectionUse, HeadUse
from app.store.artifacts import Arrays


def read_direction_use(arrays: Arrays, address: Address) -> DirectionUse | None:
    """Read what a direction of a head's OV does; None where its head writes nothing that varies."""
    at = address.layer, address.head, address.index
    used, spread, positive = (float(arrays[name][at]) for name in ("used", "read_spread", "positive"))
    skew = _read_estimate(arrays["skew"][at])
    if not math.isfinite(used) or not math.isfinite(skew.value):
        return None
    return DirectionUse(used, spread, skew, positive)


def read_head_use(arrays: Arrays, address: Address, rank: int) -> HeadUse | None:
    """Read how the directions of a head's OV share out what it writes; None where that does not vary."""
    at = address.layer, address.head
    used, even, fitted = (arrays[name][at].astype(float)[:rank] for name in ("used", "even", "fitted"))
    if not rank or not np.isfinite(used).all() or not np.isfinite(fitted).all():
        return None
    first = min(USE_FIRST, rank)
    windows, tokens = arrays["ids"].shape
    return HeadUse(
        first=first,
        used=_read_estimate(arrays["first"][at]),
        even=float(even[:first].sum()),
        fitted=float(fitted[first - 1]),
        random=first / rank,
        n_tokens=windows * (tokens - 1),
        used_curve=(0.0, *np.cumsum(used).tolist()),
        fitted_curve=(0.0, *fitted.tolist()),
    )


def _read_estimate(values: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> Estimate:
    value, low, high = (float(each) for each in values)
    return Estimate(value, Interval(low, high) if math.isfinite(low) else None, 0)
