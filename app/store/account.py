"""The account of a folder's bytes, shared by every process that writes there: numbers in a file, changed under its
lock.

Knows nothing of what is counted.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.store.locks import hold_lock

ACCOUNT_FILE = ".used"
NUMBER_DIGITS = 20
"""Digits of each number: always as many, so that the file, once there, can be written on a full disk too."""
ACCOUNT_BYTES = 2 * NUMBER_DIGITS + 1
"""Bytes of the account's own file."""


@dataclass(frozen=True)
class UsedBytes:
    """The bytes of a folder's files, by who asked for them."""

    visits: int = 0
    """Bytes of files that any visit brings back."""
    kept: int = 0
    """Bytes of files that the operator asked for."""

    def __add__(self, other: "UsedBytes") -> "UsedBytes":
        return UsedBytes(self.visits + other.visits, self.kept + other.kept)

    def __sub__(self, other: "UsedBytes") -> "UsedBytes":
        return UsedBytes(self.visits - other.visits, self.kept - other.kept)


class Account:
    """The account, locked by this thread."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def read(self) -> UsedBytes | None:
        """Read the numbers; None if they are not there yet."""
        found = re.fullmatch(rb"([0-9]{20}) ([0-9]{20})", os.pread(self._handle, ACCOUNT_BYTES, 0))
        return UsedBytes(int(found[1]), int(found[2])) if found else None

    def write(self, used: UsedBytes) -> None:
        """Write the numbers; OSError."""
        os.pwrite(self._handle, f"{used.visits:0{NUMBER_DIGITS}d} {used.kept:0{NUMBER_DIGITS}d}".encode(), 0)


@contextmanager
def open_account(folder: Path) -> Iterator[Account]:
    """Open the folder's account, for one thread of one process at a time; OSError."""
    with hold_lock(folder / ACCOUNT_FILE) as handle:
        yield Account(handle)
