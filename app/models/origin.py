"""Origin of a name's weights: facts that recognise their source later without reading them.

Of the hub it is the id: an import is pinned to the commit that it found. Of one file that held a whole model it is the
sum of its bytes. Of that file, or of a folder, it is a stamp of each file that decides what the model is: size, inode
and the two times of the last change. Writing to a file, or putting another in its place, changes the stamp: `touch` and
`cp -p` can set only one of its four parts, and the time of the last change of the file or its metadata is the system's
own. Stamps that agree prove that nothing was written since, under whatever path the folder is met; stamps that differ
prove nothing, and every byte must be read. They are taken only of files that have been at rest for longer than a file
system's clock ticks. They cannot detect a clock that was set back to the very nanosecond, or a process that keeps on
writing through a mapping of the file.

Knows no torch, and reads no file.
"""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REST_NS = 2_000_000_000
"""The longest tick of a file system in use."""
MOST_FILES = 2_000
DECIDING = ("config.json", "tokenizer.json", "model.safetensors.index.json")

Stamps = Mapping[str, list[int]]
"""Stamps by file name: size, inode, modified, changed; in nanoseconds."""


@dataclass(frozen=True)
class Origin:
    """Known facts of the source of weights; empty for names older than this record."""

    hub: tuple[str, ...] = ()
    """Ids that the hub had them under."""
    files: Stamps = field(default_factory=dict)
    """Stamps of the files that held them."""
    sum: str = ""
    """SHA-256 of the one file that held them; empty where there were several."""

    def merge(self, older: "Origin") -> "Origin":
        """Merge two origins of the same weights; stamps and sum of this one come first."""
        return Origin(tuple(dict.fromkeys((*older.hub, *self.hub))), self.files or older.files, self.sum or older.sum)


def stamps_of(path: Path) -> Stamps:
    """Take the stamps of a folder's files, or of the one file, links followed; none where they prove nothing."""
    found: dict[str, list[int]] = {}
    latest = time.time_ns() - REST_NS
    try:
        for name, facts in _stat_files(path):
            if facts.st_ctime_ns > latest or len(found) == MOST_FILES:
                return {}
            found[name] = [facts.st_size, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns]
    except OSError:
        return {}
    return found


def _stat_files(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    if path.is_file():
        yield path.name, path.stat()
        return
    with os.scandir(path) as files:
        # Every file of tensors counts: a new one may be read in place of the others.
        for file in files:
            if file.name in DECIDING or file.name.endswith(".safetensors"):
                yield file.name, file.stat()


def read_origin(entry: Mapping[str, Any]) -> Origin:
    """Read the origin in a name's file; parts of a wrong type are ignored."""
    hub, files, sum_ = entry.get("hub"), entry.get("files"), entry.get("sum")
    return Origin(
        tuple(id_ for id_ in hub if isinstance(id_, str)) if isinstance(hub, list) else (),
        files if isinstance(files, dict) else {},
        sum_ if isinstance(sum_, str) else "",
    )
