"""Vocabulary: the tokens of a model as a reader can see them, from its `tokenizer.json`.

Reads the vocabulary and the tokenizer's conventions, and finds a token by its text; cuts no text into tokens. Token
strings are hostile input: what is `shown` has no control, format or invisible character and is at most 40 characters
long; it is not escaped for HTML, which is the templates' work. Knows no torch.
"""

import json
import unicodedata
from pathlib import Path
from threading import Lock
from typing import Any, Literal, NamedTuple

import numpy as np

from app.core.judging.forms import form_of
from app.models.decoder import Decoder
from app.models.lookup import Lookup

Kind = Literal["text", "special", "byte"]
LONGEST = 40
"""Most characters of a shown token."""
VISIBLE = {" ": "·", "\n": "↵", "\t": "→", "\u00a0": "⍽"}
STARTS = ("<|begin_of_text|>", "<bos>", "<s>", "<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>")
"""Tokens that begin texts, then those that end one and so stand before the next: the first that a model has begins its own."""
# Drawn as nothing or as a gap, though Unicode counts them among letters, marks and symbols: fillers, joiners, variation
# selectors, the empty Braille cell, a note without a head.
INVISIBLE = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0x1D159}.union(
        range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)
    )
)


class TokenEntry(NamedTuple):
    """One token."""

    id: int
    text: str
    """The text it adds inside a text, its leading space included; `<0xE2>` for bytes that are no whole character."""
    shown: str
    """The text made visible: `·` for a space, `⍽` for one that breaks no line, `↵`, `→`, escapes like `\\u202e`, cut with `…`."""
    kind: Kind


class Vocabulary:
    """All ids of a model as tokens; entries are made when first asked for, and cached."""

    def __init__(self, tokenizer: Path, d_vocab: int) -> None:
        described = json.loads(tokenizer.read_text(encoding="utf-8"))
        added = described.get("added_tokens") or []
        self.size = d_vocab
        """Number of ids, more than the tokenizer knows where the embedding is padded."""
        self._pieces = _pieces_by_id(described["model"]["vocab"])
        self._literal = {token["id"]: token["content"] for token in added}
        self._special = {token["id"] for token in added if token["special"]}
        self._decoder = Decoder(described)
        self._entries: dict[int, TokenEntry] = {}
        self.words = Words(self)
        """The word of each id."""
        self._lookup: Lookup | None = None
        self._lock = Lock()
        self.known = np.zeros(d_vocab, dtype=bool)
        """True for ids that the tokenizer knows: [d_vocab]."""
        self.known[[id_ for id_ in self._pieces.keys() | self._literal.keys() if id_ < d_vocab]] = True

    def entry(self, id_: int) -> TokenEntry:
        """Return the token with that id; a placeholder such as `<12287>` for one that is unknown or adds nothing."""
        found = self._entries.get(id_)
        if found is None:
            found = self._entries[id_] = self._make(id_)
        return found

    @property
    def start(self) -> int | None:
        """The id of the token that begins a text of its own; None if there is none."""
        specials = self.specials
        return next((specials[text] for text in STARTS if text in specials), None)

    @property
    def specials(self) -> dict[str, int]:
        """The ids of special tokens, which stand for no text, by the words that the tokenizer knows them by."""
        by_id = sorted((id_, self._literal[id_]) for id_ in self._special if id_ < self.size)
        return {text: id_ for id_, text in reversed(by_id)}

    @property
    def lookup(self) -> Lookup:
        """Return the lookup of the tokens that the tokenizer knows: made when first asked for."""
        with self._lock:
            if self._lookup is None:
                texts = ((id_, self._read(id_)[0]) for id_ in np.flatnonzero(self.known).tolist())
                self._lookup = Lookup((id_, text, make_visible(text)) for id_, text in texts)
            return self._lookup

    def find(self, text: str) -> TokenEntry | None:
        """Find a token by its text, its shown form, or `#1234` for an id; None if there is none.

        Example: find(" Paris") is find("·Paris"), and is the entry of that token.
        """
        id_ = self.lookup.id_of(text)
        return None if id_ is None else self.entry(id_)

    def _make(self, id_: int) -> TokenEntry:
        if not 0 <= id_ < self.size:
            raise ValueError(f"token {id_} is not here: ids go from 0 to {self.size - 1}")
        text, kind = self._read(id_)
        return TokenEntry(id_, text, make_visible(text), kind)

    def _read(self, id_: int) -> tuple[str, Kind]:
        literal = self._literal.get(id_)
        piece = self._pieces.get(id_) if literal is None else literal
        if piece and id_ in self._special:
            return piece, "special"
        text, is_part = self._decoder.read(piece) if piece else ("", False)
        if not text:
            return f"<{id_}>", "special"
        if is_part:
            # An added token is its own text, so it is never a part of a character.
            return (text, "byte") if literal is None else (literal, "text")
        return text, "text"


class Words(dict[int, str | int]):
    """Words that tokens are but for case and white space; a token that is no word has its own id, which is unique."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self._vocabulary = vocabulary

    def __missing__(self, id_: int) -> str | int:
        entry = self._vocabulary.entry(id_)
        word = self[id_] = (form_of(entry.text) or id_) if entry.kind == "text" else id_
        return word


def make_visible(text: str) -> str:
    """Make everything in the text visible, at most 40 characters.

    Example: make_visible(" the\\n") -> "·the↵"
    """
    visible = "".join(map(_visible_character, text[: LONGEST + 1]))
    return visible if len(visible) <= LONGEST else visible[: LONGEST - 1] + "…"


def _visible_character(character: str) -> str:
    if character in VISIBLE:
        return VISIBLE[character]
    # C*: control, format, surrogate, private, unassigned. Z*: spaces and separators other than the plain space.
    code = ord(character)
    if code in INVISIBLE or unicodedata.category(character)[0] in "CZ":
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return character


def _pieces_by_id(vocab: dict[str, int] | list[list[Any]]) -> dict[int, str]:
    """Return the model's own pieces by id: BPE and WordPiece keep a mapping, Unigram a list of (piece, score)."""
    if isinstance(vocab, dict):
        return {id_: piece for piece, id_ in vocab.items()}
    return {id_: piece for id_, (piece, _score) in enumerate(vocab)}
