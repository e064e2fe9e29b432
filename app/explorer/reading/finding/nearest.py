"""How near the rays of a bank are to what is asked for: themes of all of them, alignments of some or of all.

What is asked for is one vector for each end of the model, since tokens have other vectors where they are read than where
they are written. Knows no word and no page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.core.finding.expectation import expected, spread
from app.core.finding.nearest import combined, runs, themes
from app.explorer.layout import BANK_ENDS
from app.explorer.reading.finding.bank import Bank
from app.explorer.reading.finding.words import WordTable
from app.explorer.view import End

NOWHERE = -np.inf
"""The theme of a ray that is not compared."""


@dataclass(frozen=True, slots=True)
class Meant:
    """One term of what is asked for: a mean of tokens, and of a ray its own vectors."""

    weight: float
    ids: tuple[int, ...]
    own_ids: Mapping[End, tuple[int, ...]]
    """Of a ray its tokens at each end of the model, in the place of `ids`."""
    vectors: Mapping[End, NDArray[np.float32]]
    """Of a ray, at the ends where it has one."""
    is_ray: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for at one end, at unit length; None where nothing of it has a vector there."""

    theme: NDArray[np.float32] | None
    alignment: NDArray[np.float32] | None
    """The same but for rays, whose own vectors stand in it."""


def question(parts: Sequence[Meant], end: End, words: WordTable) -> Question:
    """What these terms are together."""
    themed = [(part.weight, _mean(words, part.own_ids.get(end, part.ids))) for part in parts]
    if not any(part.is_ray for part in parts):
        both = _together(themed)
        return Question(both, both)
    if any(part.is_ray and end not in part.vectors for part in parts):
        return Question(_together(themed), None)
    own = [part.vectors[end] if part.is_ray else mean for part, (_, mean) in zip(parts, themed, strict=True)]
    return Question(_together(themed), _together([(part.weight, one) for part, one in zip(parts, own, strict=True)]))


def rows_of(bank: Bank, *, neurons: bool) -> slice:
    """The rows of neurons, or those of singular directions, which stand before them."""
    n = len(bank.rows.is_neuron)
    first = int(np.searchsorted(bank.rows.is_neuron, True))
    return slice(first, n) if neurons else slice(0, first)


def theme_of(bank: Bank, similarities: Mapping[End, NDArray[np.float32] | None], where: slice) -> NDArray[np.float32]:
    """The theme of both rays of each of these rows, [n 2]; -inf where nothing is asked for at its end."""
    ids, ends = bank.rows.ids[where], bank.rows.end[where]
    known = {end: _with_none(of_end) for end, of_end in similarities.items() if of_end is not None}
    found = np.full((len(ends), 2), NOWHERE, np.float32)
    for code, own in runs(ends):
        if BANK_ENDS[code] in known:
            found[own] = themes(known[BANK_ENDS[code]], ids[own])
    return found


def themes_of_controls(
    bank: Bank, similarities: Mapping[End, NDArray[np.float32] | None]
) -> dict[End, NDArray[np.float32]]:
    """The theme of every ray of the random directions that were read at each end, as far as they are there."""
    shadow = bank.shadow or {}
    read = {end: of_end for end, of_end in similarities.items() if end in shadow and of_end is not None}
    return {end: themes(_with_none(of_end), shadow[end]).ravel() for end, of_end in read.items()}


def alignments_of(bank: Bank, questions: Mapping[End, Question], at: NDArray[np.intp]) -> NDArray[np.float32]:
    """The product of each of these rows' vectors with what is asked for at its end; nan where nothing is."""
    found = np.full(len(at), np.nan, np.float32)
    if not len(at):
        return found
    vectors = bank.vectors(at)
    for code, end in enumerate(BANK_ENDS):
        query, own = questions[end].alignment, bank.rows.end[at] == code
        if query is not None:
            found[own] = vectors[own] @ query
    return found


def all_alignments(bank: Bank, questions: Mapping[End, Question], where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The same of all rows in `where` [n]: every vector of these is read."""
    found = np.full(len(where), np.nan, np.float32)
    for code, end in enumerate(BANK_ENDS):
        query, own = questions[end].alignment, where & (bank.rows.end == code)
        if query is not None and own.any():
            found[own] = bank.products(query, own)[own]
    return found


def expected_of(
    bank: Bank,
    questions: Mapping[End, Question],
    at: NDArray[np.intp],
    alignments: NDArray[np.float32],
    n_rows: int,
) -> NDArray[np.float64]:
    """How many of `n_rows` vectors would be so aligned with any vector; nan while the bank's moments are not there."""
    found = np.full(len(at), np.nan)
    for code, end in enumerate(BANK_ENDS):
        query, own = questions[end].alignment, bank.rows.end[at] == code
        if bank.moments is not None and end in bank.moments and query is not None and own.any():
            found[own] = expected(alignments[own] / spread(query[None], bank.moments[end]), n_rows)
    return found


def _with_none(similarities: NDArray[np.float32]) -> NDArray[np.float32]:
    """The similarities with one more: of no token, which is as unlike as can be."""
    return np.append(similarities, np.float32(0))


def _mean(words: WordTable, ids: Sequence[int]) -> NDArray[np.float32] | None:
    """The mean of these tokens' vectors at unit length; None where none of them was trained."""
    if not ids:
        return None
    return combined(words.rows(np.array(ids)), np.ones(len(ids)))


def _together(terms: Sequence[tuple[float, NDArray[np.float32] | None]]) -> NDArray[np.float32] | None:
    there = [(weight, vector) for weight, vector in terms if vector is not None]
    if not there:
        return None
    return combined(np.stack([vector for _, vector in there]), np.array([weight for weight, _ in there]))
