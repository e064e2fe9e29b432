"""The turns of a device: who computes for a waiting visitor locks it, and jobs on the same device stand back.

Any number of processes hold the lock at once while they compute for a visitor; a long job checks it between two of its
steps and stands back for a moment. In a folder that cannot be written nobody locks, and no job computes either. Knows
nothing of what is computed.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.store.locks import try_lock

DEVICES_FOLDER, SUFFIX = "devices", ".lock"
LONGEST_WAIT_SECONDS = 2.0
"""The longest that a step of a job waits: a crowd of visitors slows a job, and does not stop it."""
POLL_SECONDS = 0.02


@contextmanager
def claim_turn(data: Path, device: str) -> Iterator[None]:
    """Make jobs on that device stand back inside the block."""
    handle: int | None = None
    with suppress(OSError):
        path = _lock_path(data, device)
        path.parent.mkdir(exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(handle, fcntl.LOCK_SH)  # a job that looks has it for a moment
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def stand_back(data: Path, device: str) -> None:
    """Wait while somebody goes first on that device, at most LONGEST_WAIT_SECONDS."""
    until = time.monotonic() + LONGEST_WAIT_SECONDS
    while is_taken(data, device) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


def is_taken(data: Path, device: str) -> bool:
    """Return whether somebody goes first on that device now."""
    try:
        handle = os.open(_lock_path(data, device), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # nobody ever went first
        return False
    try:
        return not try_lock(handle)
    finally:
        os.close(handle)


def _lock_path(data: Path, device: str) -> Path:
    """Return the path of the device's lock; `cuda` and `cuda:0` are one device."""
    name = "cuda:0" if device == "cuda" else device
    return data / DEVICES_FOLDER / f"{name.replace(':', '-')}{SUFFIX}"
