"""Every artifact under a folder, read to its last byte and proven; what is damaged is set aside.

Safe beside processes that read and write there. Knows nothing of weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.store.artifacts import format_of, is_older
from app.store.sealed import Damaged, unseal
from app.store.shelf import SUFFIX, ReadFile, Shelf


@dataclass(frozen=True)
class Proof:
    """What reading one file gave."""

    path: Path
    size: int
    """Bytes, when the walk began."""
    fault: str | None
    """What is wrong with it; None if it is whole, or has been deleted meanwhile."""
    is_older: bool = False
    """It is of a format that is not used any more, and was not read."""


def to_prove(root: Path) -> list[tuple[Path, int]]:
    """Every artifact under the folder, and its bytes."""
    return [(entry.path, entry.size) for entry in sorted(Shelf(root, 0).entries()) if entry.path.suffix == SUFFIX]


def prove(root: Path, files: list[tuple[Path, int]]) -> Iterator[Proof]:
    """Read these files one by one, and set aside what is damaged. Artifacts of an older format are not read."""
    shelf = Shelf(root, 0)
    for path, size in files:
        try:
            # Looking is no use: it must not decide what makes room.
            found = shelf.read(path)
            older = found is not None and is_older(found.path)
            yield Proof(path, size, None if found is None or older else _fault(shelf, found), older)
        except OSError as error:
            yield Proof(path, size, f"it cannot be read ({error.strerror})")


def _fault(shelf: Shelf, found: ReadFile) -> str | None:
    try:
        format_of(found.path, unseal(found.data).recipe)
    except Damaged as error:
        return _set_aside(shelf, found, error)
    return None


def _set_aside(shelf: Shelf, found: ReadFile, error: Damaged) -> str | None:
    try:
        return f"{error}; it is set aside and will be computed again" if shelf.set_aside(found) else None
    except OSError as refused:
        return f"{error}; it cannot be set aside ({refused.strerror}), but is not shown"
