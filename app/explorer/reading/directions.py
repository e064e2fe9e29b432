"""The rows of an artifact as directions: each array has one row a direction.

    index strength share gap                                  [n]
    badge_kind badge_degrees badge_first badge_last           [n]
    turn_{side} rest_{side}   of a quantised copy             [n]     nan where not known; `app.core.measuring.turns`
    {side}_top_ids {side}_top_scores   largest first          [n k]   side: left, right (and bias, with one row)
    {side}_bottom_ids {side}_bottom_scores   smallest first   [n k]
    {side}_counts [n bins]   {side}_low {side}_high           [n]     histogram over the vocabulary

and, where they apply,

    merit [n]   what the basis orders by        unit [n]   the neuron or coordinate that a term is
    left_curve [n n_ctx]   positions            units [m]  the place of each neuron among their norms; -1 for a zero
                                                units_{kind} [m]  the same of another matrix of its MLP
    explained explained_svd explained_at        points of a curve
    held [n]   mixture mixture_of [n m]         of the axes of a head's output; `app.explorer.making.using.axes`
    vectors [n d_model]    of a fit: singular vectors are not kept, the weights give them again in milliseconds

Rows are in the order of their basis. In the neuron basis that is by norm, while an address names a neuron or a
coordinate by its own number: `indices_of` and `row_of` convert between them, nothing else does.

Knows how rows are read, sorted, searched and paged; not how they are made. Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core.address import Address
from app.core.basis import BASES
from app.core.judging.spread import moments
from app.core.measuring.determinacy import is_determined
from app.explorer.layout import BADGE_KINDS, SIDE_PREFIXES
from app.explorer.pages.directions import Badge, Determinacy, Direction, Histogram, Rest, SideReadout, Turn
from app.explorer.pages.rays import Token, Words
from app.explorer.pages.using.statistics import Axis, MixedIn
from app.explorer.reading.verdicts import find_best, mask_passing, read_rays
from app.explorer.view import Only, Side, Sort
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays

READABLE_SIDES: dict[Sort, tuple[str, ...]] = {
    "readable": SIDE_PREFIXES,
    "readable-left": ("left",),
    "readable-right": ("right",),
}
"""Sides that each of these orders ranks by."""

Rows = NDArray[np.intp]
Chosen = Rows | slice


def read_directions(
    arrays: Arrays,
    rows: Chosen,
    address: Address,
    sides: tuple[Side, Side],
    k: int,
    vocabulary: Vocabulary,
    n_words: int = 0,
) -> tuple[Direction, ...]:
    """Read these rows as directions of the matrix at the address, with k tokens and n_words words a ray."""
    columns = (_read_column(arrays, name, rows) for name in ("strength", "share", "gap", "merit", "unit"))
    numbers = zip(indices_of(arrays)[rows].tolist(), *columns, strict=True)
    badges, turns, axes = _read_badges(arrays, rows), _read_turns(arrays, rows), read_axes(arrays, rows, address)
    left = read_side(arrays, "left", rows, sides[0], k, vocabulary, address)
    right = read_side(arrays, "right", rows, sides[1], k, vocabulary, address)
    if n_words:
        left, right = (
            add_words(own, arrays, side, rows, n_words, vocabulary) for own, side in ((left, "left"), (right, "right"))
        )
    return tuple(
        Direction(address.direction(index), index, strength, share, gap, badge, reads, writes, merit, unit, turn, axis)
        for (index, strength, share, gap, merit, unit), badge, turn, axis, reads, writes in zip(
            numbers, badges, turns, axes, left, right, strict=True
        )
    )


def indices_of(arrays: Arrays) -> NDArray[np.int32]:
    """The index in each row's address [n]: the number of its neuron or coordinate, else its place in the order."""
    return arrays["unit"] if "unit" in arrays else arrays["index"]


def row_of(arrays: Arrays, index: int) -> int | None:
    """Find the row of the direction whose address ends with this index; None where the matrix has no such term."""
    rows = np.flatnonzero(indices_of(arrays) == index)
    return int(rows[0]) if len(rows) else None


def read_side(
    arrays: Arrays, side: str, rows: Chosen, name: Side, k: int, vocabulary: Vocabulary, address: Address
) -> list[SideReadout]:
    """Read one side of these rows, k tokens a ray; only the + end where the basis has one ray a term."""
    shown = (
        partial(_name_entries, arrays, name, address, vocabulary)
        if name in ENTRY_NAMES
        else partial(_look_up_tokens, vocabulary)
    )
    plus = shown(arrays[f"{side}_top_ids"][rows, :k], arrays[f"{side}_top_scores"][rows, :k])
    if count_rays(address) == 1 and side != "bias":
        return [
            SideReadout(name, end, (), own) for end, own in zip(plus, read_rays(arrays, side, rows, 1), strict=True)
        ]
    minus = shown(arrays[f"{side}_bottom_ids"][rows, :k], arrays[f"{side}_bottom_scores"][rows, :k])
    judged = [None] * len(plus) if side == "bias" else read_rays(arrays, side, rows, 2)
    return [SideReadout(name, *ends) for ends in zip(plus, minus, judged, strict=True)]


def add_words(
    readouts: list[SideReadout], arrays: Arrays, side: str, rows: Chosen, n: int, vocabulary: Vocabulary
) -> list[SideReadout]:
    """Add to the readouts of one side the first n words among all tokens that are kept at either end."""
    if readouts and readouts[0].side in ENTRY_NAMES and readouts[0].side != "token":
        return readouts
    plus, minus = (
        _group_rows(vocabulary, arrays[f"{side}_{end}_ids"][rows], arrays[f"{side}_{end}_scores"][rows], n)
        for end in ("top", "bottom")
    )
    return [
        replace(one, words=(high, low if one.minus else ()))
        for one, high, low in zip(readouts, plus, minus, strict=True)
    ]


def count_rays(address: Address) -> int:
    """Count the rays of a term in the address's basis: 1 or 2."""
    return 1 if address.basis and BASES[address.basis].is_one_sided else 2


def read_histogram(arrays: Arrays, side: str, row: int) -> Histogram:
    """Read the histogram of one direction's scores over the whole vocabulary."""
    low, high = (float(arrays[f"{side}_{end}"][row]) for end in ("low", "high"))
    shape = moments(*(arrays[f"{side}_{name}"][row : row + 1] for name in ("counts", "low", "high")))
    skewness, kurtosis = (None if np.isnan(value[0]) else float(value[0]) for value in shape)
    return Histogram(low, high, tuple(arrays[f"{side}_counts"][row].tolist()), skewness, kurtosis)


def read_determinacy(arrays: Arrays) -> Determinacy | None:
    """Read which directions a quantised copy determines; None for other weights, and where it is not known."""
    if "turn_left" not in arrays or not len(arrays["turn_left"]):
        return None
    degrees = np.maximum(arrays["turn_left"], arrays["turn_right"])
    if np.isnan(degrees).any():
        return None
    is_sure = np.array([is_determined(turn) for turn in degrees.tolist()])
    first = len(is_sure) if is_sure.all() else int(is_sure.argmin())
    rest = Rest(*(float(arrays[f"rest_{side}"][first]) for side in SIDE_PREFIXES)) if first < len(is_sure) else None
    return Determinacy(
        first=first,
        degrees=float(degrees[:first].max()) if first else None,
        later=int(is_sure[first:].sum()),
        rest=rest,
    )


def sort_rows(arrays: Arrays, sort: Sort, n_rays: int) -> Rows:
    """Sort all rows; ties go to the stronger direction."""
    if sort in READABLE_SIDES:
        return np.lexsort((-arrays["strength"], -find_best(arrays, READABLE_SIDES[sort], n_rays)))
    strength, gap = arrays["strength"], arrays.get("gap", np.zeros(len(arrays["strength"])))
    # lexsort's last key counts most.
    keys = {"strength": (), "weakest": (strength,), "gap": (-gap,), "closest": (gap,)}.get(sort)
    return np.arange(len(strength)) if keys is None else np.lexsort((-strength, *keys))


def find_neuron(arrays: Arrays, rows: Rows, text: str, sides: tuple[str, str]) -> Rows | None:
    """Find the row of the neuron whose number the text is, in the neuron basis of an MLP; None for any other text."""
    number = text.casefold().removeprefix("neuron ")
    if "neuron" not in sides or "unit" not in arrays or not number.isdecimal():
        return None
    return rows[np.flatnonzero(arrays["unit"][rows] == int(number[:9]))]


def filter_rows(arrays: Arrays, rows: Rows, only: Only, n_rays: int) -> Rows:
    """Keep the rows that pass the filter."""
    return rows if only == "all" else rows[mask_passing(arrays, only, n_rays)[rows]]


def take_page(rows: Rows, page: int, size: int) -> tuple[Rows, int]:
    """Take the rows of one page, counted from 1 (none past the end), and count the pages: at least one."""
    return rows[(page - 1) * size : page * size], max(1, -(-len(rows) // size))


def _read_column(arrays: Arrays, name: str, rows: Chosen) -> list[Any]:
    """Read one number a row; None for each where the basis has no such number."""
    if name in arrays:
        values: list[Any] = arrays[name][rows].tolist()
        return values
    return [None] * len(arrays["index"][rows])


def _name_entries(
    arrays: Arrays, side: str, address: Address, vocabulary: Vocabulary, ids: NDArray[Any], scores: NDArray[Any]
) -> list[tuple[Token, ...]]:
    """Name the entries of vectors whose coordinates are tokens, neurons, positions or heads' rays, without zeros."""
    name = partial(ENTRY_NAMES[side], arrays, address, vocabulary)
    return [
        tuple(name(id_, score) for id_, score in zip(*row, strict=True) if score)
        for row in zip(ids.tolist(), scores.tolist(), strict=True)
    ]


def _name_token(arrays: Arrays, address: Address, vocabulary: Vocabulary, id_: int, score: float) -> Token:
    del arrays, address
    return Token(*vocabulary.entry(id_), score)


def _name_neuron(arrays: Arrays, address: Address, vocabulary: Vocabulary, id_: int, score: float) -> Token:
    del vocabulary
    place = None if arrays["units"][id_] < 0 else address.in_basis("neuron").direction(id_)
    return Token(id_, f"neuron {id_}", str(id_), "neuron", score, place)


def _name_position(arrays: Arrays, address: Address, vocabulary: Vocabulary, id_: int, score: float) -> Token:
    del arrays, address, vocabulary
    return Token(id_, f"position {id_}", str(id_), "position", score)


def _name_head_ray(arrays: Arrays, address: Address, vocabulary: Vocabulary, id_: int, score: float) -> Token:
    del vocabulary
    n_heads, d_head = arrays["stack"].tolist()
    rest, sign = divmod(id_, 2)
    rest, index = divmod(rest, d_head)
    layer, head = divmod(rest, n_heads)
    place = address.at_layer(layer).at_head(head).at("ov").direction(index)
    ray = "+−"[sign]
    # Every ray is of an OV: a table need not repeat it a hundred times.
    return Token(id_, f"{place.label}{ray}", f"L{layer}H{head} {index}{ray}", "head", score, place)


ENTRY_NAMES = {"token": _name_token, "neuron": _name_neuron, "position": _name_position, "head": _name_head_ray}
"""Sides that are read by their vectors' own entries, and how an entry is named."""


def _look_up_tokens(vocabulary: Vocabulary, ids: NDArray[Any], scores: NDArray[Any]) -> list[tuple[Token, ...]]:
    entry = vocabulary.entry
    return [
        tuple([Token(*entry(id_), score) for id_, score in zip(*row, strict=True)])
        for row in zip(ids.tolist(), scores.tolist(), strict=True)
    ]


def _group_rows(vocabulary: Vocabulary, ids: NDArray[Any], scores: NDArray[Any], n: int) -> list[Words]:
    """Group the tokens of each row into its first n words."""
    return [
        _group_words(vocabulary, *row, n) for row in zip(map(_freeze_row, ids), map(_freeze_row, scores), strict=True)
    ]


def _freeze_row(row: NDArray[Any]) -> tuple[str, bytes]:
    return row.dtype.str, row.tobytes()


@lru_cache(maxsize=1 << 12)
def _group_words(vocabulary: Vocabulary, ids: tuple[str, bytes], scores: tuple[str, bytes], n: int) -> Words:
    """Group a row's tokens into words, in the order of their first token, without zeros; cached, as visitors return."""
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


def read_axes(arrays: Arrays, rows: Chosen, address: Address) -> Sequence[Axis | None]:
    """Read what these rows are as axes of a head's output; None for each in another basis."""
    if "mixture" not in arrays:
        return [None] * len(arrays["index"][rows])
    singular = address.in_basis("svd")
    columns = (arrays[name][rows].tolist() for name in ("held", "mixture_of", "mixture"))
    return [
        Axis(
            held,
            tuple(MixedIn(singular.direction(at), at, cosine) for at, cosine in zip(of, cosines, strict=True)),
            sum(cosine**2 for cosine in cosines),
        )
        for held, of, cosines in zip(*columns, strict=True)
    ]


def _read_badges(arrays: Arrays, rows: Chosen) -> list[Badge | None]:
    if "badge_kind" not in arrays:
        return [None] * len(arrays["index"][rows])
    columns = [arrays[f"badge_{name}"][rows].tolist() for name in ("kind", "degrees", "first", "last")]
    return [Badge(name, *where) if (name := BADGE_KINDS[kind]) else None for kind, *where in zip(*columns, strict=True)]


def _read_turns(arrays: Arrays, rows: Chosen) -> list[Turn | None]:
    if "turn_left" not in arrays:
        return [None] * len(arrays["index"][rows])
    columns = [arrays[f"turn_{side}"][rows].tolist() for side in SIDE_PREFIXES]
    return [None if np.isnan(left) else Turn(left, right) for left, right in zip(*columns, strict=True)]
