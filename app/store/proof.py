"""The proof of every artifact under a folder, read to its last byte; damaged ones are set aside.

Safe beside processes that read and write there. Knows nothing of weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.store.artifacts import is_older, read_format
from app.store.sealed import Damaged, unseal_contents
from app.store.shelf import SUFFIX, ReadFile, Shelf


@dataclass(frozen=True)
class Proof:
    """The result of reading one file."""

    path: Path
    size: int
    """Bytes, when the walk began."""
    fault: str | None
    """The fault; None if the file is whole, or has been deleted meanwhile."""
    is_older: bool = False
    """The file is of an older format, and was not read."""


def list_artifacts(root: Path) -> list[tuple[Path, int]]:
    """List every artifact under the folder, with its bytes."""
    return [(entry.path, entry.size) for entry in sorted(Shelf(root, 0).entries()) if entry.path.suffix == SUFFIX]


def prove_artifacts(root: Path, files: list[tuple[Path, int]]) -> Iterator[Proof]:
    """Read these files one by one, and set aside what is damaged. Artifacts of an older format are not read."""
    shelf = Shelf(root, 0)
    for path, size in files:
        try:
            # Proving is no use: it must not decide what makes room.
            found = shelf.read(path)
            older = found is not None and is_older(found.path)
            yield Proof(path, size, None if found is None or older else _find_fault(shelf, found), older)
        except OSError as error:
            yield Proof(path, size, f"it cannot be read ({error.strerror})")


def _find_fault(shelf: Shelf, found: ReadFile) -> str | None:
    try:
        read_format(found.path, unseal_contents(found.data).recipe)
    except Damaged as error:
        return _set_aside(shelf, found, error)
    return None


def _set_aside(shelf: Shelf, found: ReadFile, error: Damaged) -> str | None:
    try:
        return f"{error}; it is set aside and will be computed again" if shelf.set_aside(found) else None
    except OSError as refused:
        return f"{error}; it cannot be set aside ({refused.strerror}), but is not shown"
