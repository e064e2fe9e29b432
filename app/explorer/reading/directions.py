"""The rows of an artifact as directions: each array has one row a direction.

    index strength share gap                                  [n]
    badge_kind badge_degrees badge_first badge_last           [n]
    turn_{side} rest_{side}   of a quantised copy             [n]     nan where it is not known; `app.core.measuring.turns`
    {side}_top_ids {side}_top_scores   largest first          [n k]   side: left, right (and bias, with one row)
    {side}_bottom_ids {side}_bottom_scores   smallest first   [n k]
    {side}_counts [n bins]   {side}_low {side}_high           [n]     histogram over the vocabulary

and, where they mean something,

    merit [n]   what the basis orders by        unit [n]   the neuron or coordinate that a term is
    left_curve [n n_ctx]   positions            units [m]  the place of each neuron among their norms; -1 for a zero
                                                units_{kind} [m]  the same of another matrix of its MLP
    explained explained_svd explained_at        points of a curve
    vectors [n d_model]    of a fit: singular vectors are not kept, the weights give them again in milliseconds

Rows stand in the order of their basis. In the neuron basis that is by norm, while an address names a neuron or a
coordinate by its own number: `indices` and `row_of` go from one to the other, nothing else does.

Knows how they are read, sorted, searched and paged; not how they are made. Imports no torch.
"""

from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core.address import Address
from app.core.basis import BASES
from app.core.judging.spread import moments
from app.core.measuring.determinacy import is_determined
from app.explorer.layout import BADGE_KINDS, PREFIXES
from app.explorer.pages.directions import Badge, Determinacy, Direction, Histogram, SideReadout, Turn
from app.explorer.pages.rays import Token, Words
from app.explorer.reading.verdicts import best, passing, rays
from app.explorer.view import Only, Sort
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays

READABLE: dict[Sort, tuple[str, ...]] = {
    "readable": PREFIXES,
    "readable-left": ("left",),
    "readable-right": ("right",),
}
"""Sides that these orders look at."""

Rows = NDArray[np.intp]
Chosen = Rows | slice


def directions(
    arrays: Arrays,
    rows: Chosen,
    address: Address,
    sides: tuple[str, str],
    k: int,
    vocabulary: Vocabulary,
    n_words: int = 0,
) -> tuple[Direction, ...]:
    """These rows as directions of the matrix at the address, k tokens and n words a ray."""
    columns = (_column(arrays, name, rows) for name in ("strength", "share", "gap", "merit", "unit"))
    numbers = zip(indices(arrays)[rows].tolist(), *columns, strict=True)
    badges, turns = _badges(arrays, rows), _turns(arrays, rows)
    left = readouts(arrays, "left", rows, sides[0], k, vocabulary, address)
    right = readouts(arrays, "right", rows, sides[1], k, vocabulary, address)
    if n_words:
        left, right = (
            with_words(own, arrays, side, rows, n_words, vocabulary) for own, side in ((left, "left"), (right, "right"))
        )
    return tuple(
        Direction(address.direction(index), index, strength, share, gap, badge, reads, writes, merit, unit, turn)
        for (index, strength, share, gap, merit, unit), badge, turn, reads, writes in zip(
            numbers, badges, turns, left, right, strict=True
        )
    )


def indices(arrays: Arrays) -> NDArray[np.int32]:
    """What the address of each row ends with: the number of its neuron or coordinate, else its place in the order."""
    return arrays["unit"] if "unit" in arrays else arrays["index"]


def row_of(arrays: Arrays, index: int) -> int | None:
    """The row of the direction whose address ends with that number; None where the matrix has no such term."""
    rows = np.flatnonzero(indices(arrays) == index)
    return int(rows[0]) if len(rows) else None


def readouts(
    arrays: Arrays, side: str, rows: Chosen, name: str, k: int, vocabulary: Vocabulary, address: Address
) -> list[SideReadout]:
    """One side of these rows, k tokens a ray; one end where the basis of the address has one ray a term."""
    shown = partial(_entries, arrays, name, address, vocabulary) if name in NAMES else partial(_tokens, vocabulary)
    plus = shown(arrays[f"{side}_top_ids"][rows, :k], arrays[f"{side}_top_scores"][rows, :k])
    if n_rays(address) == 1 and side != "bias":
        return [SideReadout(name, end, (), own) for end, own in zip(plus, rays(arrays, side, rows, 1), strict=True)]
    minus = shown(arrays[f"{side}_bottom_ids"][rows, :k], arrays[f"{side}_bottom_scores"][rows, :k])
    judged = [None] * len(plus) if side == "bias" else rays(arrays, side, rows, 2)
    return [SideReadout(name, *ends) for ends in zip(plus, minus, judged, strict=True)]


def with_words(
    readouts: list[SideReadout], arrays: Arrays, side: str, rows: Chosen, n: int, vocabulary: Vocabulary
) -> list[SideReadout]:
    """The readouts of one side of these rows, each with the first n words of all tokens that are kept at either end."""
    if readouts and readouts[0].side in NAMES and readouts[0].side != "token":
        return readouts
    plus, minus = (
        _words(vocabulary, arrays[f"{side}_{end}_ids"][rows], arrays[f"{side}_{end}_scores"][rows], n)
        for end in ("top", "bottom")
    )
    return [
        replace(one, words=(high, low if one.minus else ()))
        for one, high, low in zip(readouts, plus, minus, strict=True)
    ]


def n_rays(address: Address) -> int:
    """How many rays a term of the address's basis has."""
    return 1 if address.basis and BASES[address.basis].is_one_sided else 2


def histogram(arrays: Arrays, side: str, row: int) -> Histogram:
    """How one direction scores the whole vocabulary."""
    low, high = (float(arrays[f"{side}_{end}"][row]) for end in ("low", "high"))
    shape = moments(*(arrays[f"{side}_{name}"][row : row + 1] for name in ("counts", "low", "high")))
    skewness, kurtosis = (None if np.isnan(value[0]) else float(value[0]) for value in shape)
    return Histogram(low, high, tuple(arrays[f"{side}_counts"][row].tolist()), skewness, kurtosis)


def determinacy(arrays: Arrays) -> Determinacy | None:
    """Which directions the numbers of a quantised copy determine; None of other weights, and where it is not known."""
    if "turn_left" not in arrays or not len(arrays["turn_left"]):
        return None
    degrees = np.maximum(arrays["turn_left"], arrays["turn_right"])
    if np.isnan(degrees).any():
        return None
    is_sure = np.array([is_determined(turn) for turn in degrees.tolist()])
    first = len(is_sure) if is_sure.all() else int(is_sure.argmin())
    rest = [float(arrays[f"rest_{side}"][first]) for side in PREFIXES] if first < len(is_sure) else None
    return Determinacy(
        first=first,
        degrees=float(degrees[:first].max()) if first else None,
        later=int(is_sure[first:].sum()),
        rest=None if rest is None else (rest[0], rest[1]),
    )


def ordered(arrays: Arrays, sort: Sort, n_rays: int) -> Rows:
    """All rows in that order; where it leaves two equal, the stronger comes first."""
    if sort in READABLE:
        return np.lexsort((-arrays["strength"], -best(arrays, READABLE[sort], n_rays)))
    strength, gap = arrays["strength"], arrays.get("gap", np.zeros(len(arrays["strength"])))
    # lexsort's last key counts most.
    keys = {"strength": (), "weakest": (strength,), "gap": (-gap,), "closest": (gap,)}.get(sort)
    return np.arange(len(strength)) if keys is None else np.lexsort((-strength, *keys))


def numbered(arrays: Arrays, rows: Rows, text: str, sides: tuple[str, str]) -> Rows | None:
    """In the neuron basis of an MLP the row of the neuron whose number the text is; None for any other text."""
    number = text.casefold().removeprefix("neuron ")
    if "neuron" not in sides or "unit" not in arrays or not number.isdecimal():
        return None
    return rows[np.flatnonzero(arrays["unit"][rows] == int(number[:9]))]


def limited(arrays: Arrays, rows: Rows, only: Only, n_rays: int) -> Rows:
    """Those of the rows that pass the filter."""
    return rows if only == "all" else rows[passing(arrays, only, n_rays)[rows]]


def paged(rows: Rows, page: int, size: int) -> tuple[Rows, int]:
    """The rows of that page, counted from 1 (none past the end), and the number of pages: at least one."""
    return rows[(page - 1) * size : page * size], max(1, -(-len(rows) // size))


def _column(arrays: Arrays, name: str, rows: Chosen) -> list[Any]:
    """One number a row; None for each where the basis has no such number."""
    if name in arrays:
        values: list[Any] = arrays[name][rows].tolist()
        return values
    return [None] * len(arrays["index"][rows])


def _entries(
    arrays: Arrays, side: str, address: Address, vocabulary: Vocabulary, ids: NDArray[Any], scores: NDArray[Any]
) -> list[tuple[Token, ...]]:
    """Entries of vectors whose coordinates are tokens, neurons, positions or heads' rays; zeros are not shown."""
    name = partial(NAMES[side], arrays, address, vocabulary)
    return [
        tuple(name(id_, score) for id_, score in zip(*row, strict=True) if score)
        for row in zip(ids.tolist(), scores.tolist(), strict=True)
    ]


def _token(arrays: Arrays, address: Address, vocabulary: Vocabulary, id_: int, score: float) -> Token:
    del arrays, address
    return Token(*vocabulary.entry(id_), score)


def _neuron(arrays: Arrays, address: Address, vocabulary: Vocabulary, id_: int, score: float) -> Token:
    del vocabulary
    place = None if arrays["units"][id_] < 0 else address.in_basis("neuron").direction(id_)
    return Token(id_, f"neuron {id_}", str(id_), "neuron", score, place)


def _position(arrays: Arrays, address: Address, vocabulary: Vocabulary, id_: int, score: float) -> Token:
    del arrays, address, vocabulary
    return Token(id_, f"position {id_}", str(id_), "position", score)


def _head_ray(arrays: Arrays, address: Address, vocabulary: Vocabulary, id_: int, score: float) -> Token:
    del vocabulary
    n_heads, d_head = arrays["stack"].tolist()
    rest, sign = divmod(id_, 2)
    rest, index = divmod(rest, d_head)
    layer, head = divmod(rest, n_heads)
    place = address.at_layer(layer).at_head(head).at("ov").direction(index)
    ray = "+−"[sign]
    # Every ray is of an OV, which a table need not say a hundred times.
    return Token(id_, f"{place.label}{ray}", f"L{layer}H{head} {index}{ray}", "head", score, place)


NAMES = {"token": _token, "neuron": _neuron, "position": _position, "head": _head_ray}
"""Sides that are read by their vectors' own entries, and what those stand for."""


def _tokens(vocabulary: Vocabulary, ids: NDArray[Any], scores: NDArray[Any]) -> list[tuple[Token, ...]]:
    entry = vocabulary.entry
    return [
        tuple([Token(*entry(id_), score) for id_, score in zip(*row, strict=True)])
        for row in zip(ids.tolist(), scores.tolist(), strict=True)
    ]


def _words(vocabulary: Vocabulary, ids: NDArray[Any], scores: NDArray[Any], n: int) -> list[Words]:
    """The first n words of each row."""
    return [_first_words(vocabulary, *row, n) for row in zip(map(_frozen, ids), map(_frozen, scores), strict=True)]


def _frozen(row: NDArray[Any]) -> tuple[str, bytes]:
    return row.dtype.str, row.tobytes()


@lru_cache(maxsize=1 << 12)
def _first_words(vocabulary: Vocabulary, ids: tuple[str, bytes], scores: tuple[str, bytes], n: int) -> Words:
    """Each where its first token stands; entries of a vector that are zero are none. Kept, as a visitor comes back."""
    entry, word_of = vocabulary.entry, vocabulary.words
    words: dict[str | int, list[Token]] = {}
    columns = (np.frombuffer(data, dtype).tolist() for dtype, data in (ids, scores))
    for id_, score in zip(*columns, strict=True):
        if not score:
            continue
        word = word_of[id_]
        if word in words:
            words[word].append(Token(*entry(id_), score))
        elif len(words) < n:
            words[word] = [Token(*entry(id_), score)]
    return tuple(map(tuple, words.values()))


def _badges(arrays: Arrays, rows: Chosen) -> list[Badge | None]:
    if "badge_kind" not in arrays:
        return [None] * len(arrays["index"][rows])
    columns = [arrays[f"badge_{name}"][rows].tolist() for name in ("kind", "degrees", "first", "last")]
    return [Badge(name, *where) if (name := BADGE_KINDS[kind]) else None for kind, *where in zip(*columns, strict=True)]


def _turns(arrays: Arrays, rows: Chosen) -> list[Turn | None]:
    if "turn_left" not in arrays:
        return [None] * len(arrays["index"][rows])
    columns = [arrays[f"turn_{side}"][rows].tolist() for side in PREFIXES]
    return [None if np.isnan(left) else Turn(left, right) for left, right in zip(*columns, strict=True)]
