"""Vectors of one side read out: the residual stream's as tokens, any other by their own entries.

Runs in the worker's thread. Knows nothing of terms and pages.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np

from app.explorer import readability
from app.explorer.bench import KEPT_TOKENS, Arrays, Bench
from app.explorer.pages import End
from app.explorer.tables import readout_arrays
from app.explorer.work import joined
from app.models.selection import selected

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.matrix import Side

AT_ONCE = 512
"""Vectors read out in one step: others may be served between two."""


def read_side(
    bench: Bench, side: "Side", vectors: "Tensor", end: End = "read"
) -> Generator[tuple[int, int], None, Arrays]:
    """Both ends of each vector and the spread of its scores, one row each. Says (done, total) between its steps.

    `end`: whose tokens the entries of a token side are of, the embedding's (read) or the unembedding's (write).
    """
    parts = []
    for start in range(0, max(1, len(vectors)), AT_ONCE):
        yield start, len(vectors)
        parts.append(_read(bench, side, vectors[start : start + AT_ONCE], end))
    return joined(parts)


def _read(bench: Bench, side: "Side", vectors: "Tensor", end: End) -> Arrays:
    from app.core.entries import read_entries
    from app.core.matrix import Space

    if side.space is Space.RESIDUAL:
        return readability.read(bench, side.name, vectors)
    known = _tokens(bench, end) if side.space is Space.VOCABULARY else None
    return readout_arrays([read_entries(vectors, known, KEPT_TOKENS)])


def _tokens(bench: Bench, end: End) -> "Tensor":
    """The ids of the tokens at that end of the model that the bench's selection lets pass."""
    import torch

    if bench.selection.plain:  # only what the end is read with tells which of its tokens were trained
        return bench.tables.table(bench.model, bench.processing, end, bench.selection).ids.cpu()
    return torch.from_numpy(np.flatnonzero(selected(bench.model.vocabulary, bench.selection)))
