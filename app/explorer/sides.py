"""Vectors of one side read out: the residual stream's as tokens, any other by their own entries.

Runs in the worker's thread. Knows nothing of terms and pages.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np

from app.explorer import readability
from app.explorer.bench import KEPT_TOKENS, Arrays, Bench
from app.explorer.tables import readout_arrays
from app.explorer.work import joined
from app.models.selection import selected

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.matrix import Side

AT_ONCE = 512
"""Vectors read out in one step: others may be served between two."""


def read_side(bench: Bench, side: "Side", vectors: "Tensor") -> Generator[tuple[int, int], None, Arrays]:
    """Both ends of each vector and the spread of its scores, one row each. Says (done, total) between its steps."""
    parts = []
    for start in range(0, max(1, len(vectors)), AT_ONCE):
        yield start, len(vectors)
        parts.append(_read(bench, side, vectors[start : start + AT_ONCE]))
    return joined(parts)


def _read(bench: Bench, side: "Side", vectors: "Tensor") -> Arrays:
    import torch

    from app.core.entries import read_entries
    from app.core.matrix import Space

    if side.space is Space.RESIDUAL:
        return readability.read(bench, side.name, vectors)
    known = None
    if side.space is Space.VOCABULARY:
        known = torch.from_numpy(np.flatnonzero(selected(bench.model.vocabulary, bench.selection)))
    return readout_arrays([read_entries(vectors, known, KEPT_TOKENS)])
