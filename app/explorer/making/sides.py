"""Vectors of a side read out: the residual stream's as tokens, any other by their own entries.

Runs in a worker's process or a job's. Knows nothing of terms and pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from app.core.steps import Steps
from app.explorer.layout import KEPT_TOKENS
from app.explorer.making.context import Arrays, Bench
from app.explorer.making.judging import readability
from app.explorer.making.tables import readout_arrays
from app.explorer.view import End
from app.models.selection import selected

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.matrix import Side

AT_ONCE = 512
"""Vectors read out in one step: others may be served between two."""


@dataclass(frozen=True)
class Asked:
    """Vectors of one side that are to be read out, and where their readout belongs."""

    arrays: Arrays
    prefix: str
    """Of the readout's names there."""
    side: "Side"
    vectors: "Tensor"
    end: End = "read"
    """Whose tokens the entries of a token side are of, the embedding's (read) or the unembedding's (write)."""


def read_together(bench: Bench, asked: Sequence[Asked], k: int = KEPT_TOKENS) -> None:
    """Read out all of them, those that are read with one table in one go."""
    from app.core.matrix import Space

    shares: dict[str, list[tuple[Arrays, str, Tensor]]] = {}
    for each in asked:
        if each.side.space is Space.RESIDUAL:
            end = "write" if each.side.name == "write" else "read"
            shares.setdefault(end, []).append((each.arrays, each.prefix, each.vectors))
        else:
            readout = _read(bench, each.side, each.vectors, each.end)
            each.arrays.update({f"{each.prefix}_{name}": array for name, array in readout.items()})
    for end, own in shares.items():
        read_into(bench, end, own, k)


def read_into(bench: Bench, side: str, shares: "Sequence[tuple[Arrays, str, Tensor]]", k: int) -> None:
    """Read all vectors in one go, and put each share's readout where it belongs under its prefix."""
    import torch

    vectors = torch.cat([vectors.to(shares[0][2].device) for _, _, vectors in shares])
    readout = readability.read(bench, side, vectors, k)
    start = 0
    for arrays, prefix, own in shares:
        rows = slice(start, start + len(own))
        # Copies: a view would keep the readout of all in memory as long as that of one.
        arrays |= {f"{prefix}_{what}": array[rows].copy() for what, array in readout.items()}
        start += len(own)


def joined(parts: Sequence[Arrays]) -> Arrays:
    """The rows of all parts, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def read_side(bench: Bench, side: "Side", vectors: "Tensor", end: End = "read") -> Steps[Arrays]:
    """Both ends of each vector and the spread of its scores, one row each. Says (done, total) between its steps.

    `end`: whose tokens the entries of a token side are of, the embedding's (read) or the unembedding's (write).
    """
    parts = []
    for start in range(0, max(1, len(vectors)), AT_ONCE):
        yield start, len(vectors)
        parts.append(_read(bench, side, vectors[start : start + AT_ONCE], end))
    return joined(parts)


def _read(bench: Bench, side: "Side", vectors: "Tensor", end: End) -> Arrays:
    from app.core.exact.entries import read_entries
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
