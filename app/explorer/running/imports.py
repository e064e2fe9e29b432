"""The models that were missing when this server started, and how far the import of each is.

The progress of an import is its job's; its end is noted here. Starts nothing (`app.jobs.arrivals` does), and knows
nothing of checkpoints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Literal

from app.store.jobs import Job, JobStore


@dataclass(frozen=True, slots=True)
class Import:
    """The progress of one model's import."""

    slug: str
    source: str
    """The operator's name for the source, which may be a path: not for visitors to read."""
    state: Literal["importing", "failed", "done"] = "importing"
    message: str = "waiting for its turn"
    done: int = 0
    total: int = 0
    job: str | None = None
    """The job that imports the model, or did; None before it is noted."""


class Imports:
    """The imports of this server, asked about from any thread."""

    def __init__(self, store: JobStore, sources: Mapping[str, str]) -> None:
        self._store = store
        self._imports = {slug: Import(slug, source) for slug, source in sources.items()}
        self._lock = Lock()

    @property
    def slugs(self) -> tuple[str, ...]:
        """The models that were missing, in the order of their imports."""
        return tuple(self._imports)

    def of(self, slug: str) -> Import | None:
        """Return the state of that model's import; None if the model was here when the server started."""
        known = self._imports.get(slug)
        if known is None or known.state != "importing" or known.job is None:
            return known
        job = self._store.get(known.job)
        return known if job is None else replace(known, message=job.stage, done=job.done, total=job.total)

    def begin(self, job: Job) -> None:
        """Note the job that imports its model, for the first time or again."""
        with self._lock:
            self._imports[job.slug] = Import(job.slug, self._imports[job.slug].source, job=job.id)

    def end(self, job: Job) -> None:
        """Note how the job ended, unless a later one imports its model by now."""
        message = "its import was cancelled" if job.state == "cancelled" else job.message
        with self._lock:
            known = self._imports[job.slug]
            if known.job != job.id:
                return
            state: Literal["done", "failed"] = "done" if job.state == "done" else "failed"
            self._imports[job.slug] = replace(known, state=state, message="" if state == "done" else message)

    def refuse(self, slug: str, message: str) -> None:
        """Note why the import is not even begun."""
        with self._lock:
            self._imports[slug] = replace(self._imports[slug], state="failed", message=message)
