"""The rows of an artifact as directions: each array has one row a direction.

    index strength share gap                                  [n]
    badge_kind badge_degrees badge_first badge_last           [n]
    {side}_top_ids {side}_top_scores   largest first          [n k]   side: left, right (and bias, with one row)
    {side}_bottom_ids {side}_bottom_scores   smallest first   [n k]
    {side}_counts [n bins]   {side}_low {side}_high           [n]     histogram over the vocabulary

The vectors themselves are not kept: the weights give them again in milliseconds, and they would be most of the file.
Knows how they are read, sorted, searched and paged; not how they are made. Imports no torch.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.core.address import Address
from app.explorer.pages import Badge, Direction, Histogram, SideReadout, Sort, Token
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays

BADGE_KINDS: tuple[None, Literal["subspace"], Literal["close"]] = (None, "subspace", "close")
"""What the numbers in `badge_kind` stand for."""
ENDS = tuple(f"{side}_{end}_ids" for side in ("left", "right") for end in ("top", "bottom"))

Rows = NDArray[np.intp]
Chosen = Rows | slice


def directions(
    arrays: Arrays, rows: Chosen, address: Address, sides: tuple[str, str], k: int, vocabulary: Vocabulary
) -> tuple[Direction, ...]:
    """These rows as directions of the matrix at the address, k tokens a ray."""
    numbers = {name: arrays[name][rows].tolist() for name in ("index", "strength", "share", "gap")}
    badges = _badges(arrays, rows)
    left = readouts(arrays, "left", rows, sides[0], k, vocabulary)
    right = readouts(arrays, "right", rows, sides[1], k, vocabulary)
    return tuple(
        Direction(address.direction(index), index, strength, share, gap, badge, *both)
        for index, strength, share, gap, badge, *both in zip(*numbers.values(), badges, left, right, strict=True)
    )


def readouts(arrays: Arrays, side: str, rows: Chosen, name: str, k: int, vocabulary: Vocabulary) -> list[SideReadout]:
    """One side of these rows, k tokens a ray."""
    plus = _tokens(arrays[f"{side}_top_ids"][rows, :k], arrays[f"{side}_top_scores"][rows, :k], vocabulary)
    minus = _tokens(arrays[f"{side}_bottom_ids"][rows, :k], arrays[f"{side}_bottom_scores"][rows, :k], vocabulary)
    return [SideReadout(name, *ends) for ends in zip(plus, minus, strict=True)]


def histogram(arrays: Arrays, side: str, row: int) -> Histogram:
    """How one direction scores the whole vocabulary."""
    low, high = (float(arrays[f"{side}_{end}"][row]) for end in ("low", "high"))
    return Histogram(low, high, tuple(arrays[f"{side}_counts"][row].tolist()))


def ordered(arrays: Arrays, sort: Sort) -> Rows:
    """All rows in that order; where it leaves two equal, the stronger comes first."""
    strength, gap = arrays["strength"], arrays["gap"]
    # lexsort's last key counts most.
    keys = {"strength": (), "weakest": (strength,), "gap": (-gap,), "closest": (gap,)}[sort]
    return np.lexsort((-strength, *keys)) if sort != "strength" else np.arange(len(strength))


def found(arrays: Arrays, rows: Rows, text: str, k: int, vocabulary: Vocabulary) -> Rows:
    """Those of the rows among whose first k tokens a ray the text occurs, case ignored."""
    needle = text.casefold()
    if not needle:
        return rows
    ids = np.concatenate([arrays[end][rows, :k] for end in ENDS], axis=1)
    hits = [id_ for id_ in np.unique(ids).tolist() if _occurs(needle, id_, vocabulary)]
    return rows[np.isin(ids, hits).any(axis=1)]


def paged(rows: Rows, page: int, size: int) -> tuple[Rows, int]:
    """The rows of that page, counted from 1 (none past the end), and the number of pages: at least one."""
    return rows[(page - 1) * size : page * size], max(1, -(-len(rows) // size))


def _occurs(needle: str, id_: int, vocabulary: Vocabulary) -> bool:
    entry = vocabulary.entry(id_)
    return needle in entry.text.casefold() or needle in entry.shown.casefold()


def _tokens(ids: NDArray[Any], scores: NDArray[Any], vocabulary: Vocabulary) -> list[tuple[Token, ...]]:
    entry = vocabulary.entry
    return [
        tuple([Token(*entry(id_), score) for id_, score in zip(*row, strict=True)])
        for row in zip(ids.tolist(), scores.tolist(), strict=True)
    ]


def _badges(arrays: Arrays, rows: Chosen) -> list[Badge | None]:
    columns = [arrays[f"badge_{name}"][rows].tolist() for name in ("kind", "degrees", "first", "last")]
    return [Badge(name, *where) if (name := BADGE_KINDS[kind]) else None for kind, *where in zip(*columns, strict=True)]
