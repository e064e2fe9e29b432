"""The jobs of a server, one after the other, each in a process of its own.

Computing every head takes minutes to hours, memory, and Python's one thread at a time, which a page must not pay: so the
server runs its own command, `precompute`, which notes how far it is where every page reads it. Knows nothing of heads.
"""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Condition, Thread
from typing import Literal, TextIO

from app.explorer.errors import Busy, ComputationFailed
from app.explorer.running.children import refusal_in
from app.explorer.tasks import words_of
from app.store.jobs import Job, JobState, JobStore, Task

MOST_WAITING = 16
"""Jobs that wait for their turn; one more is refused."""
LOOK_SECONDS = 0.25
"""How often it is seen whether the child has ended, and whether a job was cancelled."""
CANCEL_SECONDS = 10.0
"""For a child that was asked to end to come to the end of its step; then it is interrupted there."""
STOP_SECONDS = 5.0
"""For an interrupted child to end; then it is killed."""

AskedBy = Literal["visit", "operator"]
"""What is computed for the operator is kept before all that visits ask for, and is computed after it."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Turn:
    """A job that waits or runs, and its lock."""

    job: Job
    lock: ExitStack
    asked_by: AskedBy


class Runner:
    """One thread that starts children and sees them end; begun with the first job."""

    def __init__(self, store: JobStore, data: Path, device: str) -> None:
        self._store, self._data, self._device = store, data, device
        self._turns: deque[_Turn] = deque()
        self._changed = Condition()
        self._closing = False
        self._thread: Thread | None = None

    def start(self, slug: str, fingerprint: str, task: Task, asked_by: AskedBy = "visit") -> Job:
        """A job in line for its turn, or one that waits or runs already and computes the same. Busy when many wait."""
        job = self._store.new(slug, fingerprint, task)
        with self._changed:
            for other in self._store.all():
                if other.is_live and other.asks_the_same(job):
                    return other
            if self._closing:
                raise Busy("This server is ending; come back when it is here again.")
            if len(self._turns) >= MOST_WAITING:
                raise Busy(f"{len(self._turns)} jobs are waiting already; cancel one, or come back when some are done.")
            self._turns.append(_Turn(job, self._noted(job), asked_by))
            self._thread = self._thread or self._begin()
            self._changed.notify()
        return job

    def close(self) -> None:
        """Interrupt what runs; it and what waits goes on where it was when it is started again."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(2 * STOP_SECONDS)

    def _noted(self, job: Job) -> ExitStack:
        """The job's lock, with the job on the disk: a job that no page can show is not begun."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self._store.held(job.id))
                self._store.write(job)
            except OSError as error:
                logger.error("no job can be noted: %s", error)
                raise ComputationFailed(
                    "The job could not be noted on the server's disk, so it was not begun."
                ) from None
            return stack.pop_all()

    def _begin(self) -> Thread:
        thread = Thread(target=self._run, name="jobs", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        while (turn := self._next()) is not None:
            with turn.lock:
                try:
                    self._work(turn.job, turn.asked_by)
                except OSError as error:
                    logger.error("the job %s could not be started: %s", turn.job.id, error)
                    self._end(turn.job, "failed", f"it could not be started ({error.strerror})")

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
                    return self._turns.popleft()
                self._changed.wait()

    def _drop_cancelled(self) -> None:
        for turn in [turn for turn in self._turns if self._store.is_cancelled(turn.job.id)]:
            self._turns.remove(turn)
            with turn.lock:
                self._end(turn.job, "cancelled")

    def _work(self, job: Job, asked_by: AskedBy) -> None:
        logger.info("precomputing %s (%s)", job.slug, job.id)
        self._store.write(replace(job, state="running", stage="loading the libraries", started=time.time()))
        # Errors go to a file: a pipe that nobody reads yet would fill up and stop the child.
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            with subprocess.Popen(self._command(job, asked_by), stdout=subprocess.DEVNULL, stderr=errors) as child:
                self._watch(child, job)
            if not self._closing:
                errors.seek(0)
                self._close_notes(job, child.returncode, errors)

    def _command(self, job: Job, asked_by: AskedBy) -> list[str]:
        command = [sys.executable, "-m", "app", "precompute", job.slug, *words_of(job.task)]
        command += ["--data", str(self._data), "--device", self._device]
        command += ["--job", job.id, "--parent", str(os.getpid())]
        return [*command, "--ahead"] if asked_by == "operator" else command

    def _watch(self, child: "subprocess.Popen[bytes]", job: Job) -> None:
        """Wait for the child's end; hasten it once the server ends, or it was asked to end and does not."""
        cancelled_at: float | None = None
        while not _has_ended(child, LOOK_SECONDS):
            with self._changed:
                self._drop_cancelled()
                closing = self._closing
            if cancelled_at is None and self._store.is_cancelled(job.id):
                cancelled_at = time.monotonic()
            if closing or (cancelled_at is not None and time.monotonic() - cancelled_at > CANCEL_SECONDS):
                child.terminate()
                if not _has_ended(child, STOP_SECONDS):
                    child.kill()
                return

    def _close_notes(self, job: Job, status: int, errors: TextIO) -> None:
        """Say how the job ended, where the child could not."""
        job = self._store.get(job.id) or job
        if not job.is_live:  # the child has said it
            logger.info("precomputing %s: %s (%s)", job.slug, job.state, job.id)
            return
        if self._store.is_cancelled(job.id):
            self._end(job, "cancelled")
        elif status == 0:
            self._end(job, "done")
        else:
            said = errors.read()
            logger.error("precomputing %s (%s) failed: %s", job.slug, job.id, said.strip() or f"status {status}")
            self._end(job, "failed", refusal_in(said) or _fate(status))

    def _end(self, job: Job, state: JobState, message: str = "") -> None:
        try:
            self._store.write(replace(job, state=state, ended=time.time(), message=message[:1_000]))
        except OSError as error:
            logger.error("the end of the job %s could not be noted: %s", job.id, error)


def _has_ended(child: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _fate(status: int) -> str:
    if status == -9:
        return "something killed it, often for want of memory; what it computed is kept"
    return f"it stopped with status {status}; whoever runs this server finds more in its log"
