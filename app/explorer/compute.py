"""The compute queue: one worker thread, a bounded line before it, and each computation done once however many ask.

Interactive work goes before batch work. Work is a function; one that returns a generator gives way to others after
each step: it yields (done, total) and returns its result. Should the worker end nonetheless, a watchdog starts another
and fails what was being done. Knows nothing of tensors, models or pages.
"""

import itertools
import logging
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from queue import Empty, PriorityQueue
from threading import Event, Lock, Semaphore, Thread, get_native_id
from typing import Any, Literal

from app.explorer.errors import BadOption, Busy, ComputationFailed, ExplorerError, NotReady
from app.models.memory import is_of_memory

Priority = Literal["interactive", "batch"]
Steps = Generator[tuple[int, int], None, Any]
Work = Callable[[], Any]

FAILURE_SECONDS = float(ComputationFailed.retry_after)
"""How long a failure is the answer before the work may be tried again: longer than a progress page waits to ask."""
BEAT_SECONDS = 1.0
"""How often an idle worker is heard of, and how soon the watchdog finds one that ended."""
STALLED_SECONDS = 300.0
"""A step that takes longer than this is taken for a worker that hangs."""
SHORT_AFTER = 3
"""Computations in a row that memory was too small for, before that is taken for the machine's state: a single matrix
may be too large for it at any time, and anyone may ask for that one."""
SHORT_SECONDS = 300.0
"""How long those say something of the next one: whoever is sent no visitors because of it would never find out that
there is memory again."""
YIELDING = 10
"""The worker's niceness: pages that need no computation are then answered first, on however few cores."""
STOPPED = "The server stopped working on this, and has started anew."
NO_MEMORY = "There was not enough free memory to compute this; the server goes on with the rest."

logger = logging.getLogger(__name__)


def ended(steps: Steps) -> Any:
    """What the steps give at their end, taken without a pause."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


@dataclass(eq=False)
class Job:
    """One computation, from being asked for to its result."""

    key: Hashable
    title: str
    """What is being done, for people who wait: `L5H3 OV is being decomposed`."""
    work: Work
    priority: Priority
    future: "Future[Any]" = field(default_factory=Future)
    steps: Steps | None = None
    done: int = 0
    total: int = 0


class ComputeQueue:
    """Computations of one device, one at a time."""

    def __init__(self, size: int, wait_seconds: float, waiters: int, stalled_seconds: float = STALLED_SECONDS) -> None:
        self._size = size
        self._wait_seconds = wait_seconds
        self._waiters = Semaphore(waiters)
        self._line: PriorityQueue[tuple[int, int, Job | None]] = PriorityQueue()
        self._jobs: dict[Hashable, Job] = {}
        self._failures: OrderedDict[Hashable, tuple[float, ExplorerError]] = OrderedDict()
        self._lock = Lock()
        self._turns = itertools.count()
        self._stalled_seconds = stalled_seconds
        self._closing = Event()
        self._running: Job | None = None
        self._too_large: set[Hashable] = set()
        """What memory was too small for since something was last computed."""
        self._short_since = -SHORT_SECONDS
        self._start_worker()
        self._watchdog = Thread(target=self._watch, name="watchdog", daemon=True)
        self._watchdog.start()

    def submit(self, key: Hashable, work: Work, title: str, priority: Priority = "interactive") -> Job:
        """Join the computation of that key, or put it in line; Busy if the line is full."""
        with self._lock:
            if job := self._jobs.get(key):
                return job
            self._raise_recent_failure(key)
            if self._closing.is_set() or self._line.qsize() >= self._size:
                raise Busy("The queue of computations is full. Please try again in a few seconds.")
            job = self._jobs[key] = Job(key, title, work, priority)
            self._enter(job)
            return job

    def results(self, *jobs: Job) -> list[Any]:
        """The results, waited for together within one budget; NotReady when that or the number of waiters is spent."""
        futures = [job.future for job in jobs]
        if not all(future.done() for future in futures) and self._waiters.acquire(blocking=False):
            try:
                wait(futures, timeout=self._wait_seconds)
            finally:
                self._waiters.release()
        pending = tuple(future for future in futures if not future.done())
        if pending:
            first = next(job for job in jobs if job.future is pending[0])
            raise NotReady(first.title, first.done, first.total, pending)
        return [future.result() for future in futures]

    def get(self, key: Hashable, work: Work, title: str, priority: Priority = "interactive") -> Any:
        """The result of one computation: submit it, wait for it."""
        return self.results(self.submit(key, work, title, priority))[0]

    def depth(self) -> int:
        """Computations in line."""
        return self._line.qsize()

    def alive(self) -> bool:
        """The worker is there and has been heard of lately."""
        return self._worker.is_alive() and time.monotonic() - self._beat < self._stalled_seconds

    def is_short_of_memory(self) -> bool:
        """Tell whether memory was too small for several different computations in a row, unless that is long ago."""
        return len(self._too_large) >= SHORT_AFTER and time.monotonic() - self._short_since < SHORT_SECONDS

    def close(self) -> None:
        """Stop after the step that is running; who waits for the rest hears that it is not ready."""
        self._closing.set()
        self._watchdog.join(timeout=10)
        self._line.put((-1, next(self._turns), None))
        self._worker.join(timeout=10)

    def _enter(self, job: Job) -> None:
        self._line.put((("interactive", "batch").index(job.priority), next(self._turns), job))

    def _raise_recent_failure(self, key: Hashable) -> None:
        now = time.monotonic()
        while self._failures and next(iter(self._failures.values()))[0] < now - FAILURE_SECONDS:
            self._failures.popitem(last=False)
        if key in self._failures:
            raise _again(self._failures[key][1])

    def _start_worker(self) -> None:
        self._beat = time.monotonic()
        self._worker = Thread(target=self._run, name="compute", daemon=True)
        self._worker.start()

    def _watch(self) -> None:
        while not self._closing.wait(BEAT_SECONDS):
            if not self._worker.is_alive():
                self._replace_worker()

    def _replace_worker(self) -> None:
        """Fail what the worker was at when it ended, since that may have ended it, and go on with the line."""
        try:
            self._start_worker()
        except RuntimeError:
            logger.exception("no thread can be started; trying again")
            return
        logger.warning("another compute worker has been started")

    def _run(self) -> None:
        _give_way()
        try:
            if self._running is not None:
                self._end_in_failure(self._running, ComputationFailed(STOPPED))
                self._running = None
            while self._turn():
                pass
        except BaseException:
            # Nothing that work raises gets here; the machine can still fail under the queue itself.
            logger.critical("the compute worker ended", exc_info=True)

    def _turn(self) -> bool:
        """Take what is first in line a step further; False at the end."""
        self._beat = time.monotonic()
        try:
            job = self._line.get(timeout=BEAT_SECONDS)[2]
        except Empty:
            return True
        if job is None:
            return False
        self._running = job
        self._step(job)
        self._running = None
        return True

    def _step(self, job: Job) -> None:
        """Run the work to its end or to its next step; whatever it raises is its own answer."""
        try:
            if job.steps is None:
                result = job.work()
                if not isinstance(result, Generator):
                    self._finish(job, result)
                    return
                job.steps = result
            job.done, job.total = next(job.steps)
            self._enter(job)
        except StopIteration as stop:
            self._finish(job, stop.value)
        except BaseException as error:
            self._fail(job, error)

    def _finish(self, job: Job, result: Any) -> None:
        self._too_large.clear()
        with self._lock:
            del self._jobs[job.key]
        job.future.set_result(result)

    def _fail(self, job: Job, error: BaseException) -> None:
        if isinstance(error, BadOption):
            self._end_in_failure(job, _again(error))  # no failure: what was asked for cannot be had
            return
        if isinstance(error, ExplorerError):
            message = str(error)
        else:
            # What went wrong inside is for the operator; it may name paths and devices.
            logger.error("computation failed: %s", job.title, exc_info=error)
            other = f"This could not be computed ({type(error).__name__}); the server's log says more."
            message = NO_MEMORY if is_of_memory(error) else other
            if message is NO_MEMORY:
                self._note_too_large(job.key)
        self._end_in_failure(job, ComputationFailed(message))

    def _note_too_large(self, key: Hashable) -> None:
        now = time.monotonic()
        if now - self._short_since >= SHORT_SECONDS:
            self._too_large.clear()
        self._short_since = now
        if len(self._too_large) < SHORT_AFTER:
            self._too_large.add(key)

    def _end_in_failure(self, job: Job, error: ExplorerError) -> None:
        """Also where a worker left off in the middle of ending it."""
        with self._lock:
            self._jobs.pop(job.key, None)
            self._failures[job.key] = (time.monotonic(), error)
        if not job.future.done():
            job.future.set_exception(_again(error))


def _again(error: ExplorerError) -> ExplorerError:
    """The same error without where it was raised: what is remembered must hold on to nothing."""
    return BadOption(str(error)) if isinstance(error, BadOption) else ComputationFailed(str(error))


def _give_way() -> None:
    """Let whoever answers visitors go before this thread and those that it starts, where the system can tell threads."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, get_native_id(), YIELDING)
