"""The readability of vectors: they are read out, and their tokens compared with those of random directions.

    coherence z p [n 2 3]           of both rays, by LENGTHS, against the control
    forms_z forms_p [n 2]           the same of their forms: each word once, whatever its case and the space around it
    beyond_z beyond_p [n 2]         of those forms that neither begin nor end as one before them
    spelling_z spelling_p [n 2]     how alike the forms are spelt, against the control
    beyond_share [n 2]              how much alike these are beside all forms, each less what random rays have: 1 for as
                                    much; of rays whose forms are alike
    n_forms letterless [n 2]        how many forms there are; whether most tokens have no letter
    reading [n 2]                   what all that makes of a ray: its place in READINGS
    difference_p [n]                is one ray more coherent than the other, beyond what random ones are?

These arrays are added to those of `Tables.read`, if there is a control. Runs in a worker's process or in a job's
process. Knows no pages.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.judging.rays import ALPHA, HEADLINE, classify_rays
from app.explorer.layout import KEPT_TOKENS
from app.explorer.making.context import Arrays, Context
from app.explorer.making.judging.controls import load_control, measure_coherence, measure_rays

if TYPE_CHECKING:
    from torch import Tensor

FEW_RAYS = 4
"""One in so many random rays must have a length for it to be judged by."""


def read_and_judge(context: Context, side: str, vectors: "Tensor", k: int = KEPT_TOKENS) -> Arrays:
    """Read out vectors of that side with k tokens for each ray, and judge them by the tokens that artifacts keep."""
    arrays = context.tables.read(
        context.model, context.processing, side, vectors, max(k, KEPT_TOKENS), context.token_filter
    )
    judged = judge_readouts(context, side, arrays)
    return {
        name: array[:, :k] if name.endswith(("_ids", "_scores")) else array for name, array in arrays.items()
    } | judged


def read_headlines(context: Context, side: str, vectors: "Tensor") -> Arrays:
    """Return z and p [n 2] of both rays of vectors of that side, as `read_and_judge` has them at HEADLINE, and no more, in less
    time.

    Both are nan where there is no control.
    """
    from app.core.judging.significance import compare_to_control

    readout = context.tables.read(context.model, context.processing, side, vectors, KEPT_TOKENS, context.token_filter)
    by = load_control(context, side)
    if by is None:
        return dict.fromkeys(("z", "p"), np.full((len(vectors), 2), np.nan, np.float32))
    found = compare_to_control(
        measure_coherence(by.judge, _judged_tokens(readout)), by.coherence[..., HEADLINE].flatten()
    )
    return {name: values.astype(np.float32) for name, values in zip(("z", "p"), found, strict=True)}


def judge_readouts(context: Context, side: str, readout: Arrays) -> Arrays:
    """Judge rays that were read out with the context's token filter."""
    from app.core.judging.significance import compare_to_control

    by = load_control(context, side)
    if by is None:
        return {}
    own = measure_rays(by.judge, _judged_tokens(readout))
    lengths = range(by.coherence.shape[2])
    found = [compare_to_control(own["coherence"][..., at], by.coherence[..., at].flatten()) for at in lengths]
    arrays: Arrays = {"coherence": own["coherence"]}
    arrays["z"], arrays["p"] = (np.stack(parts, axis=-1) for parts in zip(*found, strict=True))
    placed = {name: _stand_by_longest(own[name], getattr(by, name)) for name in ("forms", "beyond", "spelling")}
    for name, place in placed.items():
        arrays[f"{name}_z"], arrays[f"{name}_p"] = place.z, place.p
    is_alike = placed["forms"].p < ALPHA  # a share of hardly more than nothing says nothing
    arrays["beyond_share"] = placed["beyond"].excess / np.where(is_alike, placed["forms"].excess, np.nan)
    apart, control_apart = (np.abs(np.diff(each[..., HEADLINE])[:, 0]) for each in (own["coherence"], by.coherence))
    arrays["difference_p"] = compare_to_control(apart, control_apart)[1]
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    arrays |= {name: own[name] for name in ("n_forms", "letterless")}
    arrays["reading"] = classify_rays(
        arrays["p"][..., HEADLINE],
        *(arrays[name] for name in ("letterless", "n_forms", "forms_p", "spelling_p", "beyond_p", "beyond_share")),
    )
    return arrays


def _judged_tokens(readout: Arrays) -> NDArray[np.int32]:
    """Return the tokens [n 2 k] that rays are judged by."""
    return np.stack([readout["top_ids"], readout["bottom_ids"]], axis=1)[:, :, :KEPT_TOKENS]


class ControlStanding(NamedTuple):
    """The standing of rays among random ones [n 2]; nan where that cannot be told."""

    z: NDArray[np.float64]
    p: NDArray[np.float64]
    excess: NDArray[np.float64]
    """The excess of a ray's number over the mean of random rays."""


def _stand_by_longest(values: NDArray[np.float32], random: NDArray[np.float32]) -> ControlStanding:
    """Compare each ray by the longest length that it has with random rays of that length: fewer tokens vary more.

    Lengths that few random rays have are left out: nothing can stand out among few.
    """
    from app.core.judging.significance import compare_to_control

    place = ControlStanding(*np.full((3, *values.shape[:2]), np.nan))
    for at in range(values.shape[2]):
        known = random[..., at][~np.isnan(random[..., at])]
        if FEW_RAYS * len(known) >= random[..., at].size:
            own = values[..., at]
            found = (*compare_to_control(own, known), own - known.mean(dtype=np.float64))
            place = ControlStanding(*(np.where(np.isnan(own), old, new) for old, new in zip(place, found, strict=True)))
    return place
