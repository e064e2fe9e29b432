"""A model's own tokenizer, which cuts words that are no single token into pieces.

It loads the tokenizers library, which a server needs only for that; the tokenizer's file was checked when the model was
imported. Knows nothing of how tokens are shown.
"""

from pathlib import Path
from typing import Any

LONGEST = 1_000
"""Most characters of a text that are cut."""


class Pieces:
    """The tokenizer of one model."""

    def __init__(self, tokenizer: Path) -> None:
        """Open the tokenizer in that file; ValueError if the library cannot read it."""
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f"{tokenizer.name} is not read: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def tokenize(self, text: str) -> list[int]:
        """Split a text into token ids, as inside a longer text: without tokens that mark its beginning or end.

        Example: tokenize(" grumpy") -> [1665, 35796]
        """
        # The library rejects lone surrogates.
        plain = text[:LONGEST].encode("utf-8", "replace").decode("utf-8")
        found: list[int] = self._tokenizer.encode(plain, add_special_tokens=False).ids
        return found

    def tokenize_whole(self, text: str) -> list[int]:
        """Split a whole text into token ids, however long, with those that the tokenizer marks a beginning or end with.

        UnicodeEncodeError for a text with lone surrogates.
        """
        text.encode("utf-8")
        found: list[int] = self._tokenizer.encode(text).ids
        return found
