"""How many bytes a folder holds, known to every process that writes there: a number in a file, changed under its lock.

Knows nothing of what is counted.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.store.locks import held

FILE = ".used"
DIGITS = 20
"""Always as many, so that the file, once there, can be written on a full disk too."""


class Account:
    """The account, locked by this thread."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def read(self) -> int | None:
        """The number; None if there is none yet."""
        text = os.pread(self._handle, DIGITS, 0)
        return int(text) if len(text) == DIGITS and text.isdigit() else None

    def write(self, used: int) -> None:
        """Note the number; OSError."""
        os.pwrite(self._handle, f"{used:0{DIGITS}d}".encode(), 0)


@contextmanager
def open_account(folder: Path) -> Iterator[Account]:
    """The folder's account, for one thread of one process at a time; OSError."""
    with held(folder / FILE) as handle:
        yield Account(handle)
