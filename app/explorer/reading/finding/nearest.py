"""The nearness of a bank's rays to a query: themes of all of them, alignments of some or of all.

A query is one vector for each end of the model, since tokens have other vectors where they are read than where they
are written. Knows no word and no page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.core.finding.expectation import cosine_spread, expected_count
from app.core.finding.nearest import combine_units, iterate_runs, themes
from app.explorer.layout import BANK_ENDS
from app.explorer.reading.finding.bank import Bank
from app.explorer.reading.finding.words import WordTable
from app.explorer.view import End

NOT_COMPARED = -np.inf
"""The theme of a ray that is not compared."""


@dataclass(frozen=True, slots=True)
class Meant:
    """One term of a query: a mean of tokens; for a ray, its own vectors as well."""

    weight: float
    ids: tuple[int, ...]
    own_ids: Mapping[End, tuple[int, ...]]
    """A ray's tokens at each end of the model, which replace `ids`."""
    vectors: Mapping[End, NDArray[np.float32]]
    """A ray's vectors, at the ends where it has one."""
    is_ray: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A query at one end, at unit length; None where none of it has a vector there."""

    theme: NDArray[np.float32] | None
    alignment: NDArray[np.float32] | None
    """The query with the rays' own vectors in the place of their tokens'."""


def make_question(parts: Sequence[Meant], end: End, words: WordTable) -> Question:
    """Combine the terms into the query at one end."""
    themed = [(part.weight, _average_tokens(words, part.own_ids.get(end, part.ids))) for part in parts]
    if not any(part.is_ray for part in parts):
        both = _combine_terms(themed)
        return Question(both, both)
    if any(part.is_ray and end not in part.vectors for part in parts):
        return Question(_combine_terms(themed), None)
    own = [part.vectors[end] if part.is_ray else mean for part, (_, mean) in zip(parts, themed, strict=True)]
    return Question(
        _combine_terms(themed), _combine_terms([(part.weight, one) for part, one in zip(parts, own, strict=True)])
    )


def rows_of(bank: Bank, *, neurons: bool) -> slice:
    """Return the rows of neurons, or those of singular directions, which come before them."""
    n = len(bank.rows.is_neuron)
    first = int(np.searchsorted(bank.rows.is_neuron, True))
    return slice(first, n) if neurons else slice(0, first)


def theme_of(bank: Bank, similarities: Mapping[End, NDArray[np.float32] | None], where: slice) -> NDArray[np.float32]:
    """Compute the theme of both rays of each of these rows, [n 2]; -inf where there is no query at its end."""
    ids, ends = bank.rows.ids[where], bank.rows.end[where]
    known = {end: _append_zero(of_end) for end, of_end in similarities.items() if of_end is not None}
    found = np.full((len(ends), 2), NOT_COMPARED, np.float32)
    for code, own in iterate_runs(ends):
        if BANK_ENDS[code] in known:
            found[own] = themes(known[BANK_ENDS[code]], ids[own])
    return found


def themes_of_controls(
    bank: Bank, similarities: Mapping[End, NDArray[np.float32] | None]
) -> dict[End, NDArray[np.float32]]:
    """Compute the theme of every ray of the random directions at each end, as far as they are there."""
    shadow = bank.shadow or {}
    read = {end: of_end for end, of_end in similarities.items() if end in shadow and of_end is not None}
    return {end: themes(_append_zero(of_end), shadow[end]).ravel() for end, of_end in read.items()}


def alignments_of(bank: Bank, questions: Mapping[End, Question], at: NDArray[np.intp]) -> NDArray[np.float32]:
    """Compute the product of these rows' vectors with the query at their end [n]; nan where there is none."""
    found = np.full(len(at), np.nan, np.float32)
    if not len(at):
        return found
    vectors = bank.vectors(at)
    for code, end in enumerate(BANK_ENDS):
        query, own = questions[end].alignment, bank.rows.end[at] == code
        if query is not None:
            found[own] = vectors[own] @ query
    return found


def compute_alignments(bank: Bank, questions: Mapping[End, Question], where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Compute the alignments of all rows in `where` [n], reading every vector of these; nan for the others."""
    found = np.full(len(where), np.nan, np.float32)
    for code, end in enumerate(BANK_ENDS):
        query, own = questions[end].alignment, where & (bank.rows.end == code)
        if query is not None and own.any():
            found[own] = bank.products(query, own)[own]
    return found


def count_expected(
    bank: Bank,
    questions: Mapping[End, Question],
    at: NDArray[np.intp],
    alignments: NDArray[np.float32],
    n_rows: int,
) -> NDArray[np.float64]:
    """Compute how many of `n_rows` vectors would be so aligned with any query; nan without the bank's moments."""
    found = np.full(len(at), np.nan)
    for code, end in enumerate(BANK_ENDS):
        query, own = questions[end].alignment, bank.rows.end[at] == code
        if bank.moments is not None and end in bank.moments and query is not None and own.any():
            found[own] = expected_count(alignments[own] / cosine_spread(query[None], bank.moments[end]), n_rows)
    return found


def _append_zero(similarities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Append a similarity of 0 for the token id -1, which stands for no token."""
    return np.append(similarities, np.float32(0))


def _average_tokens(words: WordTable, ids: Sequence[int]) -> NDArray[np.float32] | None:
    """Average these tokens' vectors to unit length; None where none of them was trained."""
    if not ids:
        return None
    return combine_units(words.rows(np.array(ids)), np.ones(len(ids)))


def _combine_terms(terms: Sequence[tuple[float, NDArray[np.float32] | None]]) -> NDArray[np.float32] | None:
    there = [(weight, vector) for weight, vector in terms if vector is not None]
    if not there:
        return None
    return combine_units(np.stack([vector for _, vector in there]), np.array([weight for weight, _ in there]))
