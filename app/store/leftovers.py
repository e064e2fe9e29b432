"""What nobody needs any more under a folder of artifacts: found and deleted, beside processes that read and write there.

Knows the artifacts' files; which weights are here, it is told.
"""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.store.artifacts import is_older
from app.store.shelf import DAMAGED, SUFFIX, UNFINISHED, Shelf, remove_abandoned, walked


@dataclass(frozen=True)
class Removed:
    """Something that was deleted."""

    kind: str
    """What it was, in the plural: `damaged artifacts`."""
    path: Path
    size: int
    """Bytes that this freed."""


def collect(root: Path, quota_bytes: int, fingerprints: Collection[str]) -> Iterator[Removed]:
    """Delete what is damaged, abandoned, of an older format, of other weights than these, or beyond the quota. OSError.

    Files that this store has not written are left alone, and unfinished ones that somebody is writing.
    """
    if not root.is_dir():
        return
    for path in [*walked(root), *_damaged_folders(root)]:
        kind = _kind(path, path.relative_to(root).parts[0] in fingerprints)
        if kind and (size := _remove_unless_written(path)) is not None:
            yield Removed(kind, path, size)
    for entry in Shelf(root, quota_bytes).make_room():
        yield Removed("artifacts beyond the quota", entry.path, entry.size)
    _remove_empty_folders(root)


def remove(path: Path) -> int:
    """Delete a file, or a folder with everything in it; the bytes that this freed. OSError."""
    if path.is_dir() and not path.is_symlink():
        size = sum(_size(file) for file in walked(path))
        shutil.rmtree(path)
    else:
        size = _size(path)
        path.unlink(missing_ok=True)
    return size


def _kind(path: Path, has_weights: bool) -> str | None:
    """What the file is, if it is not needed."""
    if path.suffix == DAMAGED:
        return "damaged artifacts"
    if path.suffix == UNFINISHED and path.name.startswith("."):
        return "unfinished files"
    if path.suffix != SUFFIX:
        return None
    if not has_weights:
        return "artifacts of weights that are not here"
    return "artifacts of an older format" if is_older(path) else None


def _remove_unless_written(path: Path) -> int | None:
    """The bytes that deleting the file freed; None if somebody is writing it."""
    if path.suffix != UNFINISHED:
        return remove(path)
    size = _size(path)
    return size if remove_abandoned(path) else None


def _damaged_folders(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob(f"*{DAMAGED}") if path.is_dir())


def _remove_empty_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root, topdown=False):
        if Path(folder) != root:
            with suppress(OSError):  # it is not empty, or no longer
                Path(folder).rmdir()


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
