"""The files under one folder and a quota, each written whole or not at all, by any number of threads and processes.

A new file is written beside its place under another name and renamed when it is safe on the disk. At every moment the
folder holds at most the quota and, for each writer, one unfinished file; only a file that is larger than all that
others leave to it is kept too, as the last of the visits' or of the operator's. The least recently used files make
room, except that visits take none from what the operator asked for: such a file is write-protected, a mark that
survives restarts and copies and that every server sees. Knows nothing of what is in them.
"""

import errno
import logging
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO, NamedTuple

from app.store.account import ACCOUNT_BYTES, UsedBytes, open_account
from app.store.locks import try_lock

SUFFIX, DAMAGED, UNFINISHED = ".safetensors", ".damaged", ".tmp"

EVICT_TO_SHARE = 0.9
"""The share of the quota left after an eviction, so that the folder is not walked again for each new file."""
VISITS_SHARE = 0.1
"""The share of the quota that is left to visits however much the operator asks for."""
WRITE_BITS = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
IN_USE_SECONDS = 300.0
"""A file that was used so recently makes room only if nothing else can, and only as much as needed."""
PROBE_SECONDS = 1.0
"""How long the result of probing a disk that refused a file is trusted."""
MEASURED_SECONDS = 60.0
"""How long a measurement of the whole folder is trusted: it looks at every file."""
MOST_PROBED_BYTES = 4 * 2**20
BEGIN_ATTEMPTS = 20
"""Attempts to begin a file while another process removes empty folders and abandoned files."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadFile:
    """A file's bytes, and its inode: by now another file may have its name."""

    path: Path
    data: bytes
    inode: int


@dataclass(frozen=True, order=True)
class StoredFile:
    """A finished or damaged file, in the order in which they make room."""

    is_whole: bool
    """The file is not set aside as damaged."""
    used: float
    """The time of last use, in seconds since 1970."""
    path: Path
    size: int
    is_kept: bool
    """The operator asked for the file: no visit may delete it."""


class Occupancy(NamedTuple):
    """How much of a folder's quota its files take."""

    files: int
    bytes: int
    quota: int


@dataclass(frozen=True)
class Refusal:
    """The disk's refusal of the last file that was to be written."""

    error: OSError
    size: int
    """Bytes of that file."""
    time: float
    """When it was last tried, on the monotonic clock."""


class Shelf:
    """The folder, which need not exist yet."""

    def __init__(self, root: Path, quota_bytes: int, *, keeps: bool = False) -> None:
        """With `keeps`, what is written and asked for here is the operator's."""
        self.root = root
        self._quota = quota_bytes - ACCOUNT_BYTES  # the account takes some of the quota
        self._most_kept = int(self._quota * (1 - VISITS_SHARE))
        self._keeps = keeps
        self._measured = False
        self._refusal: Refusal | None = None
        self._probing = Lock()
        self._occupancy: tuple[float, Occupancy] | None = None
        """The last measurement of the folder, and when it was made, on the monotonic clock."""

    def read(self, path: Path) -> ReadFile | None:
        """Read the file without marking it as used; None if it does not exist.

        A name that is no regular file gives no bytes. OSError.
        """
        try:
            # Not waiting for a writer, should a pipe stand in the file's place.
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(handle)
            return ReadFile(path, b"", status.st_ino)
        with open(handle, "rb") as file:
            return ReadFile(path, file.read(), status.st_ino)

    def touch(self, path: Path) -> None:
        """Mark the file as used, though nobody needs to read it."""
        with suppress(OSError):  # it does not exist, or is another user's, or the disk is read-only
            os.utime(path)

    def keep(self, path: Path) -> None:
        """Make the file the operator's, if it exists and there is room for it, where `keeps` is set."""
        if not self._keeps:
            return
        with suppress(OSError):  # another user's, or the disk is read-only, so that nothing is deleted either
            if _is_kept(path.stat()):
                return
            with open_account(self.root) as account:
                entry = _read_entry(path)
                if entry is None or entry.is_kept:
                    return
                # There is no account where it was deleted, or it is of a form without the operator's bytes.
                used = account.read() or _sum_bytes(self.entries())
                if used.kept + entry.size > self._most_kept:
                    return
                if _protect(path):
                    account.write(used + UsedBytes(visits=-entry.size, kept=entry.size))

    def is_kept(self, path: Path) -> bool:
        """Return whether the file exists, and is the operator's."""
        entry = _read_entry(path)
        return entry is not None and entry.is_kept

    def measure_room(self) -> int:
        """Return the bytes that files written here may take together: the operator's at most, or what they leave to
        visits.
        """
        return self._most_kept if self._keeps else max(0, self._quota - _sum_bytes(self.entries()).kept)

    def write(self, path: Path, data: bytes) -> None:
        """Write the file whole into its place; OSError leaves what was there before."""
        try:
            with write_unfinished(path) as (temporary, file):
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                self._put_in_place(temporary, path, len(data))
        except OSError as error:
            self.note_refusal(error, len(data))
            raise
        self.note_refusal(None)

    def note_refusal(self, error: OSError | None, size: int = 0) -> None:
        """Note that the last file, of so many bytes, could not be written for that reason, or (None) could be."""
        self._refusal = None if error is None else Refusal(error, size, time.monotonic())

    def set_aside(self, found: ReadFile) -> bool:
        """Rename a damaged file so that its name is free; False if it does not exist any more. OSError."""
        try:
            if found.path.stat().st_ino != found.inode:
                return False  # somebody else has set it aside and written it anew
            found.path.replace(found.path.with_suffix(DAMAGED))
        except FileNotFoundError:
            return False
        return True

    def refusal(self) -> OSError | None:
        """Return why the last file could not be written; a disk that refused one is tried again before that."""
        with self._probing:
            refused = self._refusal
            if refused is None or time.monotonic() - refused.time < PROBE_SECONDS:
                return None if refused is None else refused.error
            try:
                self._probe(min(refused.size, MOST_PROBED_BYTES))
                self._refusal = None
            except OSError as error:
                self._refusal = Refusal(error, refused.size, time.monotonic())
            return None if self._refusal is None else self._refusal.error

    def entries(self) -> Iterator[StoredFile]:
        """Yield every finished or damaged file under the folder."""
        for path in walk_files(self.root):
            if path.suffix in (SUFFIX, DAMAGED) and (entry := _read_entry(path)):
                yield entry

    def measure_occupancy(self) -> Occupancy:
        """Count the finished and damaged files and their bytes, as they were no longer than MEASURED_SECONDS ago."""
        now = time.monotonic()
        if self._occupancy is None or now - self._occupancy[0] >= MEASURED_SECONDS:
            sizes = [entry.size for entry in self.entries()]
            self._occupancy = now, Occupancy(len(sizes), sum(sizes), self._quota)
        return self._occupancy[1]

    def make_room(self) -> Iterator[StoredFile]:
        """Measure the folder, delete what is beyond the quota, and yield the deleted files. OSError."""
        if self.root.is_dir():
            with open_account(self.root) as account:
                entries = sorted(self.entries())
                gone = list(self._evict(entries, UsedBytes()))
                account.write(_sum_bytes(entries) - _sum_bytes(gone))
            yield from gone

    def _put_in_place(self, temporary: Path, path: Path, size: int) -> None:
        with open_account(self.root) as account:
            replaced = _read_entry(path)
            is_kept = (self._keeps or (replaced is not None and replaced.is_kept)) and _protect(temporary)
            used = self._make_room_for(
                account.read(), replaced, path, UsedBytes(kept=size) if is_kept else UsedBytes(size)
            )
            # Before the rename: a process killed in between has counted too much, not too little.
            account.write(used)
            temporary.replace(path)

    def _make_room_for(
        self, used: UsedBytes | None, replaced: StoredFile | None, path: Path, coming: UsedBytes
    ) -> UsedBytes:
        """Make room, and return the bytes under the folder once the file has its place."""
        if used is not None and self._measured:
            used = used - _sum_bytes([replaced] if replaced else []) + coming
            if used.kept <= self._most_kept and used.visits + used.kept <= self._quota:
                return used
        others = sorted(entry for entry in self.entries() if entry.path != path)
        self._measured = True
        return _sum_bytes(others) - _sum_bytes(self._evict(others, coming)) + coming

    def _evict(self, entries: list[StoredFile], coming: UsedBytes) -> Iterator[StoredFile]:
        """Delete the first of these files until there is room: kept ones for kept ones alone, the others for both."""
        kept = [entry for entry in entries if entry.is_kept]
        gone = list(_trim(kept, coming.kept, self._most_kept))
        yield from gone
        left = self._quota - (_sum_bytes(kept) - _sum_bytes(gone) + coming).kept
        yield from _trim([entry for entry in entries if not entry.is_kept], coming.visits, left)

    def _probe(self, size: int) -> None:
        with write_unfinished(self.root / "probe") as (temporary, file):
            file.write(bytes(size))
            file.flush()
            os.fsync(file.fileno())
            renamed = temporary.with_name(f".renamed{temporary.name}")
            temporary.replace(renamed)
            renamed.unlink()


@contextmanager
def write_unfinished(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Open a new file beside the path, removed afterwards unless it was renamed, and locked while somebody writes it."""
    temporary, handle = _begin_file(path)
    try:
        with open(handle, "wb") as file:
            yield temporary, file
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_abandoned(path: Path) -> bool:
    """Delete an unfinished file whose writer is dead; False if it is being written, or gone. OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if not try_lock(handle):
            return False
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(handle)


def walk_files(root: Path) -> Iterator[Path]:
    """Yield every file under the folder."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names))


def _begin_file(path: Path) -> tuple[Path, int]:
    for _ in range(BEGIN_ATTEMPTS):
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{UNFINISHED}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:  # the folder was empty, and removed between these two lines
            continue
        except FileExistsError:
            if path.parent.exists() and not path.parent.is_dir():
                raise
            continue  # it existed, and was removed before this check
        try:
            if try_lock(handle) and os.fstat(handle).st_nlink:
                return temporary, handle
        except OSError:
            os.close(handle)
            raise
        os.close(handle)  # taken for abandoned, and removed, before it was locked
    raise OSError(errno.EAGAIN, "the file could not be begun")


def _trim(entries: list[StoredFile], coming: int, most: int) -> Iterator[StoredFile]:
    """Delete the first of these files until they and the coming one have at most so many bytes; some may be gone."""
    used = sum(entry.size for entry in entries) + coming
    if used <= most:
        return
    recently = time.time() - IN_USE_SECONDS
    for entry in entries:
        in_use = entry.is_whole and entry.used > recently
        if used <= (most if in_use else most * EVICT_TO_SHARE):
            return
        entry.path.unlink(missing_ok=True)
        used -= entry.size
        yield entry


def _read_entry(path: Path) -> StoredFile | None:
    """Return the file; None if it does not exist. A damaged one is nobody's."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    is_whole = path.suffix != DAMAGED
    return StoredFile(is_whole, status.st_mtime, path, status.st_size, is_whole and _is_kept(status))


def _is_kept(status: os.stat_result) -> bool:
    return not status.st_mode & WRITE_BITS


def _protect(path: Path) -> bool:
    """Write-protect the file; False on a file system that cannot, where visits may delete it."""
    with suppress(OSError):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~WRITE_BITS)
        return _is_kept(path.stat())
    return False


def _sum_bytes(entries: Iterable[StoredFile]) -> UsedBytes:
    visits = kept = 0
    for entry in entries:
        if entry.is_kept:
            kept += entry.size
        else:
            visits += entry.size
    return UsedBytes(visits, kept)
