"""Which tokens a reader wants to see, and by what they are ranked: a choice of kinds, and the ids that pass it.

Knows a token's text, kind and id; whether training ever moved it is not known here.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.models.vocabulary import TokenEntry, Vocabulary

Product = Literal["dot", "cosine"]
"""`dot`: the product of a token's vector with the direction, as the network computes it; `cosine`: that of the token's
vector at unit length, so that long ones do not stand everywhere."""

FREQUENT = (0, 100, 500, 1_000, 5_000)
"""So many of the first ids visitors may leave out: each other number would need random directions of its own."""


@dataclass(frozen=True)
class Selection:
    """Tokens that readouts may show; what is left unsaid lets all pass. True where some may be left out."""

    ascii: bool = False
    """Only texts of ASCII characters."""
    starts: bool = False
    """Only starts of words: a space, then a letter."""
    plain: bool = False
    """Neither special tokens nor any that were never trained."""
    frequent: int = 0
    """Without so many of the first ids: most vocabularies number their tokens from frequent to rare."""
    readout: Product = "dot"
    """By what those that pass are ranked."""

    def __bool__(self) -> bool:
        # Asked of every link of a page.
        return self.ascii or self.starts or self.plain or self.frequent != 0

    def parameters(self) -> dict[str, int]:
        """What it says of tokens: nothing of what lets all pass."""
        said = {"ascii": self.ascii, "starts": self.starts, "plain": self.plain, "frequent": self.frequent}
        return {name: int(value) for name, value in said.items() if value}

    def deciding(self) -> dict[str, int]:
        """All that decides a readout, for a recipe: nothing of what is as usual."""
        return self.parameters() | ({"cosine": 1} if self.readout == "cosine" else {})


EVERY = Selection()


def selected(vocabulary: Vocabulary, selection: Selection) -> NDArray[np.bool_]:
    """Which of the tokens that the tokenizer knows pass: [d_vocab]."""
    return _selected(vocabulary, selection).copy()


@lru_cache(maxsize=64)
def _selected(vocabulary: Vocabulary, selection: Selection) -> NDArray[np.bool_]:
    # Kept, because every page with a filter asks how many tokens that leaves.
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
