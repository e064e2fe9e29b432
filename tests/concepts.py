"""Concepts to search for, each with words for the query and a lexicon of the tokens that belong to it.

Twenty were used to choose methods; eighteen others had their words fixed before anything was scored.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
N_OF_LEXICON, N_WORDS, N_TOKENS = 5, 3, 20
"""A ray is about a concept if so many of its first tokens are in the lexicon, and so many different words."""
PLURAL = "PLURAL"
"""Entry of a lexicon for any word of four letters or more that ends in s, and not in ss, us or is."""


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept: the words of its query, and the lexicon that judges tokens."""

    name: str
    query: tuple[str, ...]
    lexicon: frozenset[str]

    def is_of(self, tokens: Sequence[str]) -> bool:
        """Return whether a ray with these tokens, best first, is about the concept."""
        words = [word for token in tokens[:N_TOKENS] if self._has(word := token.strip().lower())]
        return len(words) >= N_OF_LEXICON and len(set(words)) >= N_WORDS

    def _has(self, word: str) -> bool:
        if PLURAL in self.lexicon:
            return len(word) >= 4 and word.isalpha() and word.endswith("s") and word[-2] not in "sui"
        return word in self.lexicon


def read_concepts(name: str) -> list[Concept]:
    """Read the concepts of a file beside this one: `concepts` or `other_concepts`."""
    described = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return [Concept(key, tuple(concept["query"]), frozenset(concept["lexicon"])) for key, concept in described.items()]
