"""The queue of computations in front of a worker: each is made once, however many ask for it.

A thread of the queue talks to the worker. It starts a worker when there is a task, and ends it after long idleness,
when it hangs, or with the server. If a worker ends by itself, the errands it was at fail once; the next request gets a
fresh worker. The line decides which errand is next. Knows nothing of tensors or pages, and not how a worker is started.
"""

import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Lock, Semaphore, Thread
from typing import Literal, Protocol

from app.explorer.errors import BadOption, Busy, ComputationFailed, ExplorerError, NotReady
from app.explorer.running import messages
from app.explorer.running.errand import PERCENT, Assignment, Errand, WorkerTask
from app.explorer.running.line import Cost, Line, is_cheaper
from app.explorer.running.messages import (
    NO_MEMORY,
    Channel,
    Disconnected,
    Drop,
    Failed,
    GoOn,
    Logged,
    Made,
    Make,
    Report,
    Stepped,
)
from app.explorer.running.visitor import ASKING, VISITOR, VisitorRequest
from app.models.memory import is_of_memory
from app.store.artifacts import Artifact, ArtifactStore, Recipe
from app.store.sealed import Damaged

FAILURE_SECONDS = float(ComputationFailed.retry_after)
"""How long a failure is the answer before the work may be tried again: longer than a progress page waits to ask."""
LOOK_SECONDS = 1.0
"""How often the queue checks whether the worker hangs or is idle."""
STALLED_SECONDS = 300.0
"""A step that takes longer than this means that the worker hangs."""
SILENT_SECONDS = 60.0
"""A worker that sends no sign of life for so long counts as hanging, too."""
IDLE_SECONDS = 600.0
"""A worker that had nothing to do for so long is ended, and its memory is the system's again."""
FORGOTTEN_SECONDS = 60.0
"""A paused or waiting errand that nobody asks for in so long is forgotten: whoever asks later has it begun anew."""
SPARED_SECONDS = 5.0
"""A paused errand makes room for others no sooner than this: a page that waits asks more often."""
WAITED_SECONDS = 5.0
"""A visitor who came back for an errand, no longer ago than this, counts as waiting for it."""
UNGRANTED_SECONDS = 0.5
"""An awaited errand goes on for so long at a time while nobody wants anything else: no request has to grant it."""
MOST_BEGUN = 2
"""The most computations begun at a time; a third one may begin if it is cheaper and both pause."""
DEATHS_ALLOWED = 2
"""Worker ends at the same task in a row before that task is refused for a while."""
MOST_TIMES = 32
"""The longest refusal, in FAILURE_SECONDS: each is twice as long as the one before."""
MOST_DEATHS = 64
"""The most tasks remembered for having ended a worker."""
SHORT_OF_MEMORY_AFTER = 3
"""Computations in a row that memory was too small for, before that counts as the machine's state: a single matrix may
be too large for it at any time, and anyone may ask for that one."""
SHORT_OF_MEMORY_SECONDS = 300.0
"""How long such failures predict the next one: a server that gets no visitors because of them would never find out that
there is memory again."""
STOPPED = "The server stopped working on this, and has started anew."
NOT_STARTED = "The server could not start what computes this; whoever runs it finds more in its log."
LOST = "This was computed, and could not be read back from the server's disk."
ENDING = "This server is ending; come back when it is here again."

logger = logging.getLogger(__name__)


class WorkerHandle(Protocol):
    """A worker process that was started."""

    channel: Channel

    def end(self) -> None:
        """End the worker process."""

    def was_killed(self) -> bool:
        """Return whether something else than the server killed the worker, once it has ended."""


@dataclass
class _Watched:
    """The worker, and when it was last heard of."""

    hired: WorkerHandle
    heard: float
    moved: float
    """When it last made a step, or was given something to do."""
    used: float
    """When it last had something to do."""
    has_spoken: bool = False


@dataclass(frozen=True)
class QueueCounts:
    """The computations of a queue: those in line and at work now, and how many began and ended so far."""

    waiting: int
    begun: int
    """Taken from the line and not done: at work, or paused."""
    started: int
    """Tasks that were given to the worker since the server started."""
    done: int
    failed: int


Heard = tuple[Channel, "Report | None", bytes]
"""A message from a worker; None once the worker is gone."""


class ComputeQueue:
    """The computations of one device, one at a time, at most MOST_BEGUN of them begun, or one more."""

    def __init__(
        self,
        store: ArtifactStore,
        start: Callable[[], WorkerHandle],
        *,
        size: int,
        wait_seconds: float,
        waiters: int,
        stalled_seconds: float = STALLED_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        called: str = "worker",
    ) -> None:
        self._store, self._start, self._called = store, start, called
        self._wait_seconds, self._waiters = wait_seconds, Semaphore(waiters)
        self._stalled_seconds, self._idle_seconds = stalled_seconds, idle_seconds
        self._line: Line[Errand] = Line(size)
        self._errands: dict[Hashable, Errand] = {}
        self._failures: dict[Hashable, tuple[float, int, ExplorerError]] = {}
        """For each failed key the time of the failure, and for how many times FAILURE_SECONDS it is the answer."""
        self._abandoned: list[Errand] = []
        self._lock = Lock()
        """Guards the line, the errands, the failures and the abandoned errands."""
        self._inbox: SimpleQueue[Heard | None] = SimpleQueue()
        """Messages from workers; None to look at the line."""
        self._closing = Event()
        # Used by the queue's thread alone:
        self._worker: _Watched | None = None
        self._running: Errand | None = None
        self._suspended: Errand | None = None
        self._resting: list[Errand] = []
        """Errands begun and paused, some of them to go on: those that were asked for again, the first first."""
        self._last_id = self._n_done = self._n_failed = 0
        self._told: Assignment | None = None
        """The task that the worker is doing."""
        self._held: set[Assignment] = set()
        """The tasks that the worker has begun."""
        self._deaths: OrderedDict[Hashable, int] = OrderedDict()
        self._too_large: set[Hashable] = set()
        """The tasks that memory was too small for since the last success."""
        self._short_since = -SHORT_OF_MEMORY_SECONDS
        self._not_started = -FAILURE_SECONDS
        self._thread = Thread(target=self._run, name="queue", daemon=True)
        self._thread.start()

    def submit(
        self, slug: str, tasks: Sequence[WorkerTask], title: str, cost: Cost, before: Sequence[WorkerTask] = ()
    ) -> Errand:
        """Join an errand for the same tasks, or enter the line; Busy if there is no place, or the failure of a moment
        ago.

        The tasks `before` are made first, in the same place, and their artifacts are not among the results.
        """
        key = tuple(task.hash for task in tasks)
        left: list[Errand] = []
        with self._lock:
            asking = ASKING.get()
            errand = self._errands.get(key)
            if errand is not None and asking is errand.asking:
                return errand
            if errand is None:
                self._raise_recent_failure(key)
                if self._closing.is_set():
                    raise Busy(ENDING)
            self._check_first(asking, key, cost, title)
            if errand is None:
                errand = Errand(key, VISITOR.get(), cost, title, slug, (*before, *tasks), len(before), asking=asking)
                errand.left = None if asking is None else asking.left
                left = self._enter(errand)
                self._errands[key] = errand
            else:
                errand.asked, errand.is_waited_for = time.monotonic(), True
                # A request that has used up its seconds takes nothing from one that has some.
                if asking is None or asking.left > 0:
                    errand.asking, errand.is_asked_again = asking, True
            if asking is not None and cost != "cheap":
                asking.begins = key
        for other in left:
            other.future.set_exception(_build_not_ready(other))
        self._inbox.put(None)
        return errand

    def results(self, *errands: Errand) -> list[list[Artifact]]:
        """Wait for the errands' artifacts within one budget; NotReady when that or the number of waiters is spent."""
        futures = [errand.future for errand in errands]
        for errand in errands:
            if errand.is_left_alone():
                raise _build_not_ready(errand)
        if not all(future.done() for future in futures) and self._waiters.acquire(blocking=False):
            try:
                wait(futures, timeout=self._wait_seconds)
            finally:
                self._waiters.release()
        pending = {future: errand for future, errand in zip(futures, errands, strict=True) if not future.done()}
        if pending:
            first = next(iter(pending.values()))
            raise NotReady(first.title, first.done, PERCENT, tuple(pending), rests=first.will_rest())
        return [future.result() for future in futures]

    def abandon(self, errand: Errand, asking: VisitorRequest | None) -> None:
        """Let go of what this request asked for, or the server itself, and nobody has asked for since: whoever does later has it
        begun anew.
        """
        with self._lock:
            if errand.asking is asking and self._errands.get(errand.key) is errand:
                self._abandoned.append(errand)
        self._inbox.put(None)

    def depth(self) -> int:
        """Count the computations in line."""
        with self._lock:
            return self._line.depth()

    def count(self) -> QueueCounts:
        """Count the computations: now, and since the server started."""
        with self._lock:
            waiting, begun = self._line.depth(), len(self._line.list_begun())
        return QueueCounts(waiting, begun, self._last_id, self._n_done, self._n_failed)

    def state(self) -> Literal["alive", "idle", "stopped"]:
        """Return the worker's state: alive; idle, since there was nothing to do; or stopped, since it hangs or cannot
        be started.
        """
        now = time.monotonic()
        if self._closing.is_set() or not self._thread.is_alive() or now - self._not_started < FAILURE_SECONDS:
            return "stopped"
        worker = self._worker
        if worker is None:
            return "idle"
        return "stopped" if self._hangs(worker, now) else "alive"

    def is_short_of_memory(self) -> bool:
        """Return whether memory was too small for several different computations in a row, unless that is long ago."""
        return (
            len(self._too_large) >= SHORT_OF_MEMORY_AFTER
            and time.monotonic() - self._short_since < SHORT_OF_MEMORY_SECONDS
        )

    def close(self) -> None:
        """End the worker; visitors who wait are told that the server ends."""
        self._closing.set()
        self._inbox.put(None)
        self._thread.join()

    def _raise_recent_failure(self, key: Hashable) -> None:
        now = time.monotonic()
        for old in [old for old, (since, times, _) in self._failures.items() if now - since >= times * FAILURE_SECONDS]:
            del self._failures[old]
        if key in self._failures:
            raise _copy_error(self._failures[key][-1])

    def _check_first(self, asking: VisitorRequest | None, key: Hashable, cost: Cost, title: str) -> None:
        """Raise NotReady where another errand is being made for the request, or its seconds are used up: the page asks
        again, and that is another request.
        """
        if cost == "cheap" or asking is None or asking.begins in {None, key}:
            return
        other = self._errands.get(asking.begins)
        if other is None and asking.left > 0:
            return
        if other is None or other.is_left_alone():
            raise NotReady(title, rests=True)
        raise NotReady(other.title, other.done, PERCENT, (other.future,), rests=other.will_rest())

    def _enter(self, errand: Errand) -> list[Errand]:
        """Put the errand in line, if need be in the place of its visitor's abandoned errands, and return those. Busy."""
        try:
            self._line.enter(errand)
        except Busy:
            left = self._remove_abandoned(SPARED_SECONDS, errand.client)
            self._line.enter(errand)
            return left
        return []

    def _remove_abandoned(self, seconds: float, client: str | None = None) -> list[Errand]:
        """Remove the waiting errands from the line that no visitor, or not that one, has asked for in so long."""
        until = time.monotonic() - seconds
        left = [
            errand
            for errand in self._errands.values()
            if errand.left is not None  # nobody has to come back for the server's own
            and errand.asked < until
            and client in {None, errand.client}
            and errand not in self._line.list_begun()
        ]
        for errand in left:
            self._line.leave(errand)
            del self._errands[errand.key]
        return left

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._take_turn()
            except Exception:
                # Nothing that work raises gets here; the machine can still fail under the queue itself.
                logger.critical("the queue failed, and begins anew", exc_info=True)
                self._begin_anew()
        self._retire()
        with self._lock:
            errands = list(self._errands.values())
            self._errands.clear()
        for errand in errands:
            errand.future.set_exception(Busy(ENDING))

    def _begin_anew(self) -> None:
        """Fail the errands that were begun; should that fail too, fail all errands."""
        try:
            self._lose_worker(self._list_begun())
        except Exception:
            logger.critical("the queue failed once more", exc_info=True)
            self._worker, self._told, self._running, self._suspended = None, None, None, None
            self._held.clear()
            self._resting.clear()
            with self._lock:
                errands = list(self._errands.values())
                self._errands.clear()
                for errand in errands:
                    self._line.leave(errand)
            for errand in errands:
                if not errand.future.done():
                    errand.future.set_exception(ComputationFailed(STOPPED))

    def _take_turn(self) -> None:
        """Take in one message, or a second's passing, and give the worker its next task."""
        try:
            heard = self._inbox.get(timeout=LOOK_SECONDS)
        except Empty:
            changed = True
        else:
            changed = heard is None or self._take_in(*heard)
        self._drop_abandoned()
        if self._check_worker() or changed:
            self._choose_next()

    def _take_in(self, channel: Channel, report: "Report | None", data: bytes) -> bool:
        """Take in a worker's message, and return whether something may change by it."""
        worker = self._worker
        if worker is None or worker.hired.channel is not channel:  # a worker that was ended
            return False
        if report is None:
            self._lose_worker(self._list_at_work())
            return True
        worker.heard = time.monotonic()
        if not worker.has_spoken:  # until now it has been starting
            worker.has_spoken, worker.moved = True, worker.heard
        if isinstance(report, Logged):
            logging.getLogger(report.name).log(report.level, "%s", report.words)
        if not isinstance(report, Stepped | Made | Failed):
            return False
        worker.moved = worker.heard
        errands = [errand for errand in self._list_begun() if errand.making and errand.making.id == report.id]
        if isinstance(report, Stepped | Made):
            for errand in errands:
                errand.charge_seconds(report.seconds)
        if isinstance(report, Stepped):
            self._note_step(errands, report)
        elif errands:
            self._end_making(errands, report, data)
        return True

    def _pause_errand(self, errand: Errand) -> None:
        """Pause the errand unless somebody asks for it again; whoever waits for it hears how far it is."""
        if errand.making is self._told:
            self._told = None
        with self._lock:
            if self._is_granted(errand) or errand.rests:
                return
            errand.rests = True
        self._answer_paused(errand)

    def _answer_paused(self, errand: Errand) -> None:
        with self._lock:
            told, errand.future = errand.future, Future()
        told.set_exception(_build_not_ready(errand))

    def _is_granted(self, errand: Errand) -> bool:
        """Give the errand further seconds if it was asked for again, or keeps nobody waiting; return whether it has
        any.
        """
        if errand.is_asked_again:
            errand.is_asked_again = False
            if errand.left is not None:
                errand.left = None if errand.asking is None else errand.asking.left
        is_granted = errand.left is None or errand.left > 0
        if not is_granted and self._is_only_one_wanted(errand):
            errand.left, is_granted = UNGRANTED_SECONDS, True
        if is_granted:
            errand.rests = False
        return is_granted

    def _is_only_one_wanted(self, errand: Errand) -> bool:
        """Return whether somebody waits for it, and nobody for anything else."""
        if not errand.is_waited_for or time.monotonic() - errand.asked >= WAITED_SECONDS:
            return False
        others = [other for other in self._list_begun() if other is not errand and not other.is_left_alone()]
        return not others and self._line.depth() == 0

    def _list_begun(self) -> list[Errand]:
        return [errand for errand in (self._running, self._suspended, *self._resting) if errand is not None]

    def _list_at_work(self) -> list[Errand]:
        """Return the errands that the worker is computing for now."""
        return [errand for errand in self._list_begun() if errand.making is not None and errand.making is self._told]

    def _note_step(self, errands: Sequence[Errand], report: Stepped) -> None:
        for errand in errands:
            errand.note_progress(report.done / max(report.total, 1))
            errand.so_far = report.so_far or errand.so_far
            if report.rests:
                self._pause_errand(errand)

    def _end_making(self, errands: list[Errand], report: Made | Failed, data: bytes) -> None:
        making = errands[0].making
        assert making is not None
        self._told = None
        self._held.discard(making)
        failure: ExplorerError | None = None
        artifact: Artifact | None = None
        if isinstance(report, Failed):
            failure = BadOption(report.message) if report.why == "option" else ComputationFailed(report.message)
            if report.why == "memory":
                self._note_too_large(making.task.hash)
                for errand in errands:  # the errand's later tasks are as large
                    errand.at = len(errand.tasks) - 1
        else:
            self._too_large.clear()
            self._deaths.pop(making.task.hash, None)
            if (
                isinstance(making.task, Recipe)
                and (artifact := self._fetch_artifact(making.task, report, data)) is None
            ):
                failure = ComputationFailed(LOST)
        for errand in errands:
            self._advance(errand, artifact, failure)
        if isinstance(report, Failed) and report.why == "memory":
            self._retire()  # it ends: the next one begins with what the system has

    def _fetch_artifact(self, recipe: Recipe, report: Made, data: bytes) -> Artifact | None:
        if report.outcome == "refused":
            try:
                return self._store.accept(recipe, data, OSError(report.error, os.strerror(report.error)))
            except Damaged as damage:
                logger.error("%s came damaged from the %s: %s", recipe.subject, self._called, damage)
                return None
        if report.outcome == "kept":
            self._store.note_kept()
        return self._store.load(recipe)

    def _advance(self, errand: Errand, artifact: Artifact | None, failure: ExplorerError | None) -> None:
        """Move the errand to its next task, or finish it after the last one."""
        errand.making = None
        errand.at += 1
        if artifact is not None and errand.at > errand.n_before:
            errand.artifacts.append(artifact)
        errand.failure = errand.failure or failure
        errand.note_progress()
        if errand.at == len(errand.tasks):
            self._finish(errand)

    def _finish(self, errand: Errand, times: int = 1) -> None:
        """Give the errand's answer; a failure stays the answer for that many times FAILURE_SECONDS."""
        errand.rests = False
        if errand is self._running:
            self._running = None
        if errand is self._suspended:
            self._suspended = None
        if errand in self._resting:
            self._resting.remove(errand)
        with self._lock:
            self._line.leave(errand)
            self._errands.pop(errand.key, None)
            if errand.failure is not None and times:
                self._failures[errand.key] = (time.monotonic(), times, errand.failure)
        if errand.failure is None:
            self._n_done += 1
            errand.future.set_result(errand.artifacts)
        else:
            self._n_failed += 1
            errand.future.set_exception(_copy_error(errand.failure))

    def _choose_next(self) -> None:
        """Begin the next errand, or go on with a suspended one, until the worker has something to do."""
        while True:
            self._put_to_rest()
            if self._running is None:
                self._running = self._take_newcomer(than=self._suspended)
                if self._running is None:
                    self._running, self._suspended = self._suspended, None
            elif self._suspended is None and (newcomer := self._take_newcomer(than=self._running)):
                self._running, self._suspended = newcomer, self._running
            if self._running is None or self._needs_worker(self._running):
                return

    def _put_to_rest(self) -> None:
        """Move paused errands to the resting ones; the first that was asked for again becomes the suspended one."""
        if self._running is not None and self._running.rests:
            self._resting.append(self._running)
            self._running = None
        if self._suspended is not None and self._suspended.rests:
            self._resting.append(self._suspended)
            self._suspended = None
        with self._lock:
            asked_again = [errand for errand in self._resting if errand.is_asked_again]
            awake = [errand for errand in self._resting if self._is_granted(errand)]
        for errand in asked_again:
            if errand not in awake:  # asked again by a request that has spent its seconds on another errand meanwhile
                self._answer_paused(errand)
        if awake and self._suspended is None:
            self._suspended = awake[0]
            self._resting.remove(awake[0])
        if self._running and self._suspended and is_cheaper(self._suspended, self._running):
            self._running, self._suspended = self._suspended, self._running

    def _take_newcomer(self, than: Errand | None) -> Errand | None:
        """Take an errand from the line that goes before `than`, if there is room for it."""
        with self._lock:
            if self._line.depth() == 0:
                return None
        n_begun, unasked = len(self._list_begun()), self._list_unasked(SPARED_SECONDS)
        if n_begun > MOST_BEGUN and not unasked:
            return None
        if n_begun == MOST_BEGUN and not unasked:
            than = than or self._resting[0]
        with self._lock:
            newcomer = self._line.take(than)
        if newcomer is not None and n_begun >= MOST_BEGUN and unasked:
            self._forget(unasked[0])
        return newcomer

    def _list_unasked(self, seconds: float) -> list[Errand]:
        """Return the paused errands that nobody asked for in so long."""
        until = time.monotonic() - seconds
        return [errand for errand in self._resting if errand.rests and errand.asked < until]

    def _drop_abandoned(self) -> None:
        """Give up the errands that were let go of, unless somebody has asked for them meanwhile."""
        with self._lock:
            abandoned, self._abandoned = self._abandoned, []
            left = [errand for errand in abandoned if self._errands.get(errand.key) is errand]
        for errand in left:
            self._forget(errand)

    def _forget(self, errand: Errand) -> None:
        """Give up an errand, whether it was begun or not."""
        making = errand.making
        errand.making = None
        if making in self._held and making not in [other.making for other in self._list_begun()]:
            self._held.discard(making)
            if self._told is making:
                self._told = None
            if self._worker is not None:
                with suppress(Disconnected):  # the worker is gone: a message will say so soon
                    self._worker.hired.channel.send(Drop(making.id))
        if errand is self._running:
            self._running = None
        if errand is self._suspended:
            self._suspended = None
        if errand in self._resting:
            self._resting.remove(errand)
        with self._lock:
            self._line.leave(errand)
            self._errands.pop(errand.key, None)
        errand.future.set_exception(_build_not_ready(errand))

    def _needs_worker(self, errand: Errand) -> bool:
        """Have the worker do the errand's next task; return whether the errand needed it."""
        if errand.making is not None and self._told is errand.making:
            return True
        if errand.making is None:
            task = errand.tasks[errand.at]
            if isinstance(task, Recipe) and (artifact := self._store.load(task)) is not None:
                self._advance(errand, artifact, None)
                return False
        with self._lock:
            is_granted = self._is_granted(errand)
        if not is_granted:
            self._pause_errand(errand)
            return False
        if errand.making is None:
            # A task that another errand has begun is shared.
            task = errand.tasks[errand.at]
            others = [other.making for other in self._list_begun() if other.making and other.making.task == task]
            errand.making = others[0] if others else self._next_making(task)
            if self._told is errand.making:
                return True
        had_worker = self._worker is not None
        try:
            self._send_task(errand, errand.making)
        except (OSError, RuntimeError, Disconnected) as error:
            self._retire()
            if not had_worker:
                logger.error("the %s could not be started: %s", self._called, error)
                self._not_started = time.monotonic()
                errand.failure = ComputationFailed(NO_MEMORY if is_of_memory(error) else NOT_STARTED)
                self._finish(errand)
            return False
        return True

    def _next_making(self, task: WorkerTask) -> Assignment:
        self._last_id += 1
        return Assignment(self._last_id, task)

    def _send_task(self, errand: Errand, making: Assignment) -> None:
        """Send the task to the worker; Disconnected, OSError or RuntimeError where no worker can be had."""
        worker = self._worker or self._hire()
        if making in self._held:
            order: messages.Order = GoOn(making.id, errand.left)
        elif isinstance(making.task, Recipe):
            order = Make(making.id, errand.slug, making.task.to_json(), errand.cost, errand.left)
        else:
            order = messages.Prepare(making.id, making.task.slug, making.task.processing, errand.cost)
        worker.hired.channel.send(order)
        self._told = making
        self._held.add(making)
        worker.moved = worker.used = time.monotonic()

    def _hire(self) -> _Watched:
        """Start a fresh worker; OSError or RuntimeError."""
        hired = self._start()
        try:
            Thread(target=self._listen, args=(hired.channel,), name="worker", daemon=True).start()
        except RuntimeError:
            hired.end()
            raise
        now = time.monotonic()
        self._worker = _Watched(hired, now, now, now)
        return self._worker

    def _listen(self, channel: Channel) -> None:
        try:
            while True:
                self._inbox.put((channel, *channel.receive()))
        except Disconnected as reason:
            logger.debug("the worker is gone: %s", reason)
        finally:
            self._inbox.put((channel, None, b""))

    def _check_worker(self) -> bool:
        """End a worker that hangs, or that nobody needs; return whether something may change by it."""
        for errand in self._list_unasked(FORGOTTEN_SECONDS):
            self._forget(errand)
        with self._lock:
            left = self._remove_abandoned(FORGOTTEN_SECONDS)
        for errand in left:
            errand.future.set_exception(_build_not_ready(errand))
        worker, now = self._worker, time.monotonic()
        if worker is None:
            return False
        if self._told is not None:
            worker.used = now
        if self._hangs(worker, now):
            logger.error("the %s does not answer, and is ended", self._called)
            self._lose_worker(self._list_at_work(), by_us=True)
            return True
        if now - worker.used > self._idle_seconds:
            logger.info("the %s has nothing to do, and is ended", self._called)
            self._retire()
        return False

    def _hangs(self, worker: _Watched, now: float) -> bool:
        stalled = worker.has_spoken and self._told is not None and now - worker.moved > self._stalled_seconds
        return stalled or now - worker.heard > SILENT_SECONDS

    def _lose_worker(self, lost: Sequence[Errand], *, by_us: bool = False) -> None:
        """Fail the errands that the worker was at, since they may have ended it; suspended ones begin anew, once."""
        worker, told = self._worker, self._told
        again = [errand for errand in self._list_begun() if errand not in lost and errand.making is not None]
        is_dumb = worker is not None and not worker.has_spoken
        if is_dumb:
            self._not_started = time.monotonic()
        for errand in (*lost, *(errand for errand in again if errand.is_second_try)):
            errand.failure = ComputationFailed(NOT_STARTED if is_dumb else STOPPED)
            self._finish(errand, self._count_death(errand))
        for errand in again:
            errand.is_second_try = True
        self._retire()
        if worker is None or told is None:
            return
        logger.error("the %s ended at work on %s", self._called, told.task)
        if worker.hired.was_killed() and not by_us:  # for want of memory, most often
            self._note_too_large(told.task.hash)

    def _count_death(self, errand: Errand) -> int:
        """Count a worker's end at the errand's task, and return for how many FAILURE_SECONDS it is refused: at first
        for none, since it may never happen again.
        """
        key = errand.tasks[errand.at].hash
        deaths = self._deaths[key] = self._deaths.pop(key, 0) + 1
        while len(self._deaths) > MOST_DEATHS:
            self._deaths.popitem(last=False)
        return 0 if deaths < DEATHS_ALLOWED else min(2 ** (deaths - DEATHS_ALLOWED), MOST_TIMES)

    def _retire(self) -> None:
        """End the worker; the next one begins its tasks anew."""
        worker, self._worker, self._told = self._worker, None, None
        self._held.clear()
        for errand in self._list_begun():
            errand.making = None
        if worker is not None:
            worker.hired.channel.close()
            worker.hired.end()

    def _note_too_large(self, key: Hashable) -> None:
        now = time.monotonic()
        if now - self._short_since >= SHORT_OF_MEMORY_SECONDS:
            self._too_large.clear()
        self._short_since = now
        if len(self._too_large) < SHORT_OF_MEMORY_AFTER:
            self._too_large.add(key)


def _build_not_ready(errand: Errand) -> NotReady:
    return NotReady(errand.title, errand.done, PERCENT, rests=True)


def _copy_error(error: ExplorerError) -> ExplorerError:
    """Return a fresh copy of the error: the original's traceback would keep the tensors of its frames alive."""
    return BadOption(str(error)) if isinstance(error, BadOption) else ComputationFailed(str(error))
