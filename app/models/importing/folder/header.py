"""The header of a safetensors file: which tensors it says are where, accepted only if all of it is consistent.

Reads the header and nothing after it, at most 10 MB of it. Knows neither torch nor what the tensors are for.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from app.models.importing.folder.document import POINTER, open_plain, parse, quote_word, refuse_other_form
from app.models.refusal import ImportRefused

LONGEST_HEADER = 10_000_000
"""Longest header in bytes; 20,000 tensors need a quarter of it."""
MOST_TENSORS = 20_000
"""Most tensors of one checkpoint."""
MOST_AXES = 8
LONGEST_NAME = 256
LARGEST_AXIS = 2**40
BITS = (
    {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8}
    | {"F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32}
    | {"F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64}
)
"""Bits per number of every dtype of the format."""


@dataclass(frozen=True)
class Stored:
    """One tensor of the checkpoint and where its bytes are."""

    name: str
    dtype: str
    """The dtype in safetensors' words, such as `F16`."""
    shape: tuple[int, ...]
    file: Path
    start: int
    end: int

    @property
    def size(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield the bytes in pieces; OSError if the file has become shorter."""
        with self.file.open("rb") as file:
            file.seek(self.start)
            left = self.end - self.start
            while left:
                piece = file.read(wanted := min(left, size))
                if len(piece) < wanted:
                    raise OSError(f"{self.file.name} was cut short while it was read")
                left -= len(piece)
                yield piece


def read_header(path: Path) -> list[Stored]:
    """Read the file's tensors in the order of their bytes; ImportRefused if the header does not describe the file."""
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        raw = _read_raw(file, size, path.name)
    described = parse(raw, f"the header of {path.name}", LONGEST_HEADER)
    described.pop("__metadata__", None)
    if len(described) > MOST_TENSORS:
        raise ImportRefused(
            f"{path.name} says that it holds {len(described):,} tensors: at most {MOST_TENSORS:,} are read"
        )
    first = 8 + len(raw)
    tensors = [_parse_tensor(name, facts, path, first, size) for name, facts in described.items()]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.end))
    _refuse_gaps(tensors, path.name, first, size)
    return tensors


def _read_raw(file: BinaryIO, size: int, name: str) -> bytes:
    if size < 8:
        raise ImportRefused(f"{name} is {'cut short' if size else 'empty'}: fetch or copy it again")
    first = file.read(len(POINTER))
    refuse_other_form(first, name)
    length = int.from_bytes(first[:8], "little")
    if length > LONGEST_HEADER:
        raise ImportRefused(
            f"{name} says that its header has {length:,} bytes: it is no safetensors file, or damaged "
            f"(at most {LONGEST_HEADER:,} are read)"
        )
    file.seek(8)
    raw = file.read(length)
    if len(raw) < length:
        raise ImportRefused(f"{name} is cut short: it ends inside its header. Fetch or copy it again")
    return raw


def _parse_tensor(name: str, facts: Any, path: Path, first: int, size: int) -> Stored:
    """Parse a tensor's entry; ImportRefused unless the entry is consistent with itself and with the file's size."""
    if not (name.isascii() and name.isprintable() and 0 < len(name) <= LONGEST_NAME):
        raise ImportRefused(f"{path.name} has a tensor named {quote_word(name)}, which is no name")
    said = f"{path.name} says of {name} that"
    if not isinstance(facts, dict) or facts.keys() != {"dtype", "shape", "data_offsets"}:
        raise ImportRefused(f"{said} {quote_word(facts)}: expected a dtype, a shape and two offsets")
    dtype, shape, offsets = facts["dtype"], facts["shape"], facts["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise ImportRefused(f"{said} its dtype is {quote_word(dtype)}, which is none of the format's")
    if not _are_counts(shape, LARGEST_AXIS) or len(shape) > MOST_AXES:
        raise ImportRefused(f"{said} its shape is {quote_word(shape)}, which no tensor has")
    if not _are_counts(offsets, size - first) or len(offsets) != 2:
        raise ImportRefused(
            f"{said} its bytes are at {quote_word(offsets)}, but the file has {size - first:,}: it is cut short or damaged. "
            "Fetch or copy it again"
        )
    start, end = offsets
    if math.prod(shape) * BITS[dtype] != 8 * (end - start):
        raise ImportRefused(f"{said} it is {shape} numbers of {dtype} in {end - start:,} bytes: these do not agree")
    return Stored(name, dtype, tuple(shape), path, first + start, first + end)


def _are_counts(value: Any, most: int) -> bool:
    """Return whether it is a list of integers from 0 to `most`; True and False do not count."""
    return isinstance(value, list) and all(type(each) is int and 0 <= each <= most for each in value)


def _refuse_gaps(tensors: list[Stored], name: str, first: int, size: int) -> None:
    """Refuse the file unless every byte after the header belongs to exactly one tensor."""
    end = first
    for tensor in tensors:
        if tensor.start != end:
            fault = "shares bytes with another tensor" if tensor.start < end else "follows bytes that no tensor owns"
            raise ImportRefused(f"{name} is damaged: {tensor.name} {fault}")
        end = tensor.end
    if end != size:
        raise ImportRefused(f"{name} is damaged: it ends with {size - end:,} bytes that no tensor owns")
