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
def held(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[int]:
    """A handle on the file, made where it is missing, that one thread of one process has at a time; OSError.

    With LOCK_SH any number have it at a time, and nobody who wants it alone.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _await(handle, path, kind)
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


def claimed(path: Path) -> int | None:
    """A handle on the file, which others may read but not claim until it is closed; None if somebody has. OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if taken(handle):
        return handle
    os.close(handle)
    return None


def _await(handle: int, path: Path, kind: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not taken(handle, kind):
        if time.monotonic() > deadline:
            raise TimeoutError(f"another process has kept {path.name} locked for {PATIENCE_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
