"""The leftovers of a folder of artifacts: files that nobody needs, deleted beside processes that read and write there.

Knows the artifacts' files; the caller says which weights are here.
"""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.store.artifacts import is_older
from app.store.shelf import DAMAGED, SUFFIX, UNFINISHED, Shelf, remove_abandoned, walk_files


@dataclass(frozen=True)
class RemovedLeftover:
    """Something that was deleted."""

    kind: str
    """The kind of thing, in the plural: `damaged artifacts`."""
    path: Path
    size: int
    """Bytes that this freed."""


def delete_leftovers(root: Path, quota_bytes: int, fingerprints: Collection[str]) -> Iterator[RemovedLeftover]:
    """Delete what is damaged, abandoned, of an older format, of other weights than these, or beyond the quota. OSError.

    Files that no store has written are left alone, and unfinished ones that somebody is writing.
    """
    if not root.is_dir():
        return
    for path in [*walk_files(root), *_damaged_folders(root)]:
        kind = _leftover_kind(path, path.relative_to(root).parts[0] in fingerprints)
        if kind and (size := _remove_unless_written(path)) is not None:
            yield RemovedLeftover(kind, path, size)
    for entry in Shelf(root, quota_bytes).make_room():
        yield RemovedLeftover("artifacts beyond the quota", entry.path, entry.size)
    _remove_empty_folders(root)


def remove_path(path: Path) -> int:
    """Delete a file, or a folder with everything in it, and return the bytes that this freed. OSError."""
    if path.is_dir() and not path.is_symlink():
        size = sum(_file_size(file) for file in walk_files(path))
        shutil.rmtree(path)
    else:
        size = _file_size(path)
        path.unlink(missing_ok=True)
    return size


def _leftover_kind(path: Path, has_weights: bool) -> str | None:
    """Return the kind of leftover that the file is; None if it is needed."""
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
    """Delete the file and return the bytes that this freed; None if somebody is writing it."""
    if path.suffix != UNFINISHED:
        return remove_path(path)
    size = _file_size(path)
    return size if remove_abandoned(path) else None


def _damaged_folders(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob(f"*{DAMAGED}") if path.is_dir())


def _remove_empty_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root, topdown=False):
        if Path(folder) != root:
            with suppress(OSError):  # it is not empty, or no longer
                Path(folder).rmdir()


def _file_size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
