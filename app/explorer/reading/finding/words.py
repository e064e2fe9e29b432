"""A model's tokens as a search compares them: unit vectors without what most tokens share.

Held in memory where that is within bounds, else read from disk as they are asked for. Knows no query and no page.
"""

import numpy as np
from numpy.typing import NDArray

from app.explorer.bank import are_words_halved, n_word_parts, word_ids
from app.explorer.inventory import end_of
from app.explorer.layout import WORDS_PART
from app.explorer.library import OpenModel
from app.explorer.reading.finding.parts import change_told, held, located, not_built, recipes_for
from app.explorer.reading.finding.streams import multiply, read_rows, side_by_side
from app.explorer.resources import Resources
from app.explorer.view import End, Processing
from app.store.artifacts import Located

ROWS = 4_096
"""Of a table in memory, multiplied in one go: so that no thread is done long before another."""


class WordTable:
    """The tokens of one end of a model in one weight processing; never changes."""

    def __init__(self, model: OpenModel, places: tuple[Located, ...], table: NDArray[np.float32] | None) -> None:
        self._model, self._places, self._table = model, places, table

    @property
    def nbytes(self) -> int:
        """That are in memory."""
        return 0 if self._table is None else self._table.nbytes

    def rows(self, ids: NDArray[np.integer]) -> NDArray[np.float32]:
        """Unit vectors of these tokens [k d]; zeros for one that was never trained.

        ComputationFailed where a file has changed under the table.
        """
        if self._table is not None:
            own: NDArray[np.float32] = self._table[ids]
            return own
        found = np.empty((len(ids), self._model.header.d_model), np.float32)
        with change_told(self._model):
            for part in np.unique(ids // WORDS_PART).tolist():
                place = self._places[part]
                with place.opened() as handle:
                    for at in np.flatnonzero(ids // WORDS_PART == part).tolist():
                        first = int(ids[at]) - part * WORDS_PART
                        read_rows(place, handle, array_of(place), first, found[at : at + 1])
        return found

    def similarities(self, query: NDArray[np.floating]) -> NDArray[np.float32]:
        """The dot product of every token with the query [d_vocab], or with each of several [d k]: [d_vocab k].

        ComputationFailed as for `rows`.
        """
        query = np.ascontiguousarray(query, np.float32)
        found = np.empty((self._model.header.d_vocab, *query.shape[1:]), np.float32)
        if (table := self._table) is not None:

            def of_rows(own: slice) -> None:
                np.dot(table[own], query, out=found[own])

            side_by_side(of_rows, [slice(start, start + ROWS) for start in range(0, len(table), ROWS)])
            return found

        def of_part(part: int) -> None:
            own = word_ids(self._model, part)
            multiply(self._places[part], array_of(self._places[part]), query, found[own.start : own.stop])

        with change_told(self._model):
            side_by_side(of_part, range(len(self._places)))
        return found


def open_words(r: Resources, model: OpenModel, processing: Processing, end: End) -> WordTable:
    """The tokens of that end, kept for the next request; NotBuilt where they are not all there.

    Of raw tied weights both ends are one.
    """
    own = end_of(model, processing, end)
    parts = [part for part in recipes_for(model, processing) if part.subject.startswith(f"words/{own}/")]

    def opened() -> WordTable:
        places = tuple(place for _, place in located(r, parts))
        if len(places) < n_word_parts(model):
            raise not_built(model, processing)
        return WordTable(model, places, None if are_words_halved(model) else _table(model, places))

    return held(r, model, processing, f"words-{own}", parts, opened, lambda words: words.nbytes)


def array_of(place: Located) -> str:
    """What the vectors are called there."""
    return "halves" if "halves" in place.stretches else "unit"


def _table(model: OpenModel, places: tuple[Located, ...]) -> NDArray[np.float32]:
    table = np.empty((model.header.d_vocab, model.header.d_model), np.float32)
    for part, place in enumerate(places):
        with place.opened() as handle:
            own = word_ids(model, part)
            read_rows(place, handle, array_of(place), 0, table[own.start : own.stop])
    return table
