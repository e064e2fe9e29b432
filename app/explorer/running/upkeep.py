"""The upkeep of a data folder beside the servers and imports that use it: verifying its files, and tidying it up.

Both yield their findings as they go. Knows no terminal.
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
from app.store.leftovers import RemovedLeftover, delete_leftovers, remove_path
from app.store.presence import try_alone
from app.store.prompts import FOLDER, RESULTS_BYTES, PromptStore
from app.store.proof import list_artifacts, prove_artifacts
from app.store.shelf import walk_files

IMPORT_AGAIN = "import the model again"
COMPUTED_AGAIN = (
    "artifacts of an earlier version: they are computed again when they are asked for, and store gc deletes them"
)
FETCH_AGAIN = "the next import of it fetches it again"


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """One file that was read to its end, and the progress of the whole."""

    name: str
    """The path below the data folder."""
    fault: str | None
    """The fault and its consequence; None if the file is whole."""
    older: str | None
    """The consequence where the file is of another version of singular-lens, and was not read; else None."""
    files: int
    """Files read so far, this one included."""
    done: int
    total: int
    """The bytes of all files."""


def verify_folder(data: Path) -> Iterator[CheckedFile]:
    """Read and prove every byte of all artifacts, weights and fetched files; damaged artifacts are set aside."""
    artifacts = list_artifacts(data / "artifacts")
    folders = _weight_folders(data)
    sizes = sum(_file_size(path) for folder in folders for path in walk_files(folder)) + sum(
        map(_file_size, fetched_files(data))
    )
    so_far = CheckedFile("", None, None, 0, 0, sizes + sum(size for _, size in artifacts))
    for name, fault, older, size in _check_files(data, folders, artifacts):
        so_far = replace(so_far, name=name, fault=fault, older=older, files=so_far.files + 1, done=so_far.done + size)
        yield so_far


def _check_files(
    data: Path, folders: list[Path], artifacts: list[tuple[Path, int]]
) -> Iterator[tuple[str, str | None, str | None, int]]:
    """Yield (name, fault, consequence of another version, bytes) of each file."""
    catalog = Catalog(data)
    for slug, fingerprint in catalog.names().items():
        whole = fingerprint is not None and catalog.weights_folder(fingerprint).is_dir()
        yield f"models/{slug}.json", None if whole else f"it leads to no weights; {IMPORT_AGAIN}", None, 0
    for folder in folders:
        if (older := _explain_other_version(folder)) is not None:
            yield str(folder.relative_to(data)), None, older, sum(map(_file_size, walk_files(folder)))
            continue
        for file, fault in verify_weights(folder):
            path = folder / file
            yield str(path.relative_to(data)), fault and f"{fault}; {IMPORT_AGAIN}", None, _file_size(path)
    for path in fetched_files(data):
        fault = None if find_fetched(data) == path else f"its checksum does not match; {FETCH_AGAIN}"
        yield str(path.relative_to(data)), fault, None, _file_size(path)
    for proof in prove_artifacts(data / "artifacts", artifacts):
        yield str(proof.path.relative_to(data)), proof.fault, COMPUTED_AGAIN if proof.is_older else None, proof.size


def _explain_other_version(weights: Path) -> str | None:
    """Explain what becomes of weights that another version wrote; None for others, damaged ones among them."""
    try:
        read_manifest(weights)
    except OtherFormat as other:
        return str(other)
    except (OSError, ValueError):
        pass
    return None


@dataclass(frozen=True, slots=True)
class KeptLeftover:
    """A file or folder that may be superfluous and was left."""

    name: str
    reason: str


def tidy_folder(data: Path, quota_bytes: int) -> Iterator[RemovedLeftover | KeptLeftover]:
    """Delete what nobody needs and no running server or import uses, and what is beyond the quota. OSError."""
    if not data.is_dir():
        return
    for path in unfinished_imports(data):
        yield RemovedLeftover("unfinished imports", path, remove_path(path))
    with try_alone(data) as nobody:
        for path in _import_leftovers(data):
            # These have no lock of their own: only if no import runs, they cannot be one's.
            if nobody:
                yield RemovedLeftover("unfinished files", path, remove_path(path))
        named = set(Catalog(data).names().values())
        for folder in (folder for folder in _weight_folders(data) if folder.name not in named):
            if None in named:
                yield KeptLeftover(str(folder.relative_to(data)), "no name leads there, but a damaged one may have")
            elif nobody:
                yield RemovedLeftover("weights without a name", folder, remove_path(folder))
            else:
                yield KeptLeftover(
                    str(folder.relative_to(data)), "no name leads there, but a server or an import is running"
                )
    for path in JobStore(data / "jobs").leftovers():
        yield RemovedLeftover("notes of old jobs", path, remove_path(path))
    for path, size in PromptStore(data / FOLDER).sweep():
        yield RemovedLeftover("prompts that are too old, or too many", path, size)
    yield from delete_leftovers(data / "artifacts", quota_bytes, _known_fingerprints(data))
    yield from delete_leftovers(data / FOLDER / "results", RESULTS_BYTES, _known_fingerprints(data))


def _import_leftovers(data: Path) -> list[Path]:
    """List names being given, locks of imports that had not begun a folder, and unfinished fetches."""
    locks = (data / "weights").glob(f"{PREFIX}*.lock")
    return sorted([*(data / "models").glob("*.part"), *locks, *unfinished_fetches(data)])


def _weight_folders(data: Path) -> list[Path]:
    """List every folder of weights, whether or not a name leads there."""
    folders = sorted(path for path in (data / "weights").glob("*") if path.is_dir())
    return [folder for folder in folders if not folder.name.startswith(".")]


def _known_fingerprints(data: Path) -> set[str]:
    """Return the fingerprints of weights, whole or being imported anew."""
    return {path.name.removeprefix(PREFIX).removesuffix(".lock") for path in (data / "weights").glob("*")}


def _file_size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
