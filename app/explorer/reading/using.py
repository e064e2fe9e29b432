"""What directions do on text: the artifact of a whole model read for a direction, a head and the model. Knows no torch."""

import math

import numpy as np
from numpy.typing import NDArray

from app.core.address import SIGNS, Address
from app.core.judging.bootstrap import Estimate, Interval
from app.core.using.shares import measure_overuse
from app.explorer.layout import count_first
from app.explorer.pages.using.statistics import DirectionUse, HeadUse, ModelUse, ReferenceText, UsePeak
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays

BEFORE, AFTER = 12, 2
"""Tokens that are told around a place of the text."""
OVERUSE = "ov-overuse"
"""The score of the map that `read_overuse` gives."""


def read_direction_use(
    arrays: Arrays, text: ReferenceText, address: Address, vocabulary: Vocabulary
) -> DirectionUse | None:
    """Read what a direction of a head's OV does; None where its head writes nothing that varies."""
    at = address.layer, address.head, address.index
    used, spread, positive = (float(arrays[name][at]) for name in ("used", "read_spread", "positive"))
    skew = _read_estimate(arrays["skew"][at])
    if not math.isfinite(used) or not math.isfinite(skew.value):
        return None
    return DirectionUse(used, spread, skew, positive, text, _read_peaks(arrays, address, vocabulary))


def _read_peaks(arrays: Arrays, address: Address, vocabulary: Vocabulary) -> tuple[UsePeak, ...]:
    """Read where most arrives of a direction: values of the other sign are no peaks of that end."""
    at = address.layer, address.head, address.index
    mean, spread, n_tokens = float(arrays["mean"][at]), float(arrays["spread"][at]), arrays["ids"].shape[1]
    found: list[UsePeak] = []
    for end, sign in enumerate(SIGNS):
        for value, place in zip(arrays["peaks"][at][end].tolist(), arrays["peaks_at"][at][end].tolist(), strict=True):
            if spread > 0 and (value > 0) == (sign == "p"):
                window, position = divmod(place, n_tokens)
                start = max(0, position - BEFORE)
                ids = arrays["ids"][window, start : position + 1 + AFTER].tolist()
                tokens = tuple(vocabulary.entry(id_) for id_ in ids)
                found.append(UsePeak(sign, (value - mean) / spread, tokens, position - start))
    return tuple(found)


def read_head_use(arrays: Arrays, text: ReferenceText, address: Address, rank: int) -> HeadUse | None:
    """Read how the directions of a head's OV share out what it writes; None where that does not vary."""
    at = address.layer, address.head
    used, even, fitted = (arrays[name][at].astype(float)[:rank] for name in ("used", "even", "fitted"))
    if not rank or not np.isfinite(used).all() or not np.isfinite(fitted).all():
        return None
    first = min(count_first(arrays["even"].shape[-1]), rank)
    windows, tokens = arrays["ids"].shape
    return HeadUse(
        first=first,
        used=_read_estimate(arrays["first"][at]),
        even=float(even[:first].sum()),
        fitted=float(fitted[first - 1]),
        random=first / rank,
        n_tokens=windows * (tokens - 1),
        text=text,
        used_curve=(0.0, *np.cumsum(used).tolist()),
        even_curve=(0.0, *np.cumsum(even).tolist()),
        fitted_curve=(0.0, *fitted.tolist()),
    )


def read_overuse(arrays: Arrays) -> NDArray[np.float64]:
    """Read how much more of the output the first directions of each head make than by their weights, as log2.

    [layers heads]; 0 where a head writes nothing that varies.
    """
    found: NDArray[np.float64] = np.nan_to_num(measure_overuse(*_read_first_shares(arrays)), nan=0.0)
    return found


def read_model_use(arrays: Arrays, text: ReferenceText) -> ModelUse | None:
    """Read how the heads of the model use their first directions; None where no head writes anything that varies."""
    used, even = _read_first_shares(arrays)
    varies = np.isfinite(used) & (used > 0)
    if not varies.any():
        return None
    low, high = (arrays["first"][varies, at].astype(float) for at in (1, 2))
    windows, tokens = arrays["ids"].shape
    used, even = used[varies], even[varies]
    return ModelUse(
        first=count_first(arrays["even"].shape[-1]),
        n_heads=int(varies.sum()),
        used=float(np.median(used)),
        even=float(np.median(even)),
        ratio=_read_estimate(arrays["ratio"]),
        above=float(np.mean(low > even)),
        below=float(np.mean(high < even)),
        n_tokens=windows * (tokens - 1),
        text=text,
    )


def _read_first_shares(arrays: Arrays) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read the share of the first directions on text, and by weights alone; both [layers heads]."""
    even = arrays["even"]
    first = even[..., : count_first(even.shape[-1])].sum(axis=-1, dtype=np.float64)
    return arrays["first"][..., 0].astype(np.float64), first


def _read_estimate(values: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> Estimate:
    value, low, high = (float(each) for each in values)
    return Estimate(value, Interval(low, high) if math.isfinite(low) else None, 0)
