"""Locks between processes, on files: they end with the process that holds them, however it ends.

Knows nothing of what is being protected.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 30.0
"""For a lock that is held for moments only; TimeoutError afterwards."""
POLL_SECONDS = 0.005


@contextmanager
def held(path: Path) -> Iterator[int]:
    """A handle on the file, made where it is missing, that one thread of one process has at a time; OSError."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _await(handle, path)
        yield handle
    finally:
        os.close(handle)


def taken(handle: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Try to lock an open file without waiting; the lock ends when the file is closed."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _await(handle: int, path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not taken(handle):
        if time.monotonic() > deadline:
            raise TimeoutError(f"another process has kept {path.name} locked for {PATIENCE_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
