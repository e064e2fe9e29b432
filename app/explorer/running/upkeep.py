"""What an operator does to a data folder, beside the servers and imports that use it: prove it, and tidy it up.

Both yield what they find as they go. Knows no terminal.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from app.models.catalog import Catalog
from app.models.importing.published import fetched_files, find_fetched, unfinished_fetches
from app.models.importing.staging import PREFIX, unfinished_imports
from app.models.manifest import OtherFormat, read_manifest, verify_weights
from app.store.jobs import JobStore
from app.store.leftovers import Removed, collect, remove
from app.store.presence import alone
from app.store.proof import prove, to_prove
from app.store.shelf import walked

IMPORT_AGAIN = "import the model again"
COMPUTED_AGAIN = (
    "artifacts of an earlier version: they are computed again when they are asked for, and store gc deletes them"
)
FETCH_AGAIN = "the next import of it fetches it again"


@dataclass(frozen=True, slots=True)
class Checked:
    """One file that was read to its end, and how far the whole is."""

    name: str
    """Below the data folder."""
    fault: str | None
    """What is wrong and what becomes of it; None if the file is whole."""
    older: str | None
    """What becomes of it where it is of another version of singular-lens, and was not read; else None."""
    files: int
    """Read so far, this one included."""
    done: int
    total: int
    """Bytes."""


def verify(data: Path) -> Iterator[Checked]:
    """Read and prove every byte of every artifact, of all weights and of what was fetched; damaged artifacts are set aside."""
    artifacts = to_prove(data / "artifacts")
    folders = _weights(data)
    sizes = sum(_size(path) for folder in folders for path in walked(folder)) + sum(map(_size, fetched_files(data)))
    so_far = Checked("", None, None, 0, 0, sizes + sum(size for _, size in artifacts))
    for name, fault, older, size in _checks(data, folders, artifacts):
        so_far = replace(so_far, name=name, fault=fault, older=older, files=so_far.files + 1, done=so_far.done + size)
        yield so_far


def _checks(
    data: Path, folders: list[Path], artifacts: list[tuple[Path, int]]
) -> Iterator[tuple[str, str | None, str | None, int]]:
    """(name, fault, what becomes of one of another version, bytes) of each file."""
    catalog = Catalog(data)
    for slug, fingerprint in catalog.names().items():
        whole = fingerprint is not None and catalog.weights_folder(fingerprint).is_dir()
        yield f"models/{slug}.json", None if whole else f"it leads to no weights; {IMPORT_AGAIN}", None, 0
    for folder in folders:
        if (older := _of_other_version(folder)) is not None:
            yield str(folder.relative_to(data)), None, older, sum(map(_size, walked(folder)))
            continue
        for file, fault in verify_weights(folder):
            path = folder / file
            yield str(path.relative_to(data)), fault and f"{fault}; {IMPORT_AGAIN}", None, _size(path)
    for path in fetched_files(data):
        fault = None if find_fetched(data) == path else f"its checksum does not match; {FETCH_AGAIN}"
        yield str(path.relative_to(data)), fault, None, _size(path)
    for proof in prove(data / "artifacts", artifacts):
        yield str(proof.path.relative_to(data)), proof.fault, COMPUTED_AGAIN if proof.is_older else None, proof.size


def _of_other_version(weights: Path) -> str | None:
    """What becomes of weights that another version wrote; None of others, damaged ones among them."""
    try:
        read_manifest(weights)
    except OtherFormat as other:
        return str(other)
    except (OSError, ValueError):
        pass
    return None


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that may be superfluous and was left."""

    name: str
    reason: str


def tidy(data: Path, quota_bytes: int) -> Iterator[Removed | Kept]:
    """Delete what nobody needs and no running server or import uses, and what is beyond the quota. OSError."""
    if not data.is_dir():
        return
    for path in unfinished_imports(data):
        yield Removed("unfinished imports", path, remove(path))
    with alone(data) as nobody:
        for path in _left_by_imports(data):
            # Without a lock of their own: they can be told from an import's at work only if there is none.
            if nobody:
                yield Removed("unfinished files", path, remove(path))
        named = set(Catalog(data).names().values())
        for folder in (folder for folder in _weights(data) if folder.name not in named):
            if None in named:
                yield Kept(str(folder.relative_to(data)), "no name leads there, but a damaged one may have")
            elif nobody:
                yield Removed("weights without a name", folder, remove(folder))
            else:
                yield Kept(str(folder.relative_to(data)), "no name leads there, but a server or an import is running")
    for path in JobStore(data / "jobs").leftovers():
        yield Removed("notes of old jobs", path, remove(path))
    yield from collect(data / "artifacts", quota_bytes, _here_or_coming(data))


def _left_by_imports(data: Path) -> list[Path]:
    """Names being given, locks of imports that had not begun a folder, and what was not fetched to its end."""
    locks = (data / "weights").glob(f"{PREFIX}*.lock")
    return sorted([*(data / "models").glob("*.part"), *locks, *unfinished_fetches(data)])


def _weights(data: Path) -> list[Path]:
    """Every folder of weights, whether or not a name leads there."""
    folders = sorted(path for path in (data / "weights").glob("*") if path.is_dir())
    return [folder for folder in folders if not folder.name.startswith(".")]


def _here_or_coming(data: Path) -> set[str]:
    """Fingerprints of weights, whole or being imported anew."""
    return {path.name.removeprefix(PREFIX).removesuffix(".lock") for path in (data / "weights").glob("*")}


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
