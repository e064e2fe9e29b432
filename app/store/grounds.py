"""The grounds of an answer: the artifacts and folders it depends on, noted by the stores while it is made.

Artifacts never change, so an answer that depends on them alone stays valid. A folder's time of change shows whether its
files are the same. Everything else may change at any time. Knows no answer.
"""

import os
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

MOST_FOLDERS = 8
"""Folders that are checked again for one answer."""
SETTLED_NS = 2 * 10**9
"""A folder that changed so recently may change again without another time: some systems count in seconds."""
ABSENT = -1


@dataclass
class Grounds:
    """The grounds of one answer."""

    artifacts: set[Path] = field(default_factory=set)
    """The files of the artifacts that were read."""
    folders: dict[Path, int] = field(default_factory=dict)
    """The folders whose names were read, with their last change, from before they were read."""
    seen_empty: set[bool] = field(default_factory=set)
    """The answers to whether there was no job, as often as that was asked."""
    is_of_now: bool = False
    """The answer depends on something that may change at any time."""

    def clear(self) -> None:
        """Clear the grounds, for an answer that is made anew."""
        self.artifacts.clear()
        self.folders.clear()
        self.seen_empty.clear()
        self.is_of_now = False

    def hold(self) -> bool:
        """Return whether the answer would be the same now."""
        return not self.is_of_now and all(last_change(folder) == then for folder, then in self.folders.items())


GROUNDS: ContextVar[Grounds | None] = ContextVar("grounds", default=None)
"""The grounds of the answer that is being made in this context; None where nobody needs them."""


def last_change(folder: Path) -> int:
    """Return when the folder's names changed last, in the system's nanoseconds; ABSENT if it does not exist."""
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return ABSENT


def clear_grounds() -> None:
    """Clear the current grounds, since the answer is made once more."""
    if (grounds := GROUNDS.get()) is not None:
        grounds.clear()


def note_artifact(path: Path) -> None:
    """Note that the answer depends on that artifact."""
    if (grounds := GROUNDS.get()) is not None:
        grounds.artifacts.add(path)


def note_folder(folder: Path) -> None:
    """Note, before the folder is read, that the answer depends on which files it holds."""
    grounds = GROUNDS.get()
    if grounds is None or grounds.is_of_now or folder in grounds.folders:
        return
    then = last_change(folder)
    if len(grounds.folders) >= MOST_FOLDERS or time.time_ns() - then < SETTLED_NS:
        grounds.is_of_now = True
    grounds.folders[folder] = then


def note_jobs(*, is_empty: bool) -> None:
    """Note that the answer depends on whether there is any job."""
    if (grounds := GROUNDS.get()) is not None:
        grounds.seen_empty.add(is_empty)


def note_now() -> None:
    """Note that the answer depends on something that may change at any time."""
    if (grounds := GROUNDS.get()) is not None:
        grounds.is_of_now = True
