"""How a model's own tokenizer cuts a text, for words that are no single token.

The tokenizers library does it, which a server loads only for that; its file was held to be sound when the model was
imported. Knows nothing of what tokens look like.
"""

from pathlib import Path
from typing import Any

LONGEST = 1_000
"""Characters that are cut."""


class Pieces:
    """The tokenizer of one model."""

    def __init__(self, tokenizer: Path) -> None:
        """The tokenizer in that file; ValueError where the library does not read it."""
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f"{tokenizer.name} is not read: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def cut(self, text: str) -> list[int]:
        """The ids of the text's tokens, inside a longer text: none that mark its beginning or its end.

        Example: cut(" grumpy") -> [1665, 35796]
        """
        # A lone surrogate is no text to the library.
        plain = text[:LONGEST].encode("utf-8", "replace").decode("utf-8")
        found: list[int] = self._tokenizer.encode(plain, add_special_tokens=False).ids
        return found
