"""The arrays of a sealed file, read from disk in parts, as they are asked for: for files too large to be held in
memory.

The file is proven once, a block at a time; then each use checks that it is still that file and as long, and callers who
keep what they read check its time. Nothing is mapped: a file that is cut short under its reader costs one error, not
the process. Knows no recipe's meaning.
"""

import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.store.sealed import BLANK, LENGTH_BYTES, Damaged, find_checksum, read_header_length, read_words

BLOCK_BYTES = 2**20
"""Bytes that are proven at a time."""
LARGEST_HEADER = 2**20
DTYPES = {
    "BOOL": np.bool_,
    "I8": np.int8,
    "I16": np.int16,
    "I32": np.int32,
    "I64": np.int64,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
}
"""The dtypes by their names in a header."""


class Changed(Exception):
    """The proven file is gone or no longer the same: it was deleted, replaced, written into or cut short."""


@dataclass(frozen=True)
class Stretch:
    """The place of an array in a file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row, or of one number of an array whose rows are single numbers."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize


@dataclass(frozen=True)
class Stamp:
    """The identity and time of a file: a copy in its place has another stamp, and so has a file that was written into."""

    inode: int
    size: int
    time: int
    """The time of its last change, or of its last marked use, in nanoseconds since 1970."""

    def is_file_of(self, other: "Stamp | None") -> bool:
        """Return whether both stamps are of one file of the same length; it may have been used meanwhile, or written
        into.
        """
        return other is not None and (self.inode, self.size) == (other.inode, other.size)


@dataclass(frozen=True)
class Located:
    """A file and its arrays, as its header has them; whoever located it knows whether every byte is proven."""

    path: Path
    stamp: Stamp
    recipe: str
    facts: dict[str, Any]
    stretches: Mapping[str, Stretch]

    @contextmanager
    def open_handle(self) -> Iterator[int]:
        """Open the file in the block; Changed if it is another one by now, OSError."""
        try:
            handle = open_file(self.path)
        except (FileNotFoundError, NotADirectoryError):
            raise Changed(self.path.name) from None
        try:
            if not self.stamp.is_file_of(stamp_of(os.fstat(handle))):
                raise Changed(self.path.name)
            yield handle
        finally:
            os.close(handle)

    def read_into(self, handle: int, name: str, first: int, out: NDArray[Any]) -> None:
        """Fill `out`, contiguous and of the array's type, with its rows from `first` on; Changed, OSError."""
        stretch = self.stretches[name]
        wanted = memoryview(out.reshape(-1).view(np.uint8).data) if out.size else memoryview(b"")
        at = stretch.start + first * stretch.row_bytes
        while len(wanted):
            n = os.preadv(handle, [wanted], at)
            if n == 0:
                raise Changed(self.path.name)
            wanted, at = wanted[n:], at + n

    def read(self, name: str) -> NDArray[Any]:
        """Read the whole array; Changed, OSError."""
        stretch = self.stretches[name]
        out = np.empty(stretch.shape, stretch.dtype)
        with self.open_handle() as handle:
            self.read_into(handle, name, 0, out)
        return out


def open_file(path: Path) -> int:
    """Open a file for reading, without waiting for a writer, should a pipe stand in its place; OSError."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def stamp_of(status: os.stat_result) -> Stamp | None:
    """Return the stamp of a file's status; None for what is no file."""
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def stamp_at(path: Path) -> Stamp | None:
    """Return the stamp of the file at the path; None if there is none."""
    try:
        return stamp_of(path.stat())
    except OSError:
        return None


def locate_arrays(path: Path, handle: int, *, proven: bool = False) -> Located:
    """Locate the arrays of the open file; Damaged unless every byte is as it was written, which is not checked if
    `proven`. OSError.
    """
    stamp = stamp_of(os.fstat(handle))
    if stamp is None:
        raise Damaged("it is no file")
    start = os.pread(handle, LENGTH_BYTES, 0)
    length = read_header_length(start)
    if len(start) < LENGTH_BYTES or length > min(stamp.size - LENGTH_BYTES, LARGEST_HEADER):
        raise Damaged("its header is longer than it may be")
    head = start + os.pread(handle, length, LENGTH_BYTES)
    if not proven:
        _check_sum(handle, head)
    words = read_words(head[LENGTH_BYTES:])
    try:
        stretches = dict(_read_stretches(json.loads(head[LENGTH_BYTES:]), len(head), stamp.size))
        return Located(path, stamp, words["recipe"], json.loads(words["facts"]), stretches)
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged("its header cannot be read") from error


def _read_stretches(header: dict[str, Any], start: int, size: int) -> Iterator[tuple[str, Stretch]]:
    for name, said in header.items():
        if name != "__metadata__":
            dtype, shape = np.dtype(DTYPES[said["dtype"]]), tuple(int(n) for n in said["shape"])
            first, last = said["data_offsets"]
            if last - first != math.prod(shape) * dtype.itemsize or start + last > size:
                raise ValueError(name)
            yield name, Stretch(dtype, shape, start + first)


def _check_sum(handle: int, head: bytes) -> None:
    """Raise Damaged unless the checksum holds, which is taken with its own digits blank."""
    at = find_checksum(head)
    digest = hashlib.sha256(head[:at])
    digest.update(BLANK)
    digest.update(head[at + len(BLANK) :])
    room, place = bytearray(BLOCK_BYTES), len(head)
    while n := os.preadv(handle, [room], place):
        digest.update(memoryview(room)[:n])
        place += n
    if digest.hexdigest().encode() != head[at : at + len(BLANK)]:
        raise Damaged("its checksum does not match")
