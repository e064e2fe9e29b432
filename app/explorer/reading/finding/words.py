"""A model's tokens as a search compares them: unit vectors without the components that most tokens share.

Held in memory where they are small enough, else read from disk on demand. Knows no query and no page.
"""

import numpy as np
from numpy.typing import NDArray

from app.explorer.bank import are_words_halved, count_word_parts, word_ids
from app.explorer.inventory import end_of
from app.explorer.layout import WORDS_PART
from app.explorer.library import OpenModel
from app.explorer.reading.finding.parts import get_or_build, locate_parts, not_built_error, recipes_for, report_changes
from app.explorer.reading.finding.streams import multiply_rows, read_parts, read_rows, run_in_parallel
from app.explorer.resources import Resources
from app.explorer.view import End, Processing
from app.store.artifacts import Located

ROWS = 4_096
"""Rows of a table in memory that a thread multiplies in one go: small, so that the threads finish together."""


class WordTable:
    """The tokens' vectors at one end of a model in one weight processing; immutable."""

    def __init__(self, model: OpenModel, places: tuple[Located, ...], table: NDArray[np.float32] | None) -> None:
        self._model, self._places, self._table = model, places, table

    @property
    def nbytes(self) -> int:
        """Bytes that are in memory."""
        return 0 if self._table is None else self._table.nbytes

    def rows(self, ids: NDArray[np.integer]) -> NDArray[np.float32]:
        """Read the unit vectors of these tokens [k d]; zeros for one that was never trained.

        ComputationFailed where a file has changed under the table.
        """
        if self._table is not None:
            own: NDArray[np.float32] = self._table[ids]
            return own
        found = np.empty((len(ids), self._model.header.d_model), np.float32)
        with report_changes(self._model):
            for part in np.unique(ids // WORDS_PART).tolist():
                place = self._places[part]
                with place.open_handle() as handle:
                    for at in np.flatnonzero(ids // WORDS_PART == part).tolist():
                        first = int(ids[at]) - part * WORDS_PART
                        read_rows(place, handle, array_of(place), first, found[at : at + 1])
        return found

    def similarities(self, query: NDArray[np.floating]) -> NDArray[np.float32]:
        """Compute the dot product of every token with the query [d_vocab], or with each of several [d k]: [d_vocab k].

        ComputationFailed as for `rows`.
        """
        query = np.ascontiguousarray(query, np.float32)
        found = np.empty((self._model.header.d_vocab, *query.shape[1:]), np.float32)
        if (table := self._table) is not None:

            def multiply_slice(own: slice) -> None:
                np.dot(table[own], query, out=found[own])

            run_in_parallel(multiply_slice, [slice(start, start + ROWS) for start in range(0, len(table), ROWS)])
            return found

        def multiply_part(part: int) -> None:
            own = word_ids(self._model, part)
            multiply_rows(self._places[part], array_of(self._places[part]), query, found[own.start : own.stop])

        with report_changes(self._model):
            run_in_parallel(multiply_part, range(len(self._places)))
        return found


def open_words(r: Resources, model: OpenModel, processing: Processing, end: End) -> WordTable:
    """Open the tokens of one end, cached for the next request; NotBuilt where a part is missing.

    With raw tied weights both ends are the same.
    """
    own = end_of(model, processing, end)
    parts = [part for part in recipes_for(model, processing) if part.subject.startswith(f"words/{own}/")]

    def build() -> WordTable:
        places = tuple(place for _, place in locate_parts(r, parts))
        if len(places) < count_word_parts(model):
            raise not_built_error(model, processing)
        return WordTable(model, places, None if are_words_halved(model) else _read_table(model, places))

    return get_or_build(r, model, processing, f"words-{own}", parts, build, lambda words: words.nbytes)


def array_of(place: Located) -> str:
    """Return the name of the array of vectors."""
    return "halves" if "halves" in place.stretches else "unit"


def _read_table(model: OpenModel, places: tuple[Located, ...]) -> NDArray[np.float32]:
    table = np.empty((model.header.d_vocab, model.header.d_model), np.float32)
    read_parts(((place, array_of(place)) for place in places), table)
    return table
