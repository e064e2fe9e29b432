"""Staging: the hidden folder beside the weights that collects an import's files, and its journal.

One process at a time works on a model, held by a lock that ends with the process. Files in the journal are whole and
checked, so that an interrupted import goes on after them. Knows no torch.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.models.manifest import FORMAT, file_sum

PREFIX = ".import-"
WAIT_SECONDS = 0.5


@dataclass(frozen=True)
class JournalEntry:
    """One finished file."""

    file: str
    sha256: str
    facts: dict[str, Any]
    """Facts found meanwhile: JSON values."""


@dataclass(frozen=True)
class Staging:
    """An import's folder, locked."""

    folder: Path

    def entries(self) -> dict[str, JournalEntry]:
        """Read the finished files, by name, up to the first that is not as it was written."""
        found: dict[str, JournalEntry] = {}
        try:
            lines = self._journal.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return found
        for line in lines:
            try:
                fields = json.loads(line)
                entry = JournalEntry(fields["file"], fields["sha256"], fields["facts"])
                whole = fields["format"] == FORMAT and file_sum(self.folder / entry.file) == entry.sha256
            except (OSError, ValueError, KeyError, TypeError):
                return found  # the last line of an interrupted import may be cut short
            if not whole:
                return found
            found[entry.file] = entry
        return found

    def add(self, entry: JournalEntry) -> None:
        """Note that a file is finished; the note is safely on disk when this returns."""
        line = {"format": FORMAT, "file": entry.file, "sha256": entry.sha256, "facts": entry.facts}
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")
            journal.flush()
            os.fsync(journal.fileno())

    def keep(self, entries: dict[str, JournalEntry]) -> None:
        """Rewrite the journal with these entries only."""
        self._journal.unlink(missing_ok=True)
        for entry in entries.values():
            self.add(entry)

    def publish(self, target: Path) -> None:
        """Rename the folder to where the weights belong; an older folder there is moved away first."""
        self._journal.unlink(missing_ok=True)
        old = target.with_name(f"{PREFIX}old-{target.name}")
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():  # in an older format, or damaged
            target.rename(old)
        self.folder.rename(target)
        shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Delete the folder and its journal."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _journal(self) -> Path:
        return self.folder / "journal.jsonl"


@contextmanager
def open_staging(weights: Path, fingerprint: str, waiting: Callable[[], None]) -> Iterator[Staging]:
    """Open the staging folder of these weights, for one process at a time; `waiting` is called while another has it."""
    weights.mkdir(parents=True, exist_ok=True)
    lock = weights / f"{PREFIX}{fingerprint}.lock"
    handle = _try_lock(lock)
    while handle is None:
        waiting()
        time.sleep(WAIT_SECONDS)
        handle = _try_lock(lock)
    folder = weights / f"{PREFIX}{fingerprint}"
    try:
        folder.mkdir(exist_ok=True)
        yield Staging(folder)
    finally:
        with suppress(OSError):  # already gone, or not empty, so that an interrupted import can go on
            folder.rmdir()
        lock.unlink(missing_ok=True)
        os.close(handle)


def unfinished_imports(data: Path) -> Iterator[Path]:
    """Yield the folders and locks in `DATA/weights` that imports left and no process holds."""
    for path in sorted((data / "weights").glob(f"{PREFIX}*")):
        if path.suffix == ".lock":
            continue
        lock = path.with_name(f"{PREFIX}{path.name.removeprefix(PREFIX).removeprefix('old-')}.lock")
        handle = _try_lock(lock)
        if handle is None:
            continue
        try:
            yield path
        finally:
            lock.unlink(missing_ok=True)
            os.close(handle)


def _try_lock(lock: Path) -> int | None:
    """Take the lock, which is held while its handle is open; None if another process has it."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The process that held it may have removed the file: then this handle locks a file that others cannot see.
        if os.fstat(handle).st_ino == lock.stat().st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(handle)
    return None
