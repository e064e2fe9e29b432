"""Which directions have a text among the tokens that are kept at either end of a side, and where.

A whole token is one that is the text but for capitals, width and white space around it. Knows how rows stand in an
artifact (`app.explorer.reading.directions`), not how they were made. Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.core.address import Sign
from app.core.judging.forms import form_of
from app.explorer.layout import PREFIXES
from app.explorer.pages.directions import Direction, SideReadout
from app.explorer.pages.rays import Hit, Token
from app.explorer.reading.directions import NAMES, Rows
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays

ENDS: tuple[tuple[Sign, str], ...] = (("p", "top"), ("n", "bottom"))
BEYOND = 3
"""At an end, of those that stand behind the tokens that a table shows."""


@dataclass(frozen=True)
class Hits:
    """The tokens that a text occurs in, out of all that the rows of an artifact have."""

    ends: tuple[tuple[int, Sign, str], ...]
    """Side (0 left, 1 right), ray, and the name that its arrays begin with."""
    ids: NDArray[np.int32]
    whole: NDArray[np.int32]
    """Of them, those that are the text."""

    def rows(self, arrays: Arrays, rows: Rows) -> Rows:
        """Those of the rows that have any, first those with a whole one, each in the order that they had."""
        if not self.ends:
            return rows[:0]
        kept = np.concatenate([arrays[f"{end}_ids"][rows] for _, _, end in self.ends], axis=1)
        is_whole = np.isin(kept, self.whole).any(axis=1)
        has_any = is_whole | np.isin(kept, self.ids).any(axis=1)
        return np.concatenate([rows[is_whole], rows[has_any & ~is_whole]])

    def marked(
        self, arrays: Arrays, rows: Rows, directions: Sequence[Direction], k: int, vocabulary: Vocabulary
    ) -> tuple[Direction, ...]:
        """These rows' directions, each with where the text occurs: in the first k tokens of a ray, and a few behind."""
        return tuple(
            replace(
                one,
                left=self._of(0, arrays, row, one.left, k, vocabulary),
                right=self._of(1, arrays, row, one.right, k, vocabulary),
            )
            for row, one in zip(rows.tolist(), directions, strict=True)
        )

    def _of(
        self, side: int, arrays: Arrays, row: int, readout: SideReadout, k: int, vocabulary: Vocabulary
    ) -> SideReadout:
        found: list[Hit] = []
        for own, ray, end in self.ends:
            if own == side:
                found += self._at(ray, arrays[f"{end}_ids"][row], arrays[f"{end}_scores"][row], k, vocabulary)
        return replace(readout, found=tuple(found))

    def _at(
        self, ray: Sign, ids: NDArray[np.int32], scores: NDArray[np.float32], k: int, vocabulary: Vocabulary
    ) -> list[Hit]:
        places = np.flatnonzero(np.isin(ids, self.ids) & (scores != 0)).tolist()
        whole = set(self.whole.tolist())
        all_ = [
            Hit(
                ray,
                place + 1,
                Token(*vocabulary.entry(int(ids[place])), float(scores[place])),
                int(ids[place]) in whole,
            )
            for place in places
        ]
        behind = sorted((one for one in all_ if one.place > k), key=lambda one: not one.is_whole)
        return [one for one in all_ if one.place <= k] + behind[:BEYOND]


def hits(arrays: Arrays, text: str, n_rays: int, vocabulary: Vocabulary, sides: tuple[str, str]) -> Hits:
    """Where the text occurs in the tokens of the artifact's rows, case ignored; sides without tokens have none."""
    ends = tuple(
        (at, ray, f"{side}_{end}")
        for at, (side, name) in enumerate(zip(PREFIXES, sides, strict=True))
        for ray, end in ENDS[:n_rays]
        if name not in NAMES or name == "token"
    )
    ids = (
        np.unique(np.concatenate([arrays[f"{end}_ids"].ravel() for _, _, end in ends]))
        if ends
        else np.empty(0, np.int32)
    )
    needle, word = text.casefold(), form_of(text.replace("·", " "))
    found: list[int] = []
    whole: list[int] = []
    for id_ in ids.tolist():
        entry = vocabulary.entry(id_)
        if needle in (entry.text.casefold(), entry.shown.casefold()) or (
            word is not None and form_of(entry.text) == word
        ):
            whole.append(id_)
        elif needle not in entry.text.casefold() and needle not in entry.shown.casefold():
            continue
        found.append(id_)
    return Hits(ends, np.array(found, np.int32), np.array(whole, np.int32))
