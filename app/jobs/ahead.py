"""The jobs that a server starts before anyone asks, once its models are imported: like other jobs, but behind all work.

Servers with the same data folder do it once: one of them holds a lock on the model, and if that one ends, another goes
on. If a job is cancelled, or fails, that model is left until the server starts again; a model that could not be
imported has its turn once a later import brings it.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Thread

from app.explorer.asking.agenda import axes_task, bank_task, is_done, list_tasks, public_tasks, streams_task, use_task
from app.explorer.asking.places import find_model
from app.explorer.errors import Busy, ExplorerError
from app.explorer.library import OpenModel
from app.explorer.resources import Resources
from app.explorer.visits.jobs import title_of
from app.jobs.runner import Runner
from app.models.catalog import Catalog
from app.models.importing.published import SMOLLM2
from app.store.jobs import Job, Task
from app.store.locks import claim_file

MOST_PARAMETERS = 50_000_000
"""Parameters of a model whose statistics of use take seconds, so that they are computed though not every matrix is."""
LOOK_SECONDS = 0.1
"""How often the thread checks for a new model; a visitor who comes sooner would begin the same work."""
WAIT_SECONDS = 1.0
"""How often the thread checks whether a job, or another server, has ended."""

logger = logging.getLogger(__name__)


class Precomputer:
    """A thread that begins a job, waits for its end, and begins the next."""

    def __init__(self, r: Resources, runner: Runner, *, of_all: bool) -> None:
        """`of_all`: compute every matrix of every model of the server; else of the one model that is known to be small,
        and of others the bank.
        """
        self._r, self._runner, self._of_all = r, runner, of_all
        self._closing = Event()
        self._thread = Thread(target=self._run, name="ahead", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Begin no more jobs; the runner ends what runs."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            left = list(self._r.slugs)
            while (slug := self._wait_for_model(left)) is not None:
                left.remove(slug)
                model = find_model(self._r, slug)
                if model is not None:
                    self._compute(model, in_full=self._of_all or self._is_small(slug))
        except Exception:
            logger.exception("nothing more is computed before anyone asks")

    def _is_small(self, slug: str) -> bool:
        return Catalog(self._r.data).origin(slug).sum == SMOLLM2.sha256

    def _wait_for_model(self, left: Sequence[str]) -> str | None:
        """Return the first model that did not fail to be imported, once it is here; None if none is left, or the server
        ends.
        """
        while left and not self._closing.is_set():
            known = ((slug, self._r.imports.of(slug)) for slug in left)
            hoped = ((slug, progress) for slug, progress in known if progress is None or progress.state != "failed")
            slug, progress = next(hoped, (None, None))
            if slug is not None and (progress is None or progress.state == "done"):
                return slug
            self._closing.wait(
                LOOK_SECONDS if slug else WAIT_SECONDS
            )  # where all have failed, a visitor may begin an import again
        return None

    def _compute(self, model: OpenModel, *, in_full: bool) -> None:
        slug, store = model.header.slug, self._r.store
        first, *others = (list_tasks if in_full else bank_task)(model, self._r.default_weights)
        runs = self._r.prompts is not None and (in_full or model.header.n_params <= MOST_PARAMETERS)
        on_text, of_streams = (
            [task for of in each for task in of(model, self._r.default_weights)] if runs else []
            for each in ((use_task, axes_task), (streams_task,))
        )
        of_links = [] if self._r.computes_for_visits or not in_full else public_tasks(model, self._r.default_weights)
        tasks = [first, *on_text, *of_links, *others, *of_streams]
        what = "every matrix" if in_full else "its bank"
        if all(is_done(store, model, task) for task in tasks) or not os.access(self._r.data, os.W_OK):
            return
        claim = self._claim_model(model)
        try:
            logger.info(
                "%s: %s is computed now, the last layers first, behind all other work; pages open meanwhile, and "
                "/-/jobs shows how far it is. serve --no-precompute leaves it",
                slug,
                what,
            )
            for task in tasks:
                if not self._compute_task(model, task):
                    return
            logger.info("%s: %s is there", slug, what)
        finally:
            if claim is not None:
                os.close(claim)

    def _claim_model(self, model: OpenModel) -> int | None:
        """Claim the model so that other servers leave it, waiting while one of them has it; returns the handle of the
        lock.
        """
        with suppress(OSError):
            while not self._closing.is_set():
                if (claim := claim_file(model.folder / "manifest.json")) is not None:
                    return claim
                self._closing.wait(WAIT_SECONDS)
        return None

    def _compute_task(self, model: OpenModel, task: Task) -> bool:
        """Compute the task; return whether all of it is done in the end, False, too, when the server ends."""
        while not self._closing.is_set() and not is_done(self._r.store, model, task):
            if (job := self._begin_job(model, task)) is None:
                return False
            state = self._wait_for_end(job)
            if state == "done":
                break  # whatever was deleted meanwhile, it was computed
            if state != "interrupted":
                logger.warning("%s: %s; what is left is not computed before anyone asks", title_of(job, model), state)
                return False
            self._closing.wait(WAIT_SECONDS)
        return not self._closing.is_set()

    def _begin_job(self, model: OpenModel, task: Task) -> Job | None:
        """Begin the job, or find it in line; None if none can be begun."""
        while not self._closing.is_set():
            try:
                return self._runner.start(model.header.slug, model.fingerprint, task, asked_by="operator")
            except Busy:
                self._closing.wait(WAIT_SECONDS)
            except ExplorerError as error:
                logger.error("%s: %s", model.header.slug, error)
                return None
        return None

    def _wait_for_end(self, job: Job) -> str:
        """Wait for the job's end, and return the state it ends in."""
        while not self._closing.wait(WAIT_SECONDS):
            now = self._r.jobs.get(job.id)
            if now is None or not now.is_live:
                return "gone" if now is None else now.state
        return "interrupted"
