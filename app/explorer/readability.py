"""Vectors read out and judged: is what a ray reads more alike than what random directions read?

    coherence z p [n 2 3]                      of both rays, by LENGTHS, against the control
    spelling spelling_z spelling_p [n 2]       how alike the tokens are written, against the control
    difference_p [n]                           is one ray more coherent than the other, beyond what random ones are?

are added to what `Tables.read` gives; nothing where there is no control. Runs in the worker's thread or in a job's
process. Knows no pages.
"""

from typing import TYPE_CHECKING

import numpy as np

from app.core.rays import HEADLINE
from app.explorer.bench import KEPT_TOKENS, Arrays, Bench
from app.explorer.controls import control, measured

if TYPE_CHECKING:
    from torch import Tensor


def read(bench: Bench, side: str, vectors: "Tensor", k: int = KEPT_TOKENS) -> Arrays:
    """Readouts of vectors of that side with k tokens a ray, judged by the tokens that artifacts keep."""
    arrays = bench.tables.read(bench.model, bench.processing, side, vectors, max(k, KEPT_TOKENS), bench.selection)
    judged = judgements(bench, side, arrays)
    return {
        name: array[:, :k] if name.endswith(("_ids", "_scores")) else array for name, array in arrays.items()
    } | judged


def judgements(bench: Bench, side: str, readout: Arrays) -> Arrays:
    """The numbers of rays that were read out with the bench's selection."""
    from app.core.significance import standing

    by = control(bench, side)
    if by is None:
        return {}
    ids = np.stack([readout["top_ids"], readout["bottom_ids"]], axis=1)[:, :, :KEPT_TOKENS]
    arrays = measured(by.table, by.words, by.traits, ids)
    lengths = range(by.coherence.shape[2])
    found = [standing(arrays["coherence"][..., at], by.coherence[..., at].flatten()) for at in lengths]
    arrays["z"], arrays["p"] = (np.stack(parts, axis=-1) for parts in zip(*found, strict=True))
    arrays["spelling_z"], arrays["spelling_p"] = standing(arrays["spelling"], by.spelling.flatten())
    apart, control_apart = (np.abs(np.diff(each[..., HEADLINE])[:, 0]) for each in (arrays["coherence"], by.coherence))
    arrays["difference_p"] = standing(apart, control_apart)[1]
    return {name: array.astype(np.float32) for name, array in arrays.items()}
