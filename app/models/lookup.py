"""Lookup of tokens by text: from what a person types or pastes to an id.

A token is found by its exact text (" Paris"), by the form it is shown in ("·Paris"), or as `#1234` by its id, which is
the only way to one of several tokens with the same text: the smallest id has it. Knows ids and strings, not how
either comes from a tokenizer.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from heapq import nsmallest
from itertools import islice

LONGEST = 100
"""Longest text that is looked up, and longest spelling of a token, in characters."""
ID = re.compile(r"#(0|[1-9][0-9]{0,99})")


class Lookup:
    """The tokens of one vocabulary by their texts."""

    def __init__(self, tokens: Iterable[tuple[int, str, str]]) -> None:
        """Index `tokens`: (id, text, shown), ids rising."""
        self._texts: dict[str, int] = {}
        self._shown: dict[str, int] = {}
        self._ids: set[int] = set()
        for id_, text, shown in tokens:
            self._ids.add(id_)
            self._texts.setdefault(text, id_)
            if shown != text:
                self._shown.setdefault(shown, id_)
        self._sorted = sorted(self._texts)
        self.largest = max(self._ids, default=-1)
        """The last id that is a token; the first is 0 or a little more."""

    def id_of(self, text: str) -> int | None:
        """Find the token that the text names; None if it names none.

        An id comes before a text that looks like one, a text before a shown form: "#7" is token 7, "·" the middle dot.
        """
        number = ID.fullmatch(text)
        if number is not None and int(number[1]) in self._ids:
            return int(number[1])
        found = self._texts.get(text)
        return self._shown.get(text) if found is None else found

    def spelling(self, id_: int, text: str) -> str:
        """Spell a token so that a link finds it again: by its text where a link can hold it, else by its id.

        Example: spelling(6342, " Paris") -> " Paris"; spelling(198, "\\n") -> "#198"
        """
        is_plain = text.isprintable() and len(text) <= LONGEST
        return text if is_plain and self.id_of(text) == id_ else f"#{id_}"

    def variants(self, text: str) -> list[int]:
        """Find the same word with and without a space in front, as it is, in small letters, in capitals and
        capitalised.

        The text itself is not among them; the other way to write its beginning comes first.
        """
        word = text.removeprefix(" ")
        spaces = ("", " ") if text.startswith(" ") else (" ", "")
        cases = dict.fromkeys((word, word.lower(), word.capitalize(), word.upper()))
        spelt = (space + case for case in cases if case for space in spaces)
        return list(dict.fromkeys(self._texts[each] for each in spelt if each != text and each in self._texts))

    def starts(self, text: str, n: int) -> list[int]:
        """Find the n longest tokens that begin the text, with or without a space in front; never the whole text."""
        word = text.removeprefix(" ")
        spelt = (space + word[:size] for size in range(len(word) - 1, 0, -1) for space in (" ", ""))
        return list(islice((self._texts[each] for each in spelt if each in self._texts), n))

    def find_longer(self, text: str, n: int) -> list[int]:
        """Find the n tokens of smallest id that begin with the text and go on, with or without a space in front."""
        word = text.removeprefix(" ")
        if not word:
            return []
        longer = (id_ for start in (word, f" {word}") for id_ in self._beginning_with(start))
        return nsmallest(n, longer)

    def _beginning_with(self, start: str) -> Iterator[int]:
        for at in range(bisect_left(self._sorted, start), len(self._sorted)):
            if not self._sorted[at].startswith(start):
                return
            if self._sorted[at] != start:
                yield self._texts[self._sorted[at]]
