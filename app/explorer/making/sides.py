"""The readout of a side's vectors: the residual stream's as tokens, any other's by their own entries.

Runs in a worker's process or a job's. Knows nothing of terms and pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from app.core.steps import Steps
from app.explorer.layout import KEPT_TOKENS
from app.explorer.making.context import Arrays, Context
from app.explorer.making.judging import readability
from app.explorer.making.tables import readout_arrays
from app.explorer.view import End
from app.models.token_filter import filter_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.matrix import Side

VECTORS_AT_ONCE = 512
"""Vectors read out in one step: the worker may serve others between two steps."""


@dataclass(frozen=True)
class ReadoutRequest:
    """Vectors of one side that are to be read out, and the arrays that their readout joins."""

    arrays: Arrays
    prefix: str
    """The prefix of the readout's names there."""
    side: "Side"
    vectors: "Tensor"
    end: End = "read"
    """The end whose tokens the entries of a token side are, the embedding (read) or the unembedding (write)."""


def read_together(context: Context, asked: Sequence[ReadoutRequest], k: int = KEPT_TOKENS) -> None:
    """Read out all requests, those with the same token table in one go."""
    from app.core.matrix import Space

    shares: dict[str, list[tuple[Arrays, str, Tensor]]] = {}
    for each in asked:
        if each.side.space is Space.RESIDUAL:
            end = "write" if each.side.name == "write" else "read"
            shares.setdefault(end, []).append((each.arrays, each.prefix, each.vectors))
        else:
            readout = _read_vectors(context, each.side, each.vectors, each.end)
            each.arrays.update({f"{each.prefix}_{name}": array for name, array in readout.items()})
    for end, own in shares.items():
        read_into(context, end, own, k)


def read_into(context: Context, side: str, shares: "Sequence[tuple[Arrays, str, Tensor]]", k: int) -> None:
    """Read all vectors in one go, and add each share's readout to its arrays under its prefix."""
    import torch

    vectors = torch.cat([vectors.to(shares[0][2].device) for _, _, vectors in shares])
    readout = readability.read_and_judge(context, side, vectors, k)
    start = 0
    for arrays, prefix, own in shares:
        rows = slice(start, start + len(own))
        # Copies: a view would keep the readout of all in memory as long as that of one.
        arrays |= {f"{prefix}_{what}": array[rows].copy() for what, array in readout.items()}
        start += len(own)


def join_rows(parts: Sequence[Arrays]) -> Arrays:
    """Concatenate the rows of all parts."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def read_side(context: Context, side: "Side", vectors: "Tensor", end: End = "read") -> Steps[Arrays]:
    """Read both ends of each vector and the spread of its scores, one row each. Yields (done, total) between its steps.

    `end`: the end whose tokens the entries of a token side are, the embedding (read) or the unembedding (write).
    """
    parts = []
    for start in range(0, max(1, len(vectors)), VECTORS_AT_ONCE):
        yield start, len(vectors)
        parts.append(_read_vectors(context, side, vectors[start : start + VECTORS_AT_ONCE], end))
    return join_rows(parts)


def _read_vectors(context: Context, side: "Side", vectors: "Tensor", end: End) -> Arrays:
    from app.core.exact.entries import read_entries
    from app.core.matrix import Space

    if side.space is Space.RESIDUAL:
        return readability.read_and_judge(context, side.name, vectors)
    known = _selected_tokens(context, end) if side.space is Space.VOCABULARY else None
    return readout_arrays([read_entries(vectors, known, KEPT_TOKENS)])


def _selected_tokens(context: Context, end: End) -> "Tensor":
    """Return the ids of the tokens at that end of the model that pass the context's token filter."""
    import torch

    if context.token_filter.plain:  # only the end's table tells which of its tokens were trained
        return context.tables.table(context.model, context.processing, end, context.token_filter).ids.cpu()
    return torch.from_numpy(np.flatnonzero(filter_tokens(context.model.vocabulary, context.token_filter)))
