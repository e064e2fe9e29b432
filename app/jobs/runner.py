"""The jobs of a server, one after the other, each in a process of its own.

Importing a model or computing every head takes minutes to hours, memory, and Python's one thread at a time, which a page
must not pay: so the server runs its own commands, `import` and `precompute`, which note how far they are where every
page reads it. Knows nothing of checkpoints and heads.
"""

import logging
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Condition, Thread
from typing import Literal

from app.explorer.asking.tasks import words_of
from app.explorer.errors import Busy, ComputationFailed
from app.explorer.running.children import STOP_SECONDS, Child, Children
from app.explorer.running.imports import Imports
from app.explorer.visits.jobs import progress_of, title_of
from app.jobs.record import fit_to_note
from app.store.jobs import Job, JobState, JobStore, Task

MOST_WAITING = 16
"""Jobs that wait for their turn; one more is refused, unless it imports a model that this server is to serve."""
LOOK_SECONDS = 0.25
"""How often it is seen whether the child has ended, and whether a job was cancelled."""
CANCEL_SECONDS = 10.0
"""For a child that was asked to end to come to the end of its step; then it is interrupted there."""

AskedBy = Literal["visit", "operator"]
"""What is computed for the operator is kept before all that visits ask for, and is computed after it."""
NICENESS: dict[AskedBy, int] = {"visit": 10, "operator": 19}
IMPORT_NICENESS = 5
"""Pages come first, then a model that visitors wait for, then what they ask for, then what nobody has asked for yet."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Turn:
    """A job that waits or runs, its lock, and the command that does it."""

    job: Job
    lock: ExitStack
    words: tuple[str, ...]
    niceness: int
    imports: Imports | None = None
    """Of an import: told that it is in line, and how it ended, unless the server ends before."""

    @property
    def is_import(self) -> bool:
        return self.imports is not None


class Runner:
    """One thread that starts children and sees them end; begun with the first job."""

    def __init__(self, store: JobStore, children: Children, data: Path, device: str) -> None:
        self._store, self._children, self._data, self._device = store, children, data, device
        self._turns: deque[_Turn] = deque()
        self._running: _Turn | None = None
        self._changed = Condition()
        self._closing = False
        self._thread: Thread | None = None

    def start(self, slug: str, fingerprint: str, task: Task, asked_by: AskedBy = "visit") -> Job:
        """A job in line for its turn, or one that waits or runs already and computes the same. Busy when many wait."""
        job = self._store.new(slug, fingerprint, task)
        words = ["precompute", slug, *words_of(task), "--data", str(self._data), "--device", self._device]
        words += ["--job", job.id, *(["--ahead"] if asked_by == "operator" else [])]
        with self._changed:
            for other in self._store.all():
                if other.is_live and other.asks_the_same(job):
                    return other
            if len(self._turns) >= MOST_WAITING:
                raise Busy(f"{len(self._turns)} jobs are waiting already; cancel one, or come back when some are done.")
            try:
                self._take(len(self._turns), job, words, NICENESS[asked_by])
            except OSError as error:
                logger.error("no job can be noted: %s", error)
                raise ComputationFailed(
                    "The job could not be noted on the server's disk, so it was not begun."
                ) from None
        return job

    def start_import(self, slug: str, source: str, imports: Imports) -> Job:
        """An import in line before all that is computed, or the one that this runner has in line already.

        Another server's import of that name may be of another folder; if it is not, one of the two waits for the other.
        OSError where the job cannot be noted.
        """
        job = self._store.new_import(slug)
        words = ["import", "--name", slug, "--data", str(self._data), "--job", job.id, "--", source]
        with self._changed:
            for turn in (self._running, *self._turns):
                if turn is not None and turn.is_import and turn.job.slug == slug and self._may_bring(turn):
                    return turn.job
            self._take(sum(turn.is_import for turn in self._turns), job, words, IMPORT_NICENESS, imports)
        return job

    def _may_bring(self, turn: _Turn) -> bool:
        """Whether that import may still bring its model; one whose notes say that it failed may not, though its child ends."""
        now = self._store.get(turn.job.id)
        return now is None or now.is_live or now.state == "done"

    def close(self) -> None:
        """Interrupt what runs; it and what waits goes on where it was when it is started again."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(2 * STOP_SECONDS)

    def _take(self, place: int, job: Job, words: list[str], niceness: int, imports: Imports | None = None) -> None:
        """Put the job at that place of the line, noted on the disk: one that no page can show is not begun. OSError."""
        if self._closing:
            raise Busy("This server is ending; come back when it is here again.")
        with ExitStack() as stack:
            stack.enter_context(self._store.held(job.id))
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
        while (turn := self._next()) is not None:
            with turn.lock:
                try:
                    ended = self._work(turn)
                except Exception as error:  # the jobs behind it have their turn, whatever the machine does
                    logger.error("%s (%s) could not be started: %s", title_of(turn.job), turn.job.id, error)
                    reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
                    ended = self._end(turn.job, "failed", f"it could not be started ({reason})")
                with self._changed:  # who asks for it again finds it in line, or ended
                    self._running = None
                    if ended is not None and turn.imports is not None:
                        turn.imports.end(ended)

    def _next(self) -> _Turn | None:
        """The job whose turn it is; None when the server ends."""
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
        """How the job ended; None if the server ends before it."""
        logger.info("%s (%s)", title_of(turn.job), turn.job.id)
        self._store.write(replace(turn.job, state="running", stage="loading the libraries", started=time.time()))
        child = self._children.start(turn.words, niceness=turn.niceness)
        try:
            self._watch(child, turn.job)
            return None if self._closing else self._ended(turn.job, child)
        finally:
            child.close()

    def _watch(self, child: Child, job: Job) -> None:
        """Wait for the child's end; hasten it once the server ends, or it was asked to end and does not."""
        cancelled_at: float | None = None
        told = _Told()
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

    def _ended(self, job: Job, child: Child) -> Job:
        """How the job ended; said in its notes, too, where the child could not."""
        job = self._store.get(job.id) or job
        if not job.is_live:  # the child has said it
            _log_end(job, child)
            return job
        state: JobState = "done" if child.status == 0 else "failed"
        if self._store.is_cancelled(job.id):
            state = "cancelled"
        message = child.fate() if state == "failed" else ""
        _log_end(replace(job, state=state, message=message), child)
        return self._end(job, state, message)

    def _end(self, job: Job, state: JobState, message: str = "") -> Job:
        job = replace(job, state=state, ended=time.time(), message=fit_to_note(message))
        try:
            self._store.write(job)
        except OSError as error:
            logger.error("the end of the job %s could not be noted: %s", job.id, error)
        return job


def _log_end(job: Job, child: Child) -> None:
    if job.state == "failed":
        logger.error("%s (%s) failed: %s", title_of(job), job.id, child.said() or job.message)
    else:
        logger.info("%s: %s (%s)", title_of(job), job.state, job.id)


class _Told:
    """What the server's log says of an import: each stage, and each tenth of it."""

    def __init__(self) -> None:
        self._last: tuple[str, int] = ("", 0)

    def tell(self, job: Job) -> None:
        """Say how far it is, if that is news."""
        now = (job.stage, 10 * job.done // job.total if job.total else 0)
        if now != self._last and job.is_live:
            logger.info("%s: %s", title_of(job), progress_of(job))
        self._last = now
