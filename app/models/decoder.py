"""Decoder of pieces: the text that a token adds, by its tokenizer's spelling of spaces and bytes.

Follows the decoder in `tokenizer.json` as the tokenizers library does, for a token inside a text: what concerns the
first token of a text or its end (a stripped space) is left out. Where the two differ, it is on purpose:

- WordPiece: `##ing` continues a word and is `ing`; a piece without the mark begins one and is ` the`, with a space, as
  GPT-2's tokens that begin a word are. The library's clean-up of punctuation is left out: it would make `,` of both
  `,` and `##,`, and a reader wants to tell them apart.
- An end-of-word mark (`the</w>`) is a space behind the word, which the library leaves out at the end of a text.
- Bytes that are no character by themselves are spelt `<0xE2>`, where the library has U+FFFD for all of them.
- Without a decoder the library puts a space between any two tokens, which says nothing about either: left out.

Knows no ids and no vocabulary.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

LONGEST = 20_000
"""Characters of a piece that are decoded; a vocabulary may hold pieces of megabytes."""
LONGEST_REPLACEMENT = 16
BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")

DecodingStep = Callable[[str], str]


class Decoder:
    """The spelling conventions of one tokenizer."""

    def __init__(self, described: dict[str, Any]) -> None:
        model, decoder = described["model"], described.get("decoder")
        parts = list(_iterate_parts(decoder)) if decoder else _guess_decoder(described)
        kinds = {part.get("type") for part in parts}
        self._alphabet = _characters_of_bytes() if "ByteLevel" in kinds else None
        self._has_bytes = "ByteFallback" in kinds or bool(model.get("byte_fallback"))
        self._suffix = _find_suffix(model, parts)
        self._steps = list(_decoding_steps(parts))

    def read(self, piece: str) -> tuple[str, bool]:
        """Decode a piece to its text, and tell whether that is only part of a character, spelt as bytes: `<0xE2>`.

        Example, for Llama's conventions: "▁the" -> (" the", False); "<0x0A>" -> ("\\n", False)
        """
        piece = piece[:LONGEST]
        byte = BYTE.fullmatch(piece) if self._has_bytes else None
        if byte is not None:
            return _decode_bytes(bytes.fromhex(byte[1]))
        is_end = bool(self._suffix) and piece.endswith(self._suffix)
        if is_end:
            piece = piece.removesuffix(self._suffix)
        text, is_part = (piece, False) if self._alphabet is None else _decode_byte_level(piece, self._alphabet)
        for step in self._steps:
            text = step(text)[:LONGEST]
        return text + " " * is_end, is_part


def _iterate_parts(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the one part of a tokenizer's pipeline, or all parts of a sequence of them."""
    if isinstance(node, dict):
        for key in ("decoders", "pretokenizers", "normalizers"):
            for each in node.get(key) or []:
                yield from _iterate_parts(each)
        if node.get("type") != "Sequence":
            yield node


def _guess_decoder(described: dict[str, Any]) -> list[dict[str, Any]]:
    """Guess the decoder of a tokenizer that comes without one, from its normalizer and pre-tokenizer."""
    if described["model"].get("type") == "WordPiece":
        return [{"type": "WordPiece", "prefix": described["model"].get("continuing_subword_prefix") or "##"}]
    ways_in = [*_iterate_parts(described.get("normalizer")), *_iterate_parts(described.get("pre_tokenizer"))]
    guessed = [part for part in ways_in if part.get("type") in {"ByteLevel", "Metaspace"}]
    if any(part.get("type") == "Replace" and part.get("content") == "▁" for part in ways_in):
        guessed.append({"type": "Metaspace"})
    return guessed


def _find_suffix(model: dict[str, Any], parts: list[dict[str, Any]]) -> str:
    """Find the mark at the end of a word; empty if words have none."""
    marks = [part.get("suffix") for part in parts if part.get("type") == "BPEDecoder"]
    return str(next(filter(None, [model.get("end_of_word_suffix"), *marks]), ""))


def _decoding_steps(parts: list[dict[str, Any]]) -> Iterator[DecodingStep]:
    """Yield the functions that decode a piece, in order."""
    is_fused = False
    for part in parts:
        kind = part.get("type")
        if kind == "Fuse":
            is_fused = True
        elif kind == "WordPiece":
            yield _word_piece_step(part.get("prefix") or "##")
        elif kind == "Metaspace":
            yield _replace_step(part.get("replacement") or "▁", " ")
        elif kind == "Replace":
            # Regular expressions apply to the whole text.
            yield _replace_step((part.get("pattern") or {}).get("String"), part.get("content"))
        elif kind == "Strip" and not is_fused:  # once fused, it applies to the ends of the whole text
            yield _strip_step(part.get("content") or " ", part.get("start") or 0, part.get("stop") or 0)


def _word_piece_step(prefix: str) -> DecodingStep:
    return lambda piece: piece.removeprefix(prefix) if piece.startswith(prefix) else f" {piece}"


def _replace_step(old: Any, new: Any) -> DecodingStep:
    """Build a step that replaces a mark by a few characters; a longer replacement is no convention and is ignored."""
    if not (isinstance(old, str) and old and isinstance(new, str) and len(new) <= LONGEST_REPLACEMENT):
        return lambda piece: piece
    return lambda piece: piece.replace(old, new)


def _strip_step(content: str, start: int, stop: int) -> DecodingStep:
    def strip(piece: str) -> str:
        n_left = min(len(piece) - len(piece.lstrip(content)), start)
        piece = piece[n_left:]
        n_right = min(len(piece) - len(piece.rstrip(content)), stop)
        return piece[: len(piece) - n_right]

    return strip


def _decode_byte_level(piece: str, alphabet: dict[str, int]) -> tuple[str, bool]:
    """Decode a byte-level piece; itself where it is not spelt in that alphabet, as added tokens are."""
    if not all(character in alphabet for character in piece):
        return piece, False
    return _decode_bytes(bytes(alphabet[character] for character in piece))


def _decode_bytes(raw: bytes) -> tuple[str, bool]:
    """Decode the bytes as characters, or else spell the bytes by number."""
    try:
        return raw.decode("utf-8"), False
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in raw), True


def _characters_of_bytes() -> dict[str, int]:
    """Build GPT-2's alphabet: each byte as a printable character, unprintable ones moved up from 256."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(moved)}
