"""How many bytes a folder holds, known to every process that writes there: numbers in a file, changed under its lock.

Knows nothing of what is counted.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.store.locks import held

FILE = ".used"
DIGITS = 20
"""Of each number: always as many, so that the file, once there, can be written on a full disk too."""
SIZE = 2 * DIGITS + 1
"""Bytes of the file itself."""


@dataclass(frozen=True)
class Used:
    """Bytes of files."""

    visits: int = 0
    """Of those that any visit brings back."""
    kept: int = 0
    """Of those that the operator asked for."""

    def __add__(self, other: "Used") -> "Used":
        return Used(self.visits + other.visits, self.kept + other.kept)

    def __sub__(self, other: "Used") -> "Used":
        return Used(self.visits - other.visits, self.kept - other.kept)


class Account:
    """The account, locked by this thread."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def read(self) -> Used | None:
        """The numbers; None if they are not there yet."""
        found = re.fullmatch(rb"([0-9]{20}) ([0-9]{20})", os.pread(self._handle, SIZE, 0))
        return Used(int(found[1]), int(found[2])) if found else None

    def write(self, used: Used) -> None:
        """Note the numbers; OSError."""
        os.pwrite(self._handle, f"{used.visits:0{DIGITS}d} {used.kept:0{DIGITS}d}".encode(), 0)


@contextmanager
def open_account(folder: Path) -> Iterator[Account]:
    """The folder's account, for one thread of one process at a time; OSError."""
    with held(folder / FILE) as handle:
        yield Account(handle)
