"""The runner of a server's jobs: one after the other, each in a process of its own.

Importing a model or computing every head takes minutes to hours, memory, and the interpreter's lock, which pages must
not wait for: so the server runs its own commands, `import` and `precompute`, which note their progress where every page
reads it. Knows nothing of checkpoints and heads.
"""

import logging
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Condition, Thread
from typing import Literal

from app.explorer.asking.tasks import command_words
from app.explorer.errors import Busy, ComputationFailed
from app.explorer.running.children import STOP_SECONDS, Child, Children
from app.explorer.running.imports import Imports
from app.explorer.visits.jobs import progress_of, title_of
from app.jobs.record import shorten_note
from app.store.jobs import Job, JobState, JobStore, Task

MOST_WAITING = 16
"""Jobs that wait for their turn; one more is refused, unless it imports a model that this server is to serve."""
LOOK_SECONDS = 0.25
"""How often the runner checks whether the child has ended, and whether a job was cancelled."""
CANCEL_SECONDS = 10.0
"""Seconds that a child has to finish its step when it is asked to end; then it is interrupted."""

AskedBy = Literal["visit", "operator"]
"""The party that asks for a job: what is computed for the operator is kept before all that visits ask for, and computed
after it."""
NICENESS: dict[AskedBy, int] = {"visit": 10, "operator": 19}
IMPORT_NICENESS = 5
"""Niceness of an import: pages come first, then a model that visitors wait for, then what they ask for, then what
nobody asked for yet."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Turn:
    """A job that waits or runs, its lock, and its command."""

    job: Job
    lock: ExitStack
    words: tuple[str, ...]
    niceness: int
    imports: Imports | None = None
    """For an import, the imports to be told that it is in line, and how it ended, unless the server ends before."""

    @property
    def is_import(self) -> bool:
        return self.imports is not None


class Runner:
    """A thread that starts children and waits for their ends; begun with the first job."""

    def __init__(self, store: JobStore, children: Children, data: Path, device: str) -> None:
        self._store, self._children, self._data, self._device = store, children, data, device
        self._turns: deque[_Turn] = deque()
        self._running: _Turn | None = None
        self._changed = Condition()
        self._closing = False
        self._thread: Thread | None = None

    def start(self, slug: str, fingerprint: str, task: Task, asked_by: AskedBy = "visit") -> Job:
        """Put a job in line, or find one that waits or runs and computes the same. Busy when many wait."""
        job = self._store.new(slug, fingerprint, task)
        words = ["precompute", slug, *command_words(task), "--data", str(self._data), "--device", self._device]
        words += ["--job", job.id, *(["--ahead"] if asked_by == "operator" else [])]
        with self._changed:
            for other in self._store.all():
                if other.is_live and other.is_same_job(job):
                    return other
            if len(self._turns) >= MOST_WAITING:
                raise Busy(f"{len(self._turns)} jobs are waiting already; cancel one, or come back when some are done.")
            try:
                self._enter(len(self._turns), job, words, NICENESS[asked_by])
            except OSError as error:
                logger.error("no job can be noted: %s", error)
                raise ComputationFailed(
                    "The job could not be noted on the server's disk, so it was not begun."
                ) from None
        return job

    def start_import(self, slug: str, source: str, imports: Imports) -> Job:
        """Put an import in line before all computations, or find the one that this runner has in line.

        Another server's import of that name may be of another folder; if it is not, one of the two waits for the other.
        OSError where the job cannot be noted.
        """
        job = self._store.new_import(slug)
        words = ["import", "--name", slug, "--data", str(self._data), "--job", job.id, "--", source]
        with self._changed:
            for turn in (self._running, *self._turns):
                if turn is not None and turn.is_import and turn.job.slug == slug and self._may_bring(turn):
                    return turn.job
            self._enter(sum(turn.is_import for turn in self._turns), job, words, IMPORT_NICENESS, imports)
        return job

    def _may_bring(self, turn: _Turn) -> bool:
        """Return whether that import may still bring its model; one that is noted as failed may not, though its child
        has yet to end.
        """
        now = self._store.get(turn.job.id)
        return now is None or now.is_live or now.state == "done"

    def close(self) -> None:
        """Interrupt what runs; it and the waiting jobs go on where they were when they are started again."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(2 * STOP_SECONDS)

    def _enter(self, place: int, job: Job, words: list[str], niceness: int, imports: Imports | None = None) -> None:
        """Put the job at that place of the line, and note it on the disk: one that no page can show is not begun.
        OSError.
        """
        if self._closing:
            raise Busy("This server is ending; come back when it is here again.")
        with ExitStack() as stack:
            stack.enter_context(self._store.hold_job(job.id))
            self._store.write(job)
            self._turns.insert(place, _Turn(job, stack.pop_all(), tuple(words), niceness, imports))
        if imports is not None:
            imports.begin(job)
        self._thread = self._thread or self._begin()
        self._changed.notify()

    def _begin(self) -> Thread:
        thread = Thread(target=self._run, name="jobs", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        while (turn := self._wait_for_turn()) is not None:
            with turn.lock:
                try:
                    ended = self._work(turn)
                except Exception as error:  # the jobs behind it have their turn, whatever the machine does
                    logger.error("%s (%s) could not be started: %s", title_of(turn.job), turn.job.id, error)
                    reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
                    ended = self._end(turn.job, "failed", f"it could not be started ({reason})")
                with self._changed:  # whoever asks for it again finds it in line, or ended
                    self._running = None
                    if ended is not None and turn.imports is not None:
                        turn.imports.end(ended)

    def _wait_for_turn(self) -> _Turn | None:
        """Return the job whose turn it is; None when the server ends."""
        with self._changed:
            while True:
                self._drop_cancelled()
                if self._closing:
                    while self._turns:
                        self._turns.popleft().lock.close()
                    return None
                if self._turns:
                    self._running = self._turns.popleft()
                    return self._running
                self._changed.wait()

    def _drop_cancelled(self) -> None:
        for turn in [turn for turn in self._turns if self._store.is_cancelled(turn.job.id)]:
            self._turns.remove(turn)
            with turn.lock:
                ended = self._end(turn.job, "cancelled")
                if turn.imports is not None:
                    turn.imports.end(ended)

    def _work(self, turn: _Turn) -> Job | None:
        """Run the job, and return its state at the end; None if the server ends before it."""
        logger.info("%s (%s)", title_of(turn.job), turn.job.id)
        self._store.write(replace(turn.job, state="running", stage="loading the libraries", started=time.time()))
        child = self._children.start(turn.words, niceness=turn.niceness)
        try:
            self._watch(child, turn.job)
            return None if self._closing else self._note_end(turn.job, child)
        finally:
            child.close()

    def _watch(self, child: Child, job: Job) -> None:
        """Wait for the child's end; hasten it once the server ends, or the job was cancelled and does not end."""
        cancelled_at: float | None = None
        told = _ImportLog()
        while not child.has_ended(LOOK_SECONDS):
            with self._changed:
                self._drop_cancelled()
                closing = self._closing
            if job.task is None and (now := self._store.get(job.id)) is not None:
                told.tell(now)
            if cancelled_at is None and self._store.is_cancelled(job.id):
                cancelled_at = time.monotonic()
            if closing or (cancelled_at is not None and time.monotonic() - cancelled_at > CANCEL_SECONDS):
                child.end()
                return

    def _note_end(self, job: Job, child: Child) -> Job:
        """Return the job's state at the end, and note it where the child could not."""
        job = self._store.get(job.id) or job
        if not job.is_live:  # the child has noted it
            _log_end(job, child)
            return job
        state: JobState = "done" if child.status == 0 else "failed"
        if self._store.is_cancelled(job.id):
            state = "cancelled"
        message = child.explain_end() if state == "failed" else ""
        _log_end(replace(job, state=state, message=message), child)
        return self._end(job, state, message)

    def _end(self, job: Job, state: JobState, message: str = "") -> Job:
        job = replace(job, state=state, ended=time.time(), message=shorten_note(message))
        try:
            self._store.write(job)
        except OSError as error:
            logger.error("the end of the job %s could not be noted: %s", job.id, error)
        return job


def _log_end(job: Job, child: Child) -> None:
    if job.state == "failed":
        logger.error("%s (%s) failed: %s", title_of(job), job.id, child.read_errors() or job.message)
    else:
        logger.info("%s: %s (%s)", title_of(job), job.state, job.id)


class _ImportLog:
    """The log of an import: each stage, and each tenth of it."""

    def __init__(self) -> None:
        self._last: tuple[str, int] = ("", 0)

    def tell(self, job: Job) -> None:
        """Log the progress, if it is news."""
        now = (job.stage, 10 * job.done // job.total if job.total else 0)
        if now != self._last and job.is_live:
            logger.info("%s: %s", title_of(job), progress_of(job))
        self._last = now
