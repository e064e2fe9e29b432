"""Token selection: the tokens that readouts may show, and the product that ranks them.

Knows a token's text, kind and id, and not whether training ever moved it.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.models.vocabulary import TokenEntry, Vocabulary

Product = Literal["dot", "cosine"]
"""`dot`: the product of a token's vector with the direction, as the network computes it; `cosine`: that of its unit
vector, so that long vectors do not come first everywhere."""

FREQUENT = (0, 100, 500, 1_000, 5_000)
"""Numbers of first ids that visitors may leave out: each other number would need random directions of its own."""


@dataclass(frozen=True)
class Selection:
    """A selection of tokens that readouts may show; the defaults let all pass."""

    ascii: bool = False
    """Only texts of ASCII characters."""
    starts: bool = False
    """Only starts of words: a space, then a letter."""
    plain: bool = False
    """Neither special tokens nor any that were never trained."""
    frequent: int = 0
    """Leaves out so many of the first ids: most vocabularies number their tokens from frequent to rare."""
    readout: Product = "dot"
    """The product that ranks the selected tokens."""

    def __bool__(self) -> bool:
        # Called for every link of a page, so it is written out.
        return self.ascii or self.starts or self.plain or self.frequent != 0

    def parameters(self) -> dict[str, int]:
        """Return the options that select tokens, without those that let all pass."""
        said = {"ascii": self.ascii, "starts": self.starts, "plain": self.plain, "frequent": self.frequent}
        return {name: int(value) for name, value in said.items() if value}

    def recipe_parameters(self) -> dict[str, int]:
        """Return all options that decide a readout, for a recipe, without defaults."""
        return self.parameters() | ({"cosine": 1} if self.readout == "cosine" else {})


EVERY = Selection()


def select_tokens(vocabulary: Vocabulary, selection: Selection) -> NDArray[np.bool_]:
    """Select tokens that the tokenizer knows and that pass: [d_vocab]."""
    return _select_tokens(vocabulary, selection).copy()


@lru_cache(maxsize=64)
def _select_tokens(vocabulary: Vocabulary, selection: Selection) -> NDArray[np.bool_]:
    # Cached, because every page with a filter shows how many tokens it leaves.
    ids = np.flatnonzero(vocabulary.known)
    passed = np.zeros(vocabulary.size, dtype=bool)
    passed[[id_ for id_ in ids.tolist() if _passes(vocabulary.entry(id_), selection)] if selection else ids] = True
    return passed


def _passes(entry: TokenEntry, selection: Selection) -> bool:
    word = entry.text.removeprefix(" ")
    return (
        entry.id >= selection.frequent
        and not (selection.plain and entry.kind == "special")
        and not (selection.ascii and not (entry.kind == "text" and entry.text.isascii()))
        and not (selection.starts and not (entry.text != word and word[:1].isalpha()))
    )
