"""Forms: the words that tokens are, without case, width and white space. Knows nothing of vectors."""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

BYTES = re.compile(r"(?:<0x[0-9A-Fa-f]{2}>)+")
"""Tokens that spell bytes: the digits in them are no letters."""


class Forms(NamedTuple):
    """The forms of a vocabulary."""

    codes: Int32[np.ndarray, " n_tokens"]
    """The form of each token, by id; -1 for a token that has none."""
    texts: tuple[str, ...]
    """The text of each form."""


def form_of(text: str) -> str | None:
    """Return the word in a token's text, without case, width and white space; None for a text without a letter.

    Example: form_of(" Black") -> "black"; form_of("ﬁsh") -> "fish"; form_of(' "') -> None; form_of("<0xE2>") -> None
    """
    if BYTES.fullmatch(text):
        return None
    folded = unicodedata.normalize("NFKC", text).casefold().strip()
    return folded if any(map(str.isalpha, folded)) else None


def forms_of(texts: Sequence[str]) -> Forms:
    """Find the forms of tokens with these texts, by id; forms are numbered as they appear.

    Example: forms_of(["a", " A", ","]) -> Forms(codes=[0, 0, -1], texts=("a",))
    """
    numbers: dict[str, int] = {}
    found = (form_of(text) for text in texts)
    codes = [-1 if form is None else numbers.setdefault(form, len(numbers)) for form in found]
    return Forms(np.array(codes, np.int32), tuple(numbers))
