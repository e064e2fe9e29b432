"""A search for a text among the kept tokens of a matrix's directions.

A whole hit is a token equal to the text but for capitals, width and white space around it. Knows how rows are laid out
in an artifact (`app.explorer.reading.directions`), not how they were made. Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.core.address import Sign
from app.core.judging.forms import form_of
from app.explorer.layout import SIDE_PREFIXES
from app.explorer.pages.directions import Direction, SideReadout
from app.explorer.pages.rays import Hit, Token
from app.explorer.reading.directions import ENTRY_NAMES, Rows
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays

ENDS: tuple[tuple[Sign, str], ...] = (("p", "top"), ("n", "bottom"))
MOST_BEHIND = 3
"""Hits of an end that are shown from behind the tokens of a table."""


@dataclass(frozen=True)
class Hits:
    """The tokens of an artifact that contain a text."""

    ends: tuple[tuple[int, Sign, str], ...]
    """Side (0 left, 1 right), ray, and the prefix of its arrays."""
    ids: NDArray[np.int32]
    whole: NDArray[np.int32]
    """Those that equal the text."""

    def rows(self, arrays: Arrays, rows: Rows) -> Rows:
        """Keep the rows that have a hit, those with a whole one first, else in their order."""
        if not self.ends:
            return rows[:0]
        kept = np.concatenate([arrays[f"{end}_ids"][rows] for _, _, end in self.ends], axis=1)
        is_whole = np.isin(kept, self.whole).any(axis=1)
        has_any = is_whole | np.isin(kept, self.ids).any(axis=1)
        return np.concatenate([rows[is_whole], rows[has_any & ~is_whole]])

    def add_hits(
        self, arrays: Arrays, rows: Rows, directions: Sequence[Direction], k: int, vocabulary: Vocabulary
    ) -> tuple[Direction, ...]:
        """Add to each row's direction its hits: those among the first k tokens of a ray, and a few behind."""
        return tuple(
            replace(
                one,
                left=self._add_to_side(0, arrays, row, one.left, k, vocabulary),
                right=self._add_to_side(1, arrays, row, one.right, k, vocabulary),
            )
            for row, one in zip(rows.tolist(), directions, strict=True)
        )

    def _add_to_side(
        self, side: int, arrays: Arrays, row: int, readout: SideReadout, k: int, vocabulary: Vocabulary
    ) -> SideReadout:
        found: list[Hit] = []
        for own, ray, end in self.ends:
            if own == side:
                found += self._find_in_ray(ray, arrays[f"{end}_ids"][row], arrays[f"{end}_scores"][row], k, vocabulary)
        return replace(readout, found=tuple(found))

    def _find_in_ray(
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
        return [one for one in all_ if one.place <= k] + behind[:MOST_BEHIND]


def find_hits(arrays: Arrays, text: str, n_rays: int, vocabulary: Vocabulary, sides: tuple[str, str]) -> Hits:
    """Find the tokens of the artifact's rows that contain the text, case ignored; sides without tokens have none."""
    ends = tuple(
        (at, ray, f"{side}_{end}")
        for at, (side, name) in enumerate(zip(SIDE_PREFIXES, sides, strict=True))
        for ray, end in ENDS[:n_rays]
        if name not in ENTRY_NAMES or name == "token"
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
