"""The prompts that visitors ran, each as its token ids under a key that these decide, and what was computed of each.

A prompt is its visitor's own: nothing lists prompts, none is kept longer than KEPT_SECONDS, and with it goes everything
that was computed of it. Knows no model and no tokenizer.
"""

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal

from app.store.artifacts import ArtifactStore
from app.store.shelf import SUFFIX

FOLDER = "prompts"
"""The folder of prompts in a data folder."""
KEPT_SECONDS = 30 * 24 * 3600.0
"""Seconds after which a prompt is deleted."""
MOST_PROMPTS = 2_000
"""Prompts of a server; one more deletes the oldest."""
RESULTS_BYTES = 512 * 2**20
"""Bytes of what was computed of prompts, on disk; the least recently used go first."""
SWEEP_SECONDS = 600.0
"""Seconds between two looks for prompts that are too old."""
KEY = re.compile("[0-9a-f]{16}")
VERSION = 1
"""Raised when what is computed of a prompt changes its meaning; older links then name prompts that are not here."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prompt:
    """A prompt as it was run."""

    key: str
    ids: tuple[int, ...]
    """The token ids, which alone decide what is computed."""
    text: str | None
    """The text that they were made of; None where they were typed as ids."""
    made: float
    """When it was kept, in seconds since 1970."""


def key_of(fingerprint: str, ids: Sequence[int]) -> str:
    """Return the key of a prompt: 16 hexadecimal digits of a hash of the weights' fingerprint and the token ids."""
    words = json.dumps([VERSION, fingerprint, [int(id_) for id_ in ids]])
    return hashlib.sha256(words.encode()).hexdigest()[:16]


class PromptStore:
    """The prompts under one folder; any number of threads and processes may use it."""

    def __init__(self, root: Path, asked_by: Literal["visit", "operator"] = "visit") -> None:
        self._texts = root / "texts"
        self.results = ArtifactStore(root / "results", RESULTS_BYTES, asked_by)
        """What was computed of prompts."""
        self._swept = 0.0
        self._lock = Lock()

    def put(self, fingerprint: str, ids: Sequence[int], text: str | None) -> str:
        """Keep a prompt of that model from now on, and return its key. OSError."""
        self._sweep_sometimes()
        key = key_of(fingerprint, ids)
        path = self._path(fingerprint, key)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = json.dumps({"ids": [int(id_) for id_ in ids], "text": text, "made": time.time()})
        unfinished = path.with_name(f".{key}-{secrets.token_hex(4)}.tmp")
        # Only the server's own user may read what visitors wrote.
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(handle, "w", encoding="utf-8", errors="surrogatepass") as file:
                file.write(content)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return key

    def get(self, fingerprint: str, key: str) -> Prompt | None:
        """Return the prompt of that key; None if it was never here, has been deleted or is too old."""
        if not KEY.fullmatch(key):
            return None
        found = _read(self._path(fingerprint, key))
        if found is None or time.time() - found.made > KEPT_SECONDS or key_of(fingerprint, found.ids) != key:
            return None
        return found

    def delete(self, fingerprint: str, key: str) -> None:
        """Delete a prompt and everything that was computed of it. OSError."""
        if KEY.fullmatch(key):
            self._path(fingerprint, key).unlink(missing_ok=True)
            folder = self.results.root / fingerprint / "p" / key
            for path in folder.rglob(f"*{SUFFIX}"):  # each named after its recipe's hash
                self.results.memory.drop(path.stem)
            with suppress(FileNotFoundError):
                shutil.rmtree(folder)

    def sweep(self) -> Iterator[tuple[Path, int]]:
        """Delete prompts that are too old or too many; yield each one's file and the bytes that this freed."""
        now = time.time()
        found = [(path, prompt.made if prompt else 0.0) for path in self._list() for prompt in (_read(path),)]
        found.sort(key=lambda each: each[1], reverse=True)
        for number, (path, made) in enumerate(found):
            if number >= MOST_PROMPTS or now - made > KEPT_SECONDS:
                with suppress(OSError):  # another process was quicker
                    size = path.stat().st_size
                    self.delete(path.parent.name, path.stem)
                    path.unlink(missing_ok=True)
                    yield path, size

    def _sweep_sometimes(self) -> None:
        with self._lock:
            is_due = time.monotonic() - self._swept >= SWEEP_SECONDS or not self._swept
            self._swept = time.monotonic() if is_due else self._swept
        if is_due:
            for _ in self.sweep():
                pass

    def _list(self) -> list[Path]:
        return [path for path in self._texts.glob("*/*.json") if not path.name.startswith(".")]

    def _path(self, fingerprint: str, key: str) -> Path:
        return self._texts / fingerprint / f"{key}.json"


def _read(path: Path) -> Prompt | None:
    try:
        said = json.loads(path.read_bytes())
        return Prompt(path.stem, tuple(map(int, said["ids"])), said["text"], float(said["made"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        # The file's own words may be a visitor's.
        logger.warning("a prompt's file cannot be read (%s)", type(error).__name__)
        return None
