"""What a server computes of its models before anyone asks, once they are imported: jobs like others, behind all work.

Servers with the same data folder do it once: one of them holds a lock on the model, and if that one ends, another goes on.
A job that is cancelled, or fails, ends it for that model until the server starts again; a model that could not be
imported has its turn once a later import brings it.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Thread

from app.explorer.asking.agenda import agenda, bank_alone, is_done
from app.explorer.asking.places import here
from app.explorer.errors import Busy, ExplorerError
from app.explorer.library import OpenModel
from app.explorer.resources import Resources
from app.explorer.visits.jobs import title_of
from app.jobs.runner import Runner
from app.models.catalog import Catalog
from app.models.importing.published import SMOLLM2
from app.store.jobs import Job, Task
from app.store.locks import claimed

LOOK_SECONDS = 0.1
"""How often it is seen whether a model has come; a visitor who comes sooner would begin the same work."""
WAIT_SECONDS = 1.0
"""How often it is seen whether a job has ended, and whether another server has."""

logger = logging.getLogger(__name__)


class Ahead:
    """One thread that begins a job, sees it end, and begins the next."""

    def __init__(self, r: Resources, runner: Runner, *, of_all: bool) -> None:
        """`of_all`: every matrix of every model of the server; else of the one that is known beforehand to be small, and of
        others the bank.
        """
        self._r, self._runner, self._of_all = r, runner, of_all
        self._closing = Event()
        self._thread = Thread(target=self._run, name="ahead", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Begin nothing more; what runs is the runner's."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            left = list(self._r.slugs)
            while (slug := self._next(left)) is not None:
                left.remove(slug)
                model = here(self._r, slug)
                if model is not None:
                    self._compute(model, in_full=self._of_all or self._is_known(slug))
        except Exception:
            logger.exception("nothing more is computed before anyone asks")

    def _is_known(self, slug: str) -> bool:
        return Catalog(self._r.data).origin(slug).sum == SMOLLM2.sha256

    def _next(self, left: Sequence[str]) -> str | None:
        """The first that did not fail to be imported, once it is here; None if none is left, or the server ends."""
        while left and not self._closing.is_set():
            known = ((slug, self._r.imports.of(slug)) for slug in left)
            hoped = ((slug, progress) for slug, progress in known if progress is None or progress.state != "failed")
            slug, progress = next(hoped, (None, None))
            if slug is not None and (progress is None or progress.state == "done"):
                return slug
            self._closing.wait(
                LOOK_SECONDS if slug else WAIT_SECONDS
            )  # where all have failed, somebody may begin one again
        return None

    def _compute(self, model: OpenModel, *, in_full: bool) -> None:
        slug, store = model.header.slug, self._r.store
        tasks = (agenda if in_full else bank_alone)(model, self._r.default_weights)
        what = "every matrix" if in_full else "its bank"
        if all(is_done(store, model, task) for task in tasks) or not os.access(self._r.data, os.W_OK):
            return
        claim = self._claimed(model)
        try:
            logger.info(
                "%s: %s is computed now, the last layers first, behind all other work; pages open meanwhile, and "
                "/-/jobs shows how far it is. serve --no-precompute leaves it",
                slug,
                what,
            )
            for task in tasks:
                if not self._is_there(model, task):
                    return
            logger.info("%s: %s is there", slug, what)
        finally:
            if claim is not None:
                os.close(claim)

    def _claimed(self, model: OpenModel) -> int | None:
        """The handle that keeps other servers from the same; waited for while one of them has it."""
        with suppress(OSError):
            while not self._closing.is_set():
                if (claim := claimed(model.folder / "manifest.json")) is not None:
                    return claim
                self._closing.wait(WAIT_SECONDS)
        return None

    def _is_there(self, model: OpenModel, task: Task) -> bool:
        """Whether all of the task is computed in the end; False, too, when the server ends."""
        while not self._closing.is_set() and not is_done(self._r.store, model, task):
            if (job := self._begun(model, task)) is None:
                return False
            state = self._end_of(job)
            if state == "done":
                break  # whatever was deleted meanwhile, it was there
            if state != "interrupted":
                logger.warning("%s: %s; what is left is not computed before anyone asks", title_of(job, model), state)
                return False
            self._closing.wait(WAIT_SECONDS)
        return not self._closing.is_set()

    def _begun(self, model: OpenModel, task: Task) -> Job | None:
        """The job, in line or found; None if none can be begun."""
        while not self._closing.is_set():
            try:
                return self._runner.start(model.header.slug, model.fingerprint, task, asked_by="operator")
            except Busy:
                self._closing.wait(WAIT_SECONDS)
            except ExplorerError as error:
                logger.error("%s: %s", model.header.slug, error)
                return None
        return None

    def _end_of(self, job: Job) -> str:
        """The state that the job ends in."""
        while not self._closing.wait(WAIT_SECONDS):
            now = self._r.jobs.get(job.id)
            if now is None or not now.is_live:
                return "gone" if now is None else now.state
        return "interrupted"
