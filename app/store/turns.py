"""Who computes on a device for somebody who waits, told to whoever computes there for later: a lock of its own for each.

Held by any number of processes at once while they do what a visitor asked for; a long job looks between two of its steps
and stands back for a moment. Where nothing can be written nothing is said, and nothing is computed for later either.
Knows nothing of what is computed.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.store.locks import taken

FOLDER, SUFFIX = "devices", ".lock"
LONGEST_SECONDS = 2.0
"""How long a step of a job waits: a crowd of visitors slows a job, and does not stop it."""
POLL_SECONDS = 0.02


@contextmanager
def going_first(data: Path, device: str) -> Iterator[None]:
    """Inside the block, jobs on that device stand back."""
    handle: int | None = None
    with suppress(OSError):
        path = _path(data, device)
        path.parent.mkdir(exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(handle, fcntl.LOCK_SH)  # a job that looks has it for a moment
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def stand_back(data: Path, device: str) -> None:
    """Wait while somebody goes first on that device, at most LONGEST_SECONDS."""
    until = time.monotonic() + LONGEST_SECONDS
    while is_taken(data, device) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


def is_taken(data: Path, device: str) -> bool:
    """Whether somebody goes first on that device now."""
    try:
        handle = os.open(_path(data, device), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # nobody ever did
        return False
    try:
        return not taken(handle)
    finally:
        os.close(handle)


def _path(data: Path, device: str) -> Path:
    """`cuda` and `cuda:0` are one."""
    name = "cuda:0" if device == "cuda" else device
    return data / FOLDER / f"{name.replace(':', '-')}{SUFFIX}"
