"""The tokens of a model as a reader can see them, out of its `tokenizer.json`.

Reads the vocabulary only: byte-level BPE (GPT-2) and pieces with `▁` for a space and bytes like `<0xE2>`
(SentencePiece, Unigram). Token strings are hostile input: what is `shown` has no control, format or invisible
character and is at most 40 characters long; it is not escaped for HTML, which is the templates' work. Cuts no text
into tokens and knows no torch.
"""

import json
import re
import unicodedata
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

Kind = Literal["text", "special", "byte"]
LONGEST = 40
"""Characters of a shown token."""
VISIBLE = {" ": "·", "\n": "↵", "\t": "→"}
BYTE = re.compile(r"<0x[0-9A-F]{2}>")


class Entry(NamedTuple):
    """One token."""

    id: int
    text: str
    """What it decodes to, its leading space included; `<0xE2>` for bytes that are no text by themselves."""
    shown: str
    """The text made visible: `·` for a space, `↵`, `→`, escapes like `\\u202e`, cut with `…`."""
    kind: Kind


class Vocabulary:
    """Every id of a model; entries are made when first asked for, and kept."""

    def __init__(self, tokenizer: Path, d_vocab: int) -> None:
        described = json.loads(tokenizer.read_text(encoding="utf-8"))
        added = described.get("added_tokens") or []
        self.size = d_vocab
        """Ids of the model; more than the tokenizer knows where the embedding is padded."""
        self._pieces = _pieces(described["model"]["vocab"])
        self._literal = {token["id"]: token["content"] for token in added}
        self._special = {token["id"] for token in added if token["special"]}
        self._bytes = _characters_of_bytes() if _mentions(described, "ByteLevel") else None
        self._entries: dict[int, Entry] = {}
        self.known = np.zeros(d_vocab, dtype=bool)
        """Which ids the tokenizer knows: [d_vocab]."""
        self.known[[id_ for id_ in self._pieces.keys() | self._literal.keys() if id_ < d_vocab]] = True

    def entry(self, id_: int) -> Entry:
        """The token with that id; for one that the tokenizer does not know, a placeholder such as `<12287>`."""
        found = self._entries.get(id_)
        if found is None:
            found = self._entries[id_] = self._make(id_)
        return found

    def _make(self, id_: int) -> Entry:
        if not 0 <= id_ < self.size:
            raise ValueError(f"token {id_} is not here: ids go from 0 to {self.size - 1}")
        text, kind = self._read(id_)
        return Entry(id_, text, shown(text), kind)

    def _read(self, id_: int) -> tuple[str, Kind]:
        if id_ in self._special:
            return self._literal[id_], "special"
        if id_ in self._literal:
            return self._literal[id_], "text"
        piece = self._pieces.get(id_)
        if piece is None:
            return f"<{id_}>", "special"
        if self._bytes is not None:
            return _byte_level(piece, self._bytes)
        return (piece, "byte") if BYTE.fullmatch(piece) else (piece.replace("▁", " "), "text")


def shown(text: str) -> str:
    """The text with everything visible, at most 40 characters.

    Example: shown(" the\\n") -> "·the↵"
    """
    visible = "".join(map(_visible, text[: LONGEST + 1]))
    return visible if len(visible) <= LONGEST else visible[: LONGEST - 1] + "…"


def _visible(character: str) -> str:
    if character in VISIBLE:
        return VISIBLE[character]
    # C*: control, format, surrogate, private, unassigned. Z*: spaces and separators other than the plain space.
    if unicodedata.category(character)[0] in "CZ":
        code = ord(character)
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return character


def _pieces(vocab: dict[str, int] | list[list[Any]]) -> dict[int, str]:
    """The model's own pieces by id: BPE and WordPiece keep a mapping, Unigram a list of (piece, score)."""
    if isinstance(vocab, dict):
        return {id_: piece for piece, id_ in vocab.items()}
    return {id_: piece for id_, (piece, _score) in enumerate(vocab)}


def _mentions(described: dict[str, Any], kind: str) -> bool:
    """Whether the decoder is of that kind, by itself or in a sequence."""
    decoder = described.get("decoder") or {}
    return any(part.get("type") == kind for part in [decoder, *decoder.get("decoders", [])])


def _byte_level(piece: str, bytes_of: dict[str, int]) -> tuple[str, Kind]:
    """The text of a byte-level piece; its bytes by number where they are only a part of a character."""
    if not all(character in bytes_of for character in piece):
        return piece, "text"
    raw = bytes(bytes_of[character] for character in piece)
    try:
        return raw.decode("utf-8"), "text"
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in raw), "byte"


def _characters_of_bytes() -> dict[str, int]:
    """GPT-2's alphabet: each byte as a printable character, those that are not printable moved up from 256."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(moved)}
