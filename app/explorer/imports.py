"""Models that are missing when a server starts, imported one after the other in a process of their own.

Importing needs transformer_lens, which costs seconds and memory that a page must not pay: so the server runs its own
command, `import`, and reads its progress line by line. Knows nothing of checkpoints.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Literal

from app.explorer.running.children import refusal_in

logger = logging.getLogger(__name__)

STOP_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Import:
    """How far one model is."""

    slug: str
    source: str
    state: Literal["importing", "failed", "done"] = "importing"
    message: str = "waiting for its turn"
    done: int = 0
    total: int = 0


class Imports:
    """The imports of this server, begun at once; asked about from any thread."""

    def __init__(self, data: Path, sources: dict[str, str]) -> None:
        self._data = data
        self._imports = {slug: Import(slug, source) for slug, source in sources.items()}
        self._lock = Lock()
        self._closing = Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = Thread(target=self._run, name="imports", daemon=True)
        self._thread.start()

    def of(self, slug: str) -> Import | None:
        """How far that model is; None if it was here when the server started."""
        return self._imports.get(slug)

    def close(self) -> None:
        """Stop the import that is running; it goes on from there when it is started again."""
        self._closing.set()
        with self._lock:
            if self._process is not None:
                self._process.terminate()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        for each in list(self._imports.values()):
            if self._closing.is_set():
                return
            try:
                self._import(each)
            except OSError as error:
                logger.error("%s could not be imported into %s: %s", each.slug, self._data, error)
                self._set(replace(each, state="failed", message=f"the import could not be started ({error.strerror})"))

    def _import(self, each: Import) -> None:
        command = [sys.executable, "-m", "app", "import", each.source, "--data", str(self._data)]
        command += ["--name", each.slug, "--progress", "json", "--parent", str(os.getpid())]
        # Errors go to a file: a pipe that nobody reads yet would fill up and stop the import.
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            with self._lock:
                if self._closing.is_set():
                    return
                self._process = subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8", errors="replace"
                )
            with self._process as process:
                assert process.stdout
                for line in process.stdout:
                    self._follow(each.slug, line)
            errors.seek(0)
            self._end(each.slug, process.returncode, errors.read())

    def _follow(self, slug: str, line: str) -> None:
        try:
            step = json.loads(line)
            message, done, total = str(step["message"]), int(step["done"]), int(step["total"])
        except (ValueError, KeyError, TypeError):
            return  # a library's own words on standard output
        self._set(replace(self._imports[slug], message=message, done=done, total=total))
        logger.info("importing %s: %s%s", slug, f"[{done}/{total}] " if total else "", message)

    def _end(self, slug: str, status: int, errors: str) -> None:
        if status == 0:
            self._set(replace(self._imports[slug], state="done", message=""))
            logger.info("%s is imported", slug)
            return
        message = refusal_in(errors) or f"the import stopped with status {status}; the server's log says more"
        self._set(replace(self._imports[slug], state="failed", message=message))
        if not self._closing.is_set():
            logger.error("%s could not be imported: %s", slug, errors.strip() or message)

    def _set(self, state: Import) -> None:
        self._imports[state.slug] = state
