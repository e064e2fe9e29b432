"""Who uses a data folder: servers and imports share a lock on it while they run; cleaning up wants it alone.

So nothing is removed that a running server might still read or an import might be about to name. Knows neither.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.store.locks import taken

LOCK_FILE = ".in-use"


class Presence:
    """The word of one process that it uses the folder, until `leave` or its end."""

    def __init__(self, data: Path) -> None:
        """Waits while somebody cleans up; a folder that cannot be written is not cleaned up either."""
        self._handle: int | None = None
        try:
            data.mkdir(parents=True, exist_ok=True)
            self._handle = _open(data)
            fcntl.flock(self._handle, fcntl.LOCK_SH)
        except OSError:
            self.leave()

    def leave(self) -> None:
        """Use it no longer."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


@contextmanager
def present(data: Path) -> Iterator[None]:
    """The folder is in use inside the block."""
    presence = Presence(data)
    try:
        yield
    finally:
        presence.leave()


@contextmanager
def alone(data: Path) -> Iterator[bool]:
    """Whether nobody else uses the folder; if so, nobody begins to before the block ends. OSError."""
    handle = _open(data)
    try:
        yield taken(handle)
    finally:
        os.close(handle)


def _open(data: Path) -> int:
    return os.open(data / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
