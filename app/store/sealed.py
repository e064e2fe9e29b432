"""An artifact as bytes: a safetensors file whose header holds recipe, facts and a checksum over every byte of the file.

The checksum is taken with its own digits blank, so that it covers the header as well as the arrays: nothing is parsed
or trusted before it holds. Knows no folder and not what a recipe means.
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
"""Bytes before the header: its length, little-endian."""
CHECKSUM_MARK = b'"sha256":"'
"""The bytes before the checksum; quotes inside the other values are escaped, so they stand nowhere else in a header."""
BLANK = b"0" * 64


class Damaged(ValueError):
    """The bytes are not those that were written; the message says how that was noticed."""


@dataclass(frozen=True)
class Contents:
    """The contents of a sealed file."""

    recipe: str
    facts: str
    """The facts as JSON."""
    arrays: Arrays


def seal_contents(contents: Contents) -> bytes:
    """Build the file of these contents."""
    arrays = {name: np.ascontiguousarray(array) for name, array in contents.arrays.items()}
    metadata = {"recipe": contents.recipe, "facts": contents.facts, "sha256": BLANK.decode()}
    data: bytes = serialise(arrays, metadata)
    at = find_checksum(data)
    return data[:at] + _compute_checksum(data, at) + data[at + len(BLANK) :]


def unseal_contents(data: bytes) -> Contents:
    """Read the contents of a file; Damaged if any bit of it is not as it was written."""
    at = find_checksum(data)
    if data[at : at + len(BLANK)] != _compute_checksum(data, at):
        raise Damaged("its checksum does not match")
    try:
        return Contents(arrays=parse(data), **read_words(data[LENGTH_BYTES : LENGTH_BYTES + read_header_length(data)]))
    except SafetensorError as error:
        raise Damaged(str(error)) from error


def read_recipe(path: Path) -> str:
    """Read the recipe in a file's header, without the arrays and without proof; Damaged if there is none, OSError."""
    with path.open("rb") as file:
        length = read_header_length(file.read(LENGTH_BYTES))
        if length > path.stat().st_size:
            raise Damaged("its header is longer than the file")
        return read_words(file.read(length))["recipe"]


def read_words(header: bytes) -> dict[str, str]:
    """Read recipe and facts from a header; Damaged."""
    try:
        metadata = json.loads(header)["__metadata__"]
        return {"recipe": str(metadata["recipe"]), "facts": str(metadata["facts"])}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged("its header cannot be read") from error


def read_header_length(data: bytes) -> int:
    """Return the length of the header in bytes, from the start of a file."""
    return int.from_bytes(data[:LENGTH_BYTES], "little")


def find_checksum(data: bytes) -> int:
    """Find the digits of the checksum; Damaged if there are none."""
    at = data.find(CHECKSUM_MARK, LENGTH_BYTES, LENGTH_BYTES + read_header_length(data))
    if at < 0:
        raise Damaged("it has no checksum")
    return at + len(CHECKSUM_MARK)


def _compute_checksum(data: bytes, at: int) -> bytes:
    """Compute the checksum of everything but the checksum at that place, as hexadecimal digits."""
    view = memoryview(data)
    digest = hashlib.sha256(view[:at])
    digest.update(BLANK)
    digest.update(view[at + len(BLANK) :])
    return digest.hexdigest().encode()
