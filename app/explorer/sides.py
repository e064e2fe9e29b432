"""Vectors of one side read out: the residual stream's as tokens, any other by their own entries.

Runs in the worker's thread. Knows nothing of terms and pages.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np

from app.explorer.tables import readout_arrays
from app.explorer.work import KEPT_TOKENS, Arrays, Bench, joined

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
        return bench.tables.read(bench.model, bench.processing, side.name, vectors, KEPT_TOKENS)
    known = torch.from_numpy(np.flatnonzero(bench.model.vocabulary.known)) if side.space is Space.VOCABULARY else None
    return readout_arrays([read_entries(vectors, known, KEPT_TOKENS)])
