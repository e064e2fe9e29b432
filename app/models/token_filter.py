"""The token filter: the tokens that readouts may show, and the product that ranks them.

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
class TokenFilter:
    """Which tokens readouts may show; the defaults let all pass."""

    ascii: bool = False
    """Only texts of ASCII characters."""
    starts: bool = False
    """Only starts of words: a space, then a letter."""
    plain: bool = False
    """Neither special tokens nor any that were never trained."""
    frequent: int = 0
    """Leaves out so many of the first ids: most vocabularies number their tokens from frequent to rare."""
    readout: Product = "dot"
    """The product that ranks the tokens that pass."""

    def __bool__(self) -> bool:
        # Called for every link of a page, so it is written out.
        return self.ascii or self.starts or self.plain or self.frequent != 0

    def parameters(self) -> dict[str, int]:
        """Return the options that filter tokens, without those that let all pass."""
        said = {"ascii": self.ascii, "starts": self.starts, "plain": self.plain, "frequent": self.frequent}
        return {name: int(value) for name, value in said.items() if value}

    def recipe_parameters(self) -> dict[str, int]:
        """Return all options that decide a readout, for a recipe, without defaults."""
        return self.parameters() | ({"cosine": 1} if self.readout == "cosine" else {})


EVERY = TokenFilter()


def filter_tokens(vocabulary: Vocabulary, token_filter: TokenFilter) -> NDArray[np.bool_]:
    """Filter the tokens that the tokenizer knows: which pass: [d_vocab]."""
    return _filter_tokens(vocabulary, token_filter).copy()


@lru_cache(maxsize=64)
def _filter_tokens(vocabulary: Vocabulary, token_filter: TokenFilter) -> NDArray[np.bool_]:
    # Cached, because every page with a filter shows how many tokens it leaves.
    ids = np.flatnonzero(vocabulary.known)
    passed = np.zeros(vocabulary.size, dtype=bool)
    passed[[id_ for id_ in ids.tolist() if _passes(vocabulary.entry(id_), token_filter)] if token_filter else ids] = (
        True
    )
    return passed


def _passes(entry: TokenEntry, token_filter: TokenFilter) -> bool:
    word = entry.text.removeprefix(" ")
    return (
        entry.id >= token_filter.frequent
        and not (token_filter.plain and entry.kind == "special")
        and not (token_filter.ascii and not (entry.kind == "text" and entry.text.isascii()))
        and not (token_filter.starts and not (entry.text != word and word[:1].isalpha()))
    )
