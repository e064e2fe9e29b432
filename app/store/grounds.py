"""What an answer rests on: noted by the stores while it is made, for whoever keeps answers.

Artifacts never change, so an answer that rests on them alone stays right. Which files a folder holds can be seen by its
time of change. All else is of the moment. Knows no answer.
"""

import os
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

MOST_FOLDERS = 8
"""That are looked at again for one answer."""
SETTLED_NS = 2 * 10**9
"""A folder that changed so lately may change once more without another time: some systems count in seconds."""
ABSENT = -1


@dataclass
class Grounds:
    """Of one answer."""

    artifacts: set[Path] = field(default_factory=set)
    """Files of those that were read."""
    folders: dict[Path, int] = field(default_factory=dict)
    """Whose names were looked at -> when each changed last, as it was before."""
    seen_empty: set[bool] = field(default_factory=set)
    """Whether there was no job, as often as that was asked."""
    is_of_now: bool = False
    """It rests on something that may be otherwise at any time."""

    def clear(self) -> None:
        """Of an answer that is made anew."""
        self.artifacts.clear()
        self.folders.clear()
        self.seen_empty.clear()
        self.is_of_now = False

    def hold(self) -> bool:
        """Whether the answer would be the same now."""
        return not self.is_of_now and all(changed(folder) == then for folder, then in self.folders.items())


GROUNDS: ContextVar[Grounds | None] = ContextVar("grounds", default=None)
"""Of the answer that is being made in this context; None where nobody wants to know."""


def changed(folder: Path) -> int:
    """When the folder's names changed last, in the system's nanoseconds; ABSENT if it is not there."""
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return ABSENT


def begin_anew() -> None:
    """The answer is made once more."""
    if (grounds := GROUNDS.get()) is not None:
        grounds.clear()


def note_artifact(path: Path) -> None:
    """The answer rests on that artifact."""
    if (grounds := GROUNDS.get()) is not None:
        grounds.artifacts.add(path)


def note_folder(folder: Path) -> None:
    """The answer rests on which files that folder holds: said before it is looked at."""
    grounds = GROUNDS.get()
    if grounds is None or grounds.is_of_now or folder in grounds.folders:
        return
    then = changed(folder)
    if len(grounds.folders) >= MOST_FOLDERS or time.time_ns() - then < SETTLED_NS:
        grounds.is_of_now = True
    grounds.folders[folder] = then


def note_jobs(*, is_empty: bool) -> None:
    """The answer rests on whether there is any job, which is so or not."""
    if (grounds := GROUNDS.get()) is not None:
        grounds.seen_empty.add(is_empty)


def note_now() -> None:
    """The answer rests on what may be otherwise at any time."""
    if (grounds := GROUNDS.get()) is not None:
        grounds.is_of_now = True
