"""Vectors read out and judged: is what a ray reads more alike than what random directions read?

    coherence z p [n 2 3]           of both rays, by LENGTHS, against the control
    forms_z forms_p [n 2]           the same of their forms: each word once, whatever its case and the space around it
    beyond_z beyond_p [n 2]         of those forms that neither begin nor end as one before them
    spelling_z spelling_p [n 2]     how alike the forms are spelt, against the control
    beyond_share [n 2]              how much alike these are beside all forms, each less what random rays have: 1 for as
                                    much; of rays whose forms are alike
    n_forms letterless [n 2]        how many forms there are; whether most tokens have no letter
    reading [n 2]                   what all that makes of a ray: its place in READINGS
    difference_p [n]                is one ray more coherent than the other, beyond what random ones are?

are added to what `Tables.read` gives; nothing where there is no control. Runs in a worker's process or in a job's
process. Knows no pages.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.judging.rays import ALPHA, HEADLINE, readings
from app.explorer.layout import KEPT_TOKENS
from app.explorer.making.context import Arrays, Bench
from app.explorer.making.judging.controls import control, measured, measured_coherence

if TYPE_CHECKING:
    from torch import Tensor

FEW = 4
"""One in so many random rays must have a length for it to be judged by."""


def read(bench: Bench, side: str, vectors: "Tensor", k: int = KEPT_TOKENS) -> Arrays:
    """Readouts of vectors of that side with k tokens a ray, judged by the tokens that artifacts keep."""
    arrays = bench.tables.read(bench.model, bench.processing, side, vectors, max(k, KEPT_TOKENS), bench.selection)
    judged = judgements(bench, side, arrays)
    return {
        name: array[:, :k] if name.endswith(("_ids", "_scores")) else array for name, array in arrays.items()
    } | judged


def read_headlines(bench: Bench, side: str, vectors: "Tensor") -> Arrays:
    """z and p [n 2] of both rays of vectors of that side, as `read` has them at HEADLINE, and no more: sooner.

    nan where there is no control.
    """
    from app.core.judging.significance import standing

    readout = bench.tables.read(bench.model, bench.processing, side, vectors, KEPT_TOKENS, bench.selection)
    by = control(bench, side)
    if by is None:
        return dict.fromkeys(("z", "p"), np.full((len(vectors), 2), np.nan, np.float32))
    found = standing(measured_coherence(by.judge, _tokens(readout)), by.coherence[..., HEADLINE].flatten())
    return {name: values.astype(np.float32) for name, values in zip(("z", "p"), found, strict=True)}


def judgements(bench: Bench, side: str, readout: Arrays) -> Arrays:
    """The numbers of rays that were read out with the bench's selection."""
    from app.core.judging.significance import standing

    by = control(bench, side)
    if by is None:
        return {}
    own = measured(by.judge, _tokens(readout))
    lengths = range(by.coherence.shape[2])
    found = [standing(own["coherence"][..., at], by.coherence[..., at].flatten()) for at in lengths]
    arrays: Arrays = {"coherence": own["coherence"]}
    arrays["z"], arrays["p"] = (np.stack(parts, axis=-1) for parts in zip(*found, strict=True))
    placed = {name: _by_longest(own[name], getattr(by, name)) for name in ("forms", "beyond", "spelling")}
    for name, place in placed.items():
        arrays[f"{name}_z"], arrays[f"{name}_p"] = place.z, place.p
    is_alike = placed["forms"].p < ALPHA  # of what is hardly more than nothing, no share says anything
    arrays["beyond_share"] = placed["beyond"].excess / np.where(is_alike, placed["forms"].excess, np.nan)
    apart, control_apart = (np.abs(np.diff(each[..., HEADLINE])[:, 0]) for each in (own["coherence"], by.coherence))
    arrays["difference_p"] = standing(apart, control_apart)[1]
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    arrays |= {name: own[name] for name in ("n_forms", "letterless")}
    arrays["reading"] = readings(
        arrays["p"][..., HEADLINE],
        *(arrays[name] for name in ("letterless", "n_forms", "forms_p", "spelling_p", "beyond_p", "beyond_share")),
    )
    return arrays


def _tokens(readout: Arrays) -> NDArray[np.int32]:
    """The tokens [n 2 k] that rays are judged by."""
    return np.stack([readout["top_ids"], readout["bottom_ids"]], axis=1)[:, :, :KEPT_TOKENS]


class ControlStanding(NamedTuple):
    """Where rays stand among random ones [n 2]; nan where that cannot be told."""

    z: NDArray[np.float64]
    p: NDArray[np.float64]
    excess: NDArray[np.float64]
    """How much larger their number is than the mean of random rays."""


def _by_longest(values: NDArray[np.float32], random: NDArray[np.float32]) -> ControlStanding:
    """By the longest length that a ray has, beside that of random rays: fewer tokens vary more.

    Lengths that few random rays have are left out: by few, nothing can stand out.
    """
    from app.core.judging.significance import standing

    place = ControlStanding(*np.full((3, *values.shape[:2]), np.nan))
    for at in range(values.shape[2]):
        known = random[..., at][~np.isnan(random[..., at])]
        if FEW * len(known) >= random[..., at].size:
            own = values[..., at]
            found = (*standing(own, known), own - known.mean(dtype=np.float64))
            place = ControlStanding(*(np.where(np.isnan(own), old, new) for old, new in zip(place, found, strict=True)))
    return place
