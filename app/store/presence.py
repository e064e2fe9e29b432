"""The users of a data folder: servers and imports share a lock on it while they run; cleaning up needs it alone.

So nothing is removed that a running server might still read or an import might be about to name. Knows neither.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.store.locks import try_lock

LOCK_FILE = ".in-use"


class Presence:
    """The shared lock by which one process uses the folder, until `leave` or its end."""

    def __init__(self, data: Path) -> None:
        """Wait while somebody cleans up; a folder that cannot be written is not cleaned up either."""
        self._handle: int | None = None
        try:
            data.mkdir(parents=True, exist_ok=True)
            self._handle = _open_lock(data)
            fcntl.flock(self._handle, fcntl.LOCK_SH)
        except OSError:
            self.leave()

    def leave(self) -> None:
        """Release the lock."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


@contextmanager
def mark_in_use(data: Path) -> Iterator[None]:
    """Mark the folder as in use inside the block."""
    presence = Presence(data)
    try:
        yield
    finally:
        presence.leave()


@contextmanager
def try_alone(data: Path) -> Iterator[bool]:
    """Yield whether nobody else uses the folder; if so, nobody begins to before the block ends. OSError."""
    handle = _open_lock(data)
    try:
        yield try_lock(handle)
    finally:
        os.close(handle)


def _open_lock(data: Path) -> int:
    return os.open(data / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
