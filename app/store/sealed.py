"""An artifact as bytes: a safetensors file whose header holds recipe, facts and a checksum over every byte of the file.

The checksum is taken with its own digits blank, so that the header is covered as well as the arrays: nothing is parsed
or believed before it holds. Knows no folder and does not know what a recipe means.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

Arrays = Mapping[str, NDArray[Any]]

LENGTH_BYTES = 8
"""Before the header: its length, little-endian."""
MARK = b'"sha256":"'
"""Stands before the checksum; quotes inside the other values are escaped, so it stands nowhere else in a header."""
BLANK = b"0" * 64


class Damaged(ValueError):
    """The bytes are not those that were written; the message says how that was noticed."""


@dataclass(frozen=True)
class Contents:
    """What a sealed file holds."""

    recipe: str
    facts: str
    """JSON."""
    arrays: Arrays


def seal(contents: Contents) -> bytes:
    """The file for these contents."""
    arrays = {name: np.ascontiguousarray(array) for name, array in contents.arrays.items()}
    metadata = {"recipe": contents.recipe, "facts": contents.facts, "sha256": BLANK.decode()}
    data: bytes = serialise(arrays, metadata)
    at = checksum_at(data)
    return data[:at] + _checksum(data, at) + data[at + len(BLANK) :]


def unseal(data: bytes) -> Contents:
    """What the file holds; Damaged if any bit of it is not as it was written."""
    at = checksum_at(data)
    if data[at : at + len(BLANK)] != _checksum(data, at):
        raise Damaged("its checksum does not match")
    try:
        return Contents(arrays=parse(data), **words_of(data[LENGTH_BYTES : LENGTH_BYTES + header_length(data)]))
    except SafetensorError as error:
        raise Damaged(str(error)) from error


def recipe_in(path: Path) -> str:
    """The recipe in a file's header, read without the arrays and without proof; Damaged if there is none, OSError."""
    with path.open("rb") as file:
        length = header_length(file.read(LENGTH_BYTES))
        if length > path.stat().st_size:
            raise Damaged("its header is longer than the file")
        return words_of(file.read(length))["recipe"]


def words_of(header: bytes) -> dict[str, str]:
    """Recipe and facts that a header says; Damaged."""
    try:
        metadata = json.loads(header)["__metadata__"]
        return {"recipe": str(metadata["recipe"]), "facts": str(metadata["facts"])}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged("its header cannot be read") from error


def header_length(data: bytes) -> int:
    """Bytes of the header, as a file says that begins so."""
    return int.from_bytes(data[:LENGTH_BYTES], "little")


def checksum_at(data: bytes) -> int:
    """Where the digits of the checksum stand; Damaged if there are none."""
    at = data.find(MARK, LENGTH_BYTES, LENGTH_BYTES + header_length(data))
    if at < 0:
        raise Damaged("it has no checksum")
    return at + len(MARK)


def _checksum(data: bytes, at: int) -> bytes:
    """Of everything but the checksum at that place, as hexadecimal digits."""
    view = memoryview(data)
    digest = hashlib.sha256(view[:at])
    digest.update(BLANK)
    digest.update(view[at + len(BLANK) :])
    return digest.hexdigest().encode()
