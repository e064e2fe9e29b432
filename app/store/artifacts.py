"""Computed arrays kept on disk, one safetensors file each, its recipe and checksum in the header.

Weights are fixed, so an artifact is never out of date: another recipe is another file. A file that does not prove to
be what its recipe says is set aside and reported missing. Knows neither what the arrays mean nor how they are made.
"""

import hashlib
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

FORMAT = 1
"""Raised when arrays change their names or meaning; older files are then no longer found."""

MEMORY_BYTES = 128 * 2**20
EVICT_TO = 0.9
"""Share of the quota left after an eviction, so that the folder is not walked again for each new file."""

Arrays = Mapping[str, NDArray[Any]]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides an artifact's content, and so its name."""

    fingerprint: str
    """Of the weights."""
    subject: str
    """What in the model: `L5/H3/ov`, `L5/strongest`, `scores`."""
    processing: str
    basis: str
    parameters: tuple[tuple[str, float], ...] = ()
    format: int = FORMAT

    def to_json(self) -> str:
        """The recipe in one spelling, to be hashed and compared."""
        return json.dumps(asdict(self), sort_keys=True)

    @cached_property
    def hash(self) -> str:
        """The name of the file, and the key of the computation."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Artifact:
    """What a recipe gave."""

    arrays: Arrays
    facts: dict[str, Any]
    """What is no array: JSON values."""


class ArtifactStore:
    """Artifacts under one folder, the least recently used deleted when they exceed the quota."""

    def __init__(self, root: Path, quota_bytes: int, disk_only: frozenset[str] = frozenset()) -> None:
        self.root = root
        self._quota = quota_bytes
        # Arrays that no page needs stay on disk, so that memory holds more artifacts.
        self._disk_only = disk_only
        self._used: int | None = None
        self._memory: OrderedDict[str, Artifact] = OrderedDict()
        self._memory_bytes = 0
        self._lock = Lock()

    def path(self, recipe: Recipe) -> Path:
        """Where the recipe's file is, or would be."""
        return self.root.joinpath(recipe.fingerprint, *recipe.subject.split("/"), f"{recipe.hash}.safetensors")

    def load(self, recipe: Recipe) -> Artifact | None:
        """The artifact without its disk-only arrays; None if it is not there or not whole."""
        with self._lock:
            if held := self._memory.get(recipe.hash):
                self._memory.move_to_end(recipe.hash)
                return held
        found = self.read(recipe)
        return None if found is None else self._remember(recipe, found)

    def read(self, recipe: Recipe) -> Artifact | None:
        """The whole artifact from disk, proven; a damaged file is set aside and gives None."""
        path = self.path(recipe)
        try:
            data = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("cannot read artifact %s: %s", path.name, error)
            return None
        try:
            return _proven(data, recipe)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            _set_aside(path, error)
            return None

    def save(self, recipe: Recipe, arrays: Arrays, facts: dict[str, Any]) -> Artifact:
        """Keep the artifact, in memory even if the disk refuses it; what `load` will return."""
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        text = json.dumps(facts)
        metadata = {"recipe": recipe.to_json(), "facts": text, "sha256": _checksum(recipe, text, arrays)}
        try:
            self._write(self.path(recipe), serialise(arrays, metadata))
        except OSError as error:
            logger.warning("cannot keep artifact %s on disk: %s", recipe.subject, error)
        return self._remember(recipe, Artifact(arrays, json.loads(text)))

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        self._used = self._measure() if self._used is None else self._used + len(data)
        if self._used > self._quota:
            self._evict(spare=path)

    def _measure(self) -> int:
        return sum(size for _, size, _ in _files(self.root))

    def _evict(self, spare: Path) -> None:
        """Delete the least recently used files; another process may be doing the same."""
        files = sorted(_files(self.root))
        used = sum(size for _, size, _ in files)
        for _, size, path in files:
            if used <= self._quota * EVICT_TO:
                break
            if path != spare:
                path.unlink(missing_ok=True)
                used -= size
        self._used = used

    def _remember(self, recipe: Recipe, artifact: Artifact) -> Artifact:
        arrays = {name: array for name, array in artifact.arrays.items() if name not in self._disk_only}
        light = Artifact(arrays, artifact.facts)
        with self._lock:
            if old := self._memory.pop(recipe.hash, None):
                self._memory_bytes -= _size(old)
            self._memory[recipe.hash] = light
            self._memory_bytes += _size(light)
            while self._memory_bytes > MEMORY_BYTES and len(self._memory) > 1:
                self._memory_bytes -= _size(self._memory.popitem(last=False)[1])
        return light


def _proven(data: bytes, recipe: Recipe) -> Artifact:
    """The artifact in the file's bytes; ValueError unless recipe and checksum hold."""
    arrays = parse(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    if header["recipe"] != recipe.to_json():
        raise ValueError("it holds another recipe")
    if header["sha256"] != _checksum(recipe, header["facts"], arrays):
        raise ValueError("its checksum does not match")
    return Artifact(arrays, json.loads(header["facts"]))


def _checksum(recipe: Recipe, facts: str, arrays: Arrays) -> str:
    digest = hashlib.sha256(f"{recipe.to_json()}\n{facts}\n".encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _set_aside(path: Path, error: Exception) -> None:
    logger.warning("artifact %s is damaged (%s); set aside, it will be computed again", path.name, error)
    try:
        path.replace(path.with_suffix(".damaged"))
    except OSError as refused:
        logger.warning("cannot set %s aside: %s", path.name, refused)


def _files(root: Path) -> list[tuple[float, int, Path]]:
    """(time of last use, bytes, path) of everything under the folder, unfinished and damaged files too."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append((status.st_mtime, status.st_size, path))
    return found


def _size(artifact: Artifact) -> int:
    return sum(array.nbytes for array in artifact.arrays.values())
