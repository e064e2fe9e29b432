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
"""How long a lock that is held for moments only is waited for; TimeoutError afterwards."""
POLL_SECONDS = 0.005


@contextmanager
def hold_lock(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[int]:
    """Hold a lock on the file, made where it is missing, for one thread of one process at a time; yields the handle.
    OSError.

    With LOCK_SH any number hold it at a time, and none with LOCK_EX.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _wait_for_lock(handle, path, kind)
        yield handle
    finally:
        os.close(handle)


def try_lock(handle: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Try to lock an open file without waiting; the lock ends when the file is closed."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def claim_file(path: Path) -> int | None:
    """Claim the file: others may read but not claim it until the returned handle is closed; None if somebody has
    claimed it. OSError.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if try_lock(handle):
        return handle
    os.close(handle)
    return None


def _wait_for_lock(handle: int, path: Path, kind: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not try_lock(handle, kind):
        if time.monotonic() > deadline:
            raise TimeoutError(f"another process has kept {path.name} locked for {PATIENCE_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
