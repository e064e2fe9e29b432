"""The store of artifacts: computed arrays on disk, one sealed file each, named after the recipe that decides its
content.

Weights are fixed, so an artifact is never out of date: another recipe is another file. A file that cannot be proven to
be its recipe's is set aside and reported missing. Knows neither what the arrays mean nor how they are made.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np

from app.store.grounds import note_artifact, note_folder, note_now
from app.store.located import Located, Stamp, locate_arrays, open_file, stamp_at, stamp_of
from app.store.memory import Memory
from app.store.sealed import Arrays, Contents, Damaged, read_recipe, seal_contents, unseal_contents
from app.store.shelf import SUFFIX, Occupancy, ReadFile, Shelf

__all__ = [
    "ARTIFACT_FORMAT",
    "Arrays",
    "Artifact",
    "ArtifactStore",
    "Located",
    "Recipe",
    "is_older",
    "parse_recipe",
    "read_format",
]

ARTIFACT_FORMAT = 5
"""Raised when files or arrays change their form or meaning; older files are then no longer found."""

MEMORY_BYTES = 16 * 2**20
"""Bytes of artifacts, and of whatever else is kept with them, in the memory of a process that computes; a server has
more."""
FACTS_GROWTH = 3
"""Bytes of facts in memory for each byte of their JSON."""
TOUCH_SECONDS = 60.0
"""How often the file of an artifact in memory is marked as used."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides an artifact's content, and so its name."""

    fingerprint: str
    """The fingerprint of the weights."""
    kind: str
    """The kind of artifact: decides which arrays there are."""
    subject: str
    """The subject in the model: `L5/H3/ov`, `L5/strongest`, `scores`."""
    processing: str
    basis: str
    parameters: tuple[tuple[str, float], ...] = ()
    format: int = ARTIFACT_FORMAT

    def to_json(self) -> str:
        """Spell the recipe in one way, to be hashed and compared."""
        return json.dumps(asdict(self), sort_keys=True)

    @cached_property
    def hash(self) -> str:
        """The name of the file, and the key of the computation."""
        return _hash_recipe(self.to_json())


def parse_recipe(words: str) -> Recipe:
    """Parse a recipe in its one spelling; ValueError if it is another one."""
    fields = json.loads(words)
    try:
        parameters = tuple((name, value) for name, value in fields.pop("parameters"))
        recipe = Recipe(**fields, parameters=parameters)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no recipe: {words[:100]!r}") from error
    if recipe.to_json() != words:
        raise ValueError(f"no recipe as it is spelt: {words[:100]!r}")
    return recipe


@dataclass(frozen=True)
class Artifact:
    """The result of a recipe."""

    arrays: Arrays
    facts: dict[str, Any]
    """The results that are no array: JSON values."""


@dataclass
class HeldArtifact:
    """An artifact in memory."""

    artifact: Artifact
    touched: float
    """When its file was last marked as used, on the monotonic clock."""


class ArtifactStore:
    """Artifacts under one folder, the least recently used deleted when they exceed the quota.

    `asked_by` says whom the store is opened for: no visit deletes what the operator asked for, stored before or
    computed now.
    """

    def __init__(
        self,
        root: Path,
        quota_bytes: int,
        asked_by: Literal["visit", "operator"] = "visit",
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self.root = root
        self.asked_by = asked_by
        self.memory = Memory(memory_bytes)
        """Artifacts by the hash of their recipe; whoever keeps what is made of them shares the budget."""
        self._located: dict[Path, Stamp] = {}
        """The stamps of files that were proven when they were located."""
        self._used: dict[Path, tuple[Stamp, Stamp]] = {}
        """For files whose stamps were asked for: the stamp after this store marked a use, and the one before."""
        self._noting = Lock()
        self._shelf = Shelf(root, quota_bytes, keeps=asked_by == "operator")

    def path(self, recipe: Recipe) -> Path:
        """Return the path of the recipe's file, which need not exist."""
        return self.root.joinpath(*_file_parts(recipe.fingerprint, recipe.subject, recipe.hash))

    def load(self, recipe: Recipe) -> Artifact | None:
        """Load the artifact, which stays in memory for a while; None if it is missing or damaged."""
        held: HeldArtifact | None = self.memory.get(recipe.hash)
        if held is not None:
            self._touch(recipe, held)
            note_artifact(self.path(recipe))
            return held.artifact
        found = self.read(recipe)
        if found is None:
            note_now()
            return None
        note_artifact(self.path(recipe))
        return self._remember(recipe, found)

    def read(self, recipe: Recipe) -> Artifact | None:
        """Read the artifact from disk, proven; a damaged file is set aside and gives None."""
        self.touch(self.path(recipe))
        try:
            found = self._shelf.read(self.path(recipe))
        except OSError as error:
            logger.warning("cannot read artifact %s: %s", recipe.subject, error)
            return None
        if found is None:
            return None
        try:
            artifact = _unseal_artifact(found.data, recipe)
        except Damaged as error:
            self._set_aside(found, error)
            return None
        self._shelf.keep(found.path)
        return artifact

    def stamp(self, recipe: Recipe) -> Stamp | None:
        """Return the stamp of the recipe's file, None if it is missing; it changes with the file, but not by uses that
        this store marked.
        """
        path = self.path(recipe)
        with self._noting:
            stamp = self._stamp(path, stamp_at(path))
            if stamp is not None:
                self._used.setdefault(path, (stamp, stamp))
            return stamp

    def is_proven(self, recipe: Recipe) -> bool:
        """Return whether the file was proven when it was located, and was not changed since."""
        stamp = self.stamp(recipe)
        return stamp is not None and self._located.get(self.path(recipe)) == stamp

    def locate(self, recipe: Recipe, *, prove: bool = True) -> Located | None:
        """Locate the artifact's arrays on disk, to be read in parts; a damaged file is set aside and gives None.

        The file is proven once by this store, a block at a time, and again when another file is in its place, it was
        written into, or another process marked a use; without `prove`, only its header and its size are checked.
        """
        path = self.path(recipe)
        try:
            handle = open_file(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            logger.warning("cannot read artifact %s: %s", recipe.subject, error)
            return None
        with open(handle, "rb", buffering=0):
            stamp = self._stamp(path, stamp_of(os.fstat(handle)))
            try:
                known = stamp is not None and self._located.get(path) == stamp
                found = locate_arrays(path, handle, proven=known or not prove)
                if found.recipe != recipe.to_json():
                    raise Damaged("it holds another recipe")
            except Damaged as error:
                self._located.pop(path, None)
                self._set_aside(ReadFile(path, b"", os.fstat(handle).st_ino), error)
                return None
            except OSError as error:
                logger.warning("cannot read artifact %s: %s", recipe.subject, error)
                return None
        if prove and stamp is not None:
            self._located[path] = stamp
        self._shelf.keep(path)
        return found

    def save(self, recipe: Recipe, arrays: Arrays, facts: dict[str, Any]) -> Artifact:
        """Store the artifact, in memory even if the disk refuses it; return what `load` will."""
        artifact = Artifact({name: np.ascontiguousarray(array) for name, array in arrays.items()}, _plain_facts(facts))
        try:
            self.write(recipe, arrays, facts)
        except OSError as error:
            logger.warning("cannot keep artifact %s on disk: %s", recipe.subject, error)
        return self._remember(recipe, artifact)

    def write(self, recipe: Recipe, arrays: Arrays, facts: dict[str, Any]) -> None:
        """Write the artifact to disk, for whoever loads it; OSError."""
        self._shelf.write(self.path(recipe), seal_contents(Contents(recipe.to_json(), json.dumps(facts), arrays)))

    def accept(self, recipe: Recipe, data: bytes, refusal: OSError) -> Artifact:
        """Hold in memory an artifact of another process that the disk refused for that reason; Damaged."""
        self._shelf.note_refusal(refusal, len(data))
        return self._remember(recipe, _unseal_artifact(data, recipe))

    def note_kept(self) -> None:
        """Note that another process has stored an artifact: the disk accepts them."""
        self._shelf.note_refusal(None)

    def exists(self, recipe: Recipe) -> bool:
        """Return whether a file has the recipe's name; it may be damaged."""
        path = self.path(recipe)
        note_folder(path.parent)
        return path.is_file()

    def remove(self, recipe: Recipe) -> None:
        """Delete the artifact, which nobody needs any more. OSError."""
        self.memory.drop(recipe.hash)
        self.path(recipe).unlink(missing_ok=True)

    def keep(self, recipe: Recipe) -> None:
        """Make the artifact the operator's, if it is stored and this store is the operator's."""
        self._shelf.keep(self.path(recipe))

    def takes_room(self, recipe: Recipe) -> bool:
        """Return whether the artifact counts, or would, in `measure_room`: for visits, the operator's does not."""
        return self.asked_by == "operator" or not self._shelf.is_kept(self.path(recipe))

    def measure_room(self) -> int:
        """Return the bytes that all artifacts of this store's side may take, before some are deleted for the rest."""
        return self._shelf.measure_room()

    def measure_occupancy(self) -> Occupancy:
        """Count the stored artifacts and their bytes, as they were no longer than a minute ago."""
        return self._shelf.measure_occupancy()

    def recipes(self, fingerprint: str, subject: str) -> Iterator[Recipe]:
        """Yield the recipes that seem to be stored for that subject: nothing is proven until it is loaded."""
        folder = self.root.joinpath(fingerprint, *subject.split("/"))
        note_folder(folder)
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            if not path.is_file():  # a pipe would never say what it holds
                continue
            try:
                recipe = parse_recipe(read_recipe(path))
            except (Damaged, OSError, ValueError, RecursionError):
                continue  # whoever loads it sets it aside
            if recipe.format == ARTIFACT_FORMAT and (recipe.fingerprint, recipe.subject) == (fingerprint, subject):
                yield recipe

    def touch(self, path: Path) -> None:
        """Mark the artifact in that file as used, though nobody needs to read it."""
        if path not in self._used:
            self._shelf.touch(path)
            return
        with self._noting:
            before = self._stamp(path, stamp_at(path))
            self._shelf.touch(path)
            after = stamp_at(path)
            if before is not None and after is not None and after.is_file_of(before):
                self._used[path] = after, before

    def refusal(self) -> OSError | None:
        """Return why the disk refuses artifacts; None while it accepts them."""
        return self._shelf.refusal()

    def _touch(self, recipe: Recipe, held: HeldArtifact) -> None:
        now = time.monotonic()
        if now - held.touched >= TOUCH_SECONDS:
            held.touched = now
            self.touch(self.path(recipe))

    def _stamp(self, path: Path, stamp: Stamp | None) -> Stamp | None:
        """Return the file's stamp from before this store marked uses of it."""
        left, before = self._used.get(path, (None, None))
        return before if stamp is not None and stamp == left else stamp

    def _set_aside(self, found: ReadFile, error: Damaged) -> None:
        note_now()  # it will be computed again
        try:
            if self._shelf.set_aside(found):
                logger.warning(
                    "artifact %s is damaged (%s); set aside, it will be computed again", found.path.name, error
                )
        except OSError as refused:
            logger.warning("artifact %s is damaged (%s) and cannot be set aside: %s", found.path.name, error, refused)

    def _remember(self, recipe: Recipe, artifact: Artifact) -> Artifact:
        self.memory.put(recipe.hash, HeldArtifact(artifact, time.monotonic()), _artifact_bytes(artifact))
        return artifact


def read_format(path: Path, recipe: str) -> int:
    """Read the format of the artifact in that file; Damaged unless the file is where its recipe belongs.

    Nothing else is asked of the recipe, which may be of an older format.
    """
    try:
        fields = json.loads(recipe)
        place = _file_parts(fields["fingerprint"], fields["subject"], _hash_recipe(recipe))
        written = int(fields["format"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged("its recipe cannot be read") from error
    if path.parts[-len(place) :] != place:
        raise Damaged("it holds another recipe")
    return written


def is_older(path: Path) -> bool:
    """Return whether the file is an artifact of an older format; False where that cannot be told."""
    try:
        return path.is_file() and read_format(path, read_recipe(path)) < ARTIFACT_FORMAT
    except (Damaged, OSError):
        return False


def _unseal_artifact(data: bytes, recipe: Recipe) -> Artifact:
    """Unseal the artifact in the file's bytes; Damaged unless recipe and checksum hold."""
    contents = unseal_contents(data)
    if contents.recipe != recipe.to_json():
        raise Damaged("it holds another recipe")
    return Artifact(contents.arrays, json.loads(contents.facts))


def _plain_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts as they are read again."""
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return plain


def _hash_recipe(recipe: str) -> str:
    return hashlib.sha256(recipe.encode()).hexdigest()[:32]


def _file_parts(fingerprint: str, subject: str, name: str) -> tuple[str, ...]:
    return (fingerprint, *subject.split("/"), f"{name}{SUFFIX}")


def _artifact_bytes(artifact: Artifact) -> int:
    facts = len(json.dumps(artifact.facts))
    return sum(array.nbytes for array in artifact.arrays.values()) + FACTS_GROWTH * facts
