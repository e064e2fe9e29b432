"""A checkpoint's fingerprint, and the proof that tensors read later are those that went into it.

A folder may change while it is imported. The fingerprint is one running hash over all tensors; its state before and
after each of them is kept, so that the bytes of a tensor read again can be checked against the fingerprint itself.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.models.importing.folder.header import Stored
from app.models.refusal import ImportRefused

PIECE = 1 << 20


@dataclass(frozen=True)
class Fingerprint:
    """The fingerprint's 64 digits, and the states of its hash."""

    digits: str
    _states: Mapping[str, tuple[Any, bytes]]
    """The hash before a tensor's bytes, and its digest after them, by tensor."""

    def pieces(self, tensor: Stored, size: int = PIECE) -> Iterator[bytes]:
        """Yield the tensor's bytes in pieces; ImportRefused after the last if they are not those that were hashed."""
        before, after = self._states[tensor.name]
        digest = before.copy()
        for piece in tensor.pieces(size):
            digest.update(piece)
            yield piece
        if digest.digest() != after:
            raise ImportRefused(
                f"{tensor.file.name} was changed while it was imported ({tensor.name} is not what it was at first): "
                "import the model again when nothing writes to its folder any more"
            )


def take_fingerprint(facts: Mapping[str, Any], tokenizer: bytes, tensors: Sequence[Stored]) -> Fingerprint:
    """Hash a config's facts, a tokenizer and tensors, every byte of which is read."""
    digest = hashlib.sha256()
    digest.update(json.dumps(facts, sort_keys=True).encode())
    digest.update(hashlib.sha256(tokenizer).digest())
    states = {}
    for tensor in tensors:
        digest.update(json.dumps([tensor.name, tensor.dtype, tensor.shape]).encode())
        before = digest.copy()
        for piece in tensor.pieces(PIECE):
            digest.update(piece)
        states[tensor.name] = before, digest.digest()
    return Fingerprint(digest.hexdigest(), states)
