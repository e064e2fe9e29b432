"""Where an import collects its files until all of them are there: a hidden folder beside the weights, and its journal.

One process at a time works on a model, held by a lock that ends with the process. What is in the journal is whole and
was checked, so that an import that was interrupted goes on after it. Knows no torch.
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
    """One file that is done."""

    file: str
    sha256: str
    facts: dict[str, Any]
    """What was found on the way: JSON values."""


@dataclass(frozen=True)
class Staging:
    """An import's folder, locked."""

    folder: Path

    def entries(self) -> dict[str, JournalEntry]:
        """The files that are done, by name; one that is not as it was written does not count, nor what came after."""
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
        """Note that a file is done; safe on the disk before this returns."""
        line = {"format": FORMAT, "file": entry.file, "sha256": entry.sha256, "facts": entry.facts}
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")
            journal.flush()
            os.fsync(journal.fileno())

    def keep(self, entries: dict[str, JournalEntry]) -> None:
        """Write the journal anew with these entries only."""
        self._journal.unlink(missing_ok=True)
        for entry in entries.values():
            self.add(entry)

    def publish(self, target: Path) -> None:
        """Rename the folder to where the weights belong; what is there is moved away first."""
        self._journal.unlink(missing_ok=True)
        old = target.with_name(f"{PREFIX}old-{target.name}")
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():  # in an older format, or damaged
            target.rename(old)
        self.folder.rename(target)
        shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _journal(self) -> Path:
        return self.folder / "journal.jsonl"


@contextmanager
def staged(weights: Path, fingerprint: str, waiting: Callable[[], None]) -> Iterator[Staging]:
    """The staging folder of these weights, for one process at a time; `waiting` is called while another has it."""
    weights.mkdir(parents=True, exist_ok=True)
    lock = weights / f"{PREFIX}{fingerprint}.lock"
    handle = _locked(lock)
    while handle is None:
        waiting()
        time.sleep(WAIT_SECONDS)
        handle = _locked(lock)
    folder = weights / f"{PREFIX}{fingerprint}"
    try:
        folder.mkdir(exist_ok=True)
        yield Staging(folder)
    finally:
        with suppress(OSError):  # gone, or not empty: an interrupted import goes on from there
            folder.rmdir()
        lock.unlink(missing_ok=True)
        os.close(handle)


def unfinished_imports(data: Path) -> Iterator[Path]:
    """What imports left in `DATA/weights` that nobody is running: folders, and locks that nobody holds."""
    for path in sorted((data / "weights").glob(f"{PREFIX}*")):
        if path.suffix == ".lock":
            continue
        lock = path.with_name(f"{PREFIX}{path.name.removeprefix(PREFIX).removeprefix('old-')}.lock")
        handle = _locked(lock)
        if handle is None:
            continue
        try:
            yield path
        finally:
            lock.unlink(missing_ok=True)
            os.close(handle)


def _locked(lock: Path) -> int | None:
    """A handle on the lock, which is held while it is open; None if another process has it."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it may have removed the file: then this handle locks nothing that others see.
        if os.fstat(handle).st_ino == lock.stat().st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(handle)
    return None
