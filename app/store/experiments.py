"""The experiments that visitors made: a change of a model, and the prompts that it is tried on, under a key that these decide.

The same experiment has the same key wherever and whenever it is made. It is kept as long as prompts are, which it names and
does not hold. Knows no model, and nothing of what a change means.
"""

import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from app.store.prompts import KEPT_SECONDS

FOLDER = "experiments"
"""The folder of experiments in a data folder's folder of prompts."""
MOST_EXPERIMENTS = 500
"""Experiments of a server; one more deletes the oldest."""
KEY = re.compile("[0-9a-f]{16}")
VERSION = 1
"""Raised when what an experiment says changes its meaning."""


@dataclass(frozen=True)
class Experiment:
    """A change of a model, tried on prompts."""

    change: Mapping[str, str]
    """The options that spell the change, as in a link."""
    weights: str
    draws: int
    """Random changes beside it, on each prompt."""
    prompts: tuple[str, ...]
    """The prompts' keys, in their order."""
    made: float = 0.0
    """When it was kept, in seconds since 1970."""

    def key(self, fingerprint: str) -> str:
        """Return its name on a model: 16 hexadecimal digits of a hash of all that it says."""
        said = [VERSION, fingerprint, dict(sorted(self.change.items())), self.weights, self.draws, list(self.prompts)]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


class ExperimentStore:
    """The experiments under one folder; any number of threads and processes may use it."""

    def __init__(self, root: Path) -> None:
        self._root = root / FOLDER

    def put(self, fingerprint: str, experiment: Experiment) -> str:
        """Keep an experiment of that model from now on, and return its key. OSError."""
        self._make_room()
        key = experiment.key(fingerprint)
        path = self._path(fingerprint, key)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = path.with_name(f".{key}-{secrets.token_hex(4)}.tmp")
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(replace(experiment, made=time.time())), file)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return key

    def get(self, fingerprint: str, key: str) -> Experiment | None:
        """Return the experiment of that key; None if it was never here, is too old, or its file is no such one."""
        if not KEY.fullmatch(key):
            return None
        try:
            said = json.loads(self._path(fingerprint, key).read_bytes())
            change = {str(name): str(value) for name, value in said["change"].items()}
            found = Experiment(change, said["weights"], int(said["draws"]), tuple(said["prompts"]), float(said["made"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        is_own = found.key(fingerprint) == key
        return found if is_own and time.time() - found.made <= KEPT_SECONDS else None

    def delete(self, fingerprint: str, key: str) -> None:
        """Delete the experiment of that key, if it is here. OSError."""
        if KEY.fullmatch(key):
            self._path(fingerprint, key).unlink(missing_ok=True)

    def _make_room(self) -> None:
        """Delete experiments that are too old, and the oldest where there are too many."""
        found = []
        for path in self._root.glob("*/*.json"):
            with suppress(OSError):  # another process was quicker
                found.append((path.stat().st_mtime, path))
        found.sort(reverse=True)
        for place, (made, path) in enumerate(found):
            if place >= MOST_EXPERIMENTS - 1 or time.time() - made > KEPT_SECONDS:
                path.unlink(missing_ok=True)

    def _path(self, fingerprint: str, key: str) -> Path:
        return self._root / fingerprint / f"{key}.json"
