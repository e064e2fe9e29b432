"""The queue of computations in front of a worker: each thing made once however many ask, and what comes of it.

A thread of the queue's talks to the worker, which is started when there is something for it, and ended when there was
nothing for long, when it hangs, or with the server. One that ends by itself costs those who wait for what it was at one
answer; whoever asks next gets a fresh one. Who is next is the line's to say. Knows nothing of tensors or pages, and not
how a worker is started.
"""

import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Lock, Semaphore, Thread
from typing import Literal, Protocol

from app.explorer.errors import BadOption, Busy, ComputationFailed, ExplorerError, NotReady
from app.explorer.running import messages
from app.explorer.running.line import Cost, Line, Ticket, is_cheaper
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
from app.explorer.running.visitor import ASKING, VISITOR, Asking
from app.explorer.view import Processing
from app.models.memory import is_of_memory
from app.store.artifacts import Artifact, ArtifactStore, Recipe
from app.store.sealed import Damaged

FAILURE_SECONDS = float(ComputationFailed.retry_after)
"""How long a failure is the answer before the work may be tried again: longer than a progress page waits to ask."""
LOOK_SECONDS = 1.0
"""How often it is seen whether the worker hangs or is idle."""
STALLED_SECONDS = 300.0
"""A step that takes longer than this is taken for a worker that hangs."""
SILENT_SECONDS = 60.0
"""A worker that does not even say that it is there for so long is taken for one that hangs, too."""
IDLE_SECONDS = 600.0
"""A worker that had nothing to do for so long is ended, and its memory is the system's again."""
FORGOTTEN_SECONDS = 60.0
"""What rests, or stands in line, and is not asked for in so long is forgotten: whoever asks later has it begun anew."""
SPARED_SECONDS = 5.0
"""What rests makes room for others no sooner: a page that waits asks more often."""
WAITED_SECONDS = 5.0
"""Who came back for something, and no longer ago, is taken for one who waits."""
UNGRANTED_SECONDS = 0.5
"""What is waited for goes on for so long at a time while nobody else wants anything: then a request need not grant it."""
MOST_BEGUN = 2
"""Computations begun at a time, and a third that is cheaper, where both rest."""
DEADLY = 2
"""Ends of a worker at the same thing in a row, before that thing is refused for a while."""
MOST_TIMES = 32
"""Longest such while, in FAILURE_SECONDS: it is twice as long each time."""
MOST_DEATHS = 64
"""Things at which a worker ended that are remembered."""
SHORT_AFTER = 3
"""Computations in a row that memory was too small for, before that is taken for the machine's state: a single matrix
may be too large for it at any time, and anyone may ask for that one."""
WHOLE = 100
"""How far an errand is, is said in percent: those who wait know none of the units in which its parts count."""
SHORT_SECONDS = 300.0
"""How long those say something of the next one: whoever is sent no visitors because of it would never find out that
there is memory again."""
STOPPED = "The server stopped working on this, and has started anew."
NOT_STARTED = "The server could not start what computes this; whoever runs it finds more in its log."
LOST = "This was computed, and could not be read back from the server's disk."
ENDING = "This server is ending; come back when it is here again."

logger = logging.getLogger(__name__)


class Hired(Protocol):
    """A worker that was started."""

    channel: Channel

    def end(self) -> None:
        """End it; it is no more afterwards."""

    def was_killed(self) -> bool:
        """Whether something else than the server ended it, once it has ended."""


@dataclass(frozen=True)
class Preparation:
    """What a worker does ahead of visits: it loads the libraries, and what that model is read with."""

    slug: str
    processing: Processing

    @property
    def hash(self) -> str:
        """The key."""
        return f"preparation of {self.slug} {self.processing}"


Task = Recipe | Preparation


@dataclass(eq=False)
class Making:
    """One task at the worker."""

    id: int
    task: Task


@dataclass(eq=False)
class Errand(Ticket):
    """What is made in one place of the line, from being asked for to its result."""

    title: str
    """What is being done, for people who wait: `L5H3 OV is being decomposed`."""
    slug: str
    tasks: Sequence[Task]
    """One after the other; one that fails holds up none behind it."""
    n_before: int = 0
    """So many of them, the first, are only needed by the others."""
    future: "Future[list[Artifact]]" = field(default_factory=Future)
    at: int = 0
    """The task that is next."""
    making: Making | None = None
    """Where the worker has begun it."""
    artifacts: list[Artifact] = field(default_factory=list)
    failure: ExplorerError | None = None
    done: int = 0
    """Percent of all of it; only rises."""
    asking: Asking | None = None
    """The request that asked last."""
    asked: float = field(default_factory=time.monotonic)
    """When it was asked for last."""
    is_asked_again: bool = False
    """By another request than that for which it has its seconds."""
    is_waited_for: bool = False
    """Somebody came back for it: whoever leaves after one request has no more than its seconds made."""
    left: float | None = None
    """Seconds of computing until it rests; None: it is made to its end."""
    is_second_try: bool = False
    """A worker has ended while this was suspended."""

    def will_rest(self) -> bool:
        """It has its seconds of one request alone."""
        return self.left is not None and not self.is_waited_for

    def is_left_alone(self) -> bool:
        """It rests, and nobody has asked for it since."""
        return self.rests and not self.is_asked_again


@dataclass
class _Watched:
    """The worker, and when it was last heard of."""

    hired: Hired
    heard: float
    moved: float
    """When it last went a step further, or was given something to do."""
    used: float
    """When it last had something to do."""
    has_spoken: bool = False


Heard = tuple[Channel, "Report | None", bytes]
"""What a worker said; None once it is gone."""


class ComputeQueue:
    """Computations of one device, one at a time, at most MOST_BEGUN of them begun, or one more."""

    def __init__(
        self,
        store: ArtifactStore,
        start: Callable[[], Hired],
        *,
        size: int,
        wait_seconds: float,
        waiters: int,
        stalled_seconds: float = STALLED_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._store, self._start = store, start
        self._wait_seconds, self._waiters = wait_seconds, Semaphore(waiters)
        self._stalled_seconds, self._idle_seconds = stalled_seconds, idle_seconds
        self._line: Line[Errand] = Line(size)
        self._errands: dict[Hashable, Errand] = {}
        self._failures: dict[Hashable, tuple[float, int, ExplorerError]] = {}
        """When it failed, and for how many times FAILURE_SECONDS that is the answer."""
        self._lock = Lock()
        """Over these three."""
        self._inbox: SimpleQueue[Heard | None] = SimpleQueue()
        """What workers say; None to look at the line."""
        self._closing = Event()
        # The thread's own:
        self._worker: _Watched | None = None
        self._running: Errand | None = None
        self._suspended: Errand | None = None
        self._resting: list[Errand] = []
        """Begun, and some to be gone on with: those that were asked for again, the first first."""
        self._last_id = 0
        self._told: Making | None = None
        """What the worker is at."""
        self._held: set[Making] = set()
        """What it has begun."""
        self._deaths: OrderedDict[Hashable, int] = OrderedDict()
        self._too_large: set[Hashable] = set()
        """What memory was too small for since something was last computed."""
        self._short_since = -SHORT_SECONDS
        self._not_started = -FAILURE_SECONDS
        self._thread = Thread(target=self._run, name="queue", daemon=True)
        self._thread.start()

    def submit(self, slug: str, tasks: Sequence[Task], title: str, cost: Cost, before: Sequence[Task] = ()) -> Errand:
        """Join who waits for the same, or stand in line; Busy if there is no place, or as it failed a moment ago.

        What has to be there `before` the tasks is made first, in the same place, and is no part of what they give.
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
                # A request that has had its seconds takes nothing from one that has some.
                if asking is None or asking.left > 0:
                    errand.asking, errand.is_asked_again = asking, True
            if asking is not None and cost != "cheap":
                asking.begins = key
        for other in left:
            other.future.set_exception(_not_yet(other))
        self._inbox.put(None)
        return errand

    def results(self, *errands: Errand) -> list[list[Artifact]]:
        """What they gave, waited for together within one budget; NotReady when that or the number of waiters is spent."""
        futures = [errand.future for errand in errands]
        for errand in errands:
            if errand.is_left_alone():
                raise _not_yet(errand)
        if not all(future.done() for future in futures) and self._waiters.acquire(blocking=False):
            try:
                wait(futures, timeout=self._wait_seconds)
            finally:
                self._waiters.release()
        pending = {future: errand for future, errand in zip(futures, errands, strict=True) if not future.done()}
        if pending:
            first = next(iter(pending.values()))
            raise NotReady(first.title, first.done, WHOLE, tuple(pending), rests=first.will_rest())
        return [future.result() for future in futures]

    def depth(self) -> int:
        """Computations in line."""
        with self._lock:
            return self._line.depth()

    def state(self) -> Literal["alive", "idle", "stopped"]:
        """The worker's: it is heard of; there is none because there was nothing to do; or it hangs, or cannot be had."""
        now = time.monotonic()
        if self._closing.is_set() or not self._thread.is_alive() or now - self._not_started < FAILURE_SECONDS:
            return "stopped"
        worker = self._worker
        if worker is None:
            return "idle"
        return "stopped" if self._hangs(worker, now) else "alive"

    def is_short_of_memory(self) -> bool:
        """Tell whether memory was too small for several different computations in a row, unless that is long ago."""
        return len(self._too_large) >= SHORT_AFTER and time.monotonic() - self._short_since < SHORT_SECONDS

    def close(self) -> None:
        """End the worker; who waits hears that the server ends."""
        self._closing.set()
        self._inbox.put(None)
        self._thread.join()

    def _raise_recent_failure(self, key: Hashable) -> None:
        now = time.monotonic()
        for old in [old for old, (since, times, _) in self._failures.items() if now - since >= times * FAILURE_SECONDS]:
            del self._failures[old]
        if key in self._failures:
            raise _again(self._failures[key][-1])

    def _check_first(self, asking: Asking | None, key: Hashable, cost: Cost, title: str) -> None:
        """NotReady where another thing is being made because of the request, or it has had its seconds: the page asks again,
        and that is another request.
        """
        if cost == "cheap" or asking is None or asking.begins in {None, key}:
            return
        other = self._errands.get(asking.begins)
        if other is None and asking.left > 0:
            return
        if other is None or other.is_left_alone():
            raise NotReady(title, rests=True)
        raise NotReady(other.title, other.done, WHOLE, (other.future,), rests=other.will_rest())

    def _enter(self, errand: Errand) -> list[Errand]:
        """Put it in line, in the place of what its visitor has left if need be; what that was. Busy."""
        try:
            self._line.enter(errand)
        except Busy:
            left = self._left_in_line(SPARED_SECONDS, errand.client)
            self._line.enter(errand)
            return left
        return []

    def _left_in_line(self, seconds: float, client: str | None = None) -> list[Errand]:
        """What no visitor, or that one, has asked for in so long, and is not begun: out of the line."""
        until = time.monotonic() - seconds
        left = [
            errand
            for errand in self._errands.values()
            if errand.left is not None  # the server's own waits for nobody
            and errand.asked < until
            and client in {None, errand.client}
            and errand not in self._line.begun()
        ]
        for errand in left:
            self._line.leave(errand)
            del self._errands[errand.key]
        return left

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._turn()
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
        """Fail what was begun; should that fail too, all that is asked for."""
        try:
            self._lose_worker(self._begun())
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

    def _turn(self) -> None:
        """Hear one thing, or see that time has passed, and see to it that the worker is at what is next."""
        try:
            heard = self._inbox.get(timeout=LOOK_SECONDS)
        except Empty:
            changed = True
        else:
            changed = heard is None or self._heed(*heard)
        if self._look_after() or changed:
            self._choose()

    def _heed(self, channel: Channel, report: "Report | None", data: bytes) -> bool:
        """Take in what a worker said; whether something may change by it."""
        worker = self._worker
        if worker is None or worker.hired.channel is not channel:  # one that was ended
            return False
        if report is None:
            self._lose_worker(self._at_work())
            return True
        worker.heard = time.monotonic()
        if not worker.has_spoken:  # until now it has been starting
            worker.has_spoken, worker.moved = True, worker.heard
        if isinstance(report, Logged):
            logging.getLogger(report.name).log(report.level, "%s", report.words)
        if not isinstance(report, Stepped | Made | Failed):
            return False
        worker.moved = worker.heard
        errands = [errand for errand in self._begun() if errand.making and errand.making.id == report.id]
        if isinstance(report, Stepped | Made):
            _charge(errands, report.seconds)
        if isinstance(report, Stepped):
            self._note_step(errands, report)
        elif errands:
            self._end_making(errands, report, data)
        return True

    def _rest(self, errand: Errand) -> None:
        """Leave it where it is, unless somebody asks for it again; whoever waits for it hears how far it is."""
        if errand.making is self._told:
            self._told = None
        with self._lock:
            if self._is_granted(errand) or errand.rests:
                return
            errand.rests = True
        self._tell_that_it_rests(errand)

    def _tell_that_it_rests(self, errand: Errand) -> None:
        with self._lock:
            told, errand.future = errand.future, Future()
        told.set_exception(_not_yet(errand))

    def _is_granted(self, errand: Errand) -> bool:
        """Give it further seconds if it was asked for again, or keeps nobody waiting; whether it has any."""
        if errand.is_asked_again:
            errand.is_asked_again = False
            if errand.left is not None:
                errand.left = None if errand.asking is None else errand.asking.left
        is_granted = errand.left is None or errand.left > 0
        if not is_granted and self._is_all_that_is_wanted(errand):
            errand.left, is_granted = UNGRANTED_SECONDS, True
        if is_granted:
            errand.rests = False
        return is_granted

    def _is_all_that_is_wanted(self, errand: Errand) -> bool:
        """Whether somebody waits for it, and nobody for anything else."""
        if not errand.is_waited_for or time.monotonic() - errand.asked >= WAITED_SECONDS:
            return False
        others = [other for other in self._begun() if other is not errand and not other.is_left_alone()]
        return not others and self._line.depth() == 0

    def _begun(self) -> list[Errand]:
        return [errand for errand in (self._running, self._suspended, *self._resting) if errand is not None]

    def _at_work(self) -> list[Errand]:
        """Those for whom the worker is doing something now."""
        return [errand for errand in self._begun() if errand.making is not None and errand.making is self._told]

    def _note_step(self, errands: Sequence[Errand], report: Stepped) -> None:
        for errand in errands:
            _note_progress(errand, report.done / max(report.total, 1))
            if report.rests:
                self._rest(errand)

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
                for errand in errands:  # what is behind it there is as large
                    errand.at = len(errand.tasks) - 1
        else:
            self._too_large.clear()
            self._deaths.pop(making.task.hash, None)
            if isinstance(making.task, Recipe) and (artifact := self._fetched(making.task, report, data)) is None:
                failure = ComputationFailed(LOST)
        for errand in errands:
            self._advance(errand, artifact, failure)
        if isinstance(report, Failed) and report.why == "memory":
            self._retire()  # it ends: the next one begins with what the system has

    def _fetched(self, recipe: Recipe, report: Made, data: bytes) -> Artifact | None:
        if report.outcome == "refused":
            try:
                return self._store.accept(recipe, data, OSError(report.error, os.strerror(report.error)))
            except Damaged as damage:
                logger.error("%s came damaged from the worker: %s", recipe.subject, damage)
                return None
        if report.outcome == "kept":
            self._store.note_kept()
        return self._store.load(recipe)

    def _advance(self, errand: Errand, artifact: Artifact | None, failure: ExplorerError | None) -> None:
        """One of its tasks has ended; with the last one, the errand."""
        errand.making = None
        errand.at += 1
        if artifact is not None and errand.at > errand.n_before:
            errand.artifacts.append(artifact)
        errand.failure = errand.failure or failure
        _note_progress(errand)
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
            errand.future.set_result(errand.artifacts)
        else:
            errand.future.set_exception(_again(errand.failure))

    def _choose(self) -> None:
        """Begin what goes before what runs, or go on with what was suspended, until the worker has something to do."""
        while True:
            self._put_to_rest()
            if self._running is None:
                self._running = self._newcomer(than=self._suspended)
                if self._running is None:
                    self._running, self._suspended = self._suspended, None
            elif self._suspended is None and (newcomer := self._newcomer(than=self._running)):
                self._running, self._suspended = newcomer, self._running
            if self._running is None or self._is_at_work(self._running):
                return

    def _put_to_rest(self) -> None:
        """Part those that rest from those that go on; of those that were asked for again, the first is suspended."""
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
            if errand not in awake:  # by a request that has spent its seconds on another thing meanwhile
                self._tell_that_it_rests(errand)
        if awake and self._suspended is None:
            self._suspended = awake[0]
            self._resting.remove(awake[0])
        if self._running and self._suspended and is_cheaper(self._suspended, self._running):
            self._running, self._suspended = self._suspended, self._running

    def _newcomer(self, than: Errand | None) -> Errand | None:
        """What is begun before `than` goes on, if there is room for it."""
        with self._lock:
            if self._line.depth() == 0:
                return None
        n_begun, unasked = len(self._begun()), self._unasked_for(SPARED_SECONDS)
        if n_begun > MOST_BEGUN and not unasked:
            return None
        if n_begun == MOST_BEGUN and not unasked:
            than = than or self._resting[0]
        with self._lock:
            newcomer = self._line.take(than)
        if newcomer is not None and n_begun >= MOST_BEGUN and unasked:
            self._forget(unasked[0])
        return newcomer

    def _unasked_for(self, seconds: float) -> list[Errand]:
        """What rests and was not asked for in so long."""
        until = time.monotonic() - seconds
        return [errand for errand in self._resting if errand.rests and errand.asked < until]

    def _forget(self, errand: Errand) -> None:
        """Give up what rests."""
        making = errand.making
        errand.making = None
        if making in self._held and making not in [other.making for other in self._begun()]:
            self._held.discard(making)
            if self._worker is not None:
                with suppress(Disconnected):  # the worker is gone: it is heard of soon
                    self._worker.hired.channel.send(Drop(making.id))
        self._resting.remove(errand)
        with self._lock:
            self._line.leave(errand)
            self._errands.pop(errand.key, None)
        errand.future.set_exception(_not_yet(errand))

    def _is_at_work(self, errand: Errand) -> bool:
        """Have the worker do what the errand needs next; whether there is anything that is not there yet."""
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
            self._rest(errand)
            return False
        if errand.making is None:
            # What another errand has begun is not begun again.
            task = errand.tasks[errand.at]
            others = [other.making for other in self._begun() if other.making and other.making.task == task]
            errand.making = others[0] if others else self._next_making(task)
            if self._told is errand.making:
                return True
        had_worker = self._worker is not None
        try:
            self._tell(errand, errand.making)
        except (OSError, RuntimeError, Disconnected) as error:
            self._retire()
            if not had_worker:
                logger.error("the worker could not be started: %s", error)
                self._not_started = time.monotonic()
                errand.failure = ComputationFailed(NO_MEMORY if is_of_memory(error) else NOT_STARTED)
                self._finish(errand)
            return False
        return True

    def _next_making(self, task: Task) -> Making:
        self._last_id += 1
        return Making(self._last_id, task)

    def _tell(self, errand: Errand, making: Making) -> None:
        """Disconnected, OSError or RuntimeError where no worker can be had."""
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
        """A fresh worker; OSError or RuntimeError."""
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

    def _look_after(self) -> bool:
        """End a worker that hangs, or that nobody needs; whether something may change by it."""
        for errand in self._unasked_for(FORGOTTEN_SECONDS):
            self._forget(errand)
        with self._lock:
            left = self._left_in_line(FORGOTTEN_SECONDS)
        for errand in left:
            errand.future.set_exception(_not_yet(errand))
        worker, now = self._worker, time.monotonic()
        if worker is None:
            return False
        if self._told is not None:
            worker.used = now
        if self._hangs(worker, now):
            logger.error("the worker does not answer, and is ended")
            self._lose_worker(self._at_work(), by_us=True)
            return True
        if now - worker.used > self._idle_seconds:
            logger.info("the worker has nothing to do, and is ended")
            self._retire()
        return False

    def _hangs(self, worker: _Watched, now: float) -> bool:
        stalled = worker.has_spoken and self._told is not None and now - worker.moved > self._stalled_seconds
        return stalled or now - worker.heard > SILENT_SECONDS

    def _lose_worker(self, lost: Sequence[Errand], *, by_us: bool = False) -> None:
        """What the worker was at fails, since that may have ended it; what was suspended begins anew, once."""
        worker, told = self._worker, self._told
        again = [errand for errand in self._begun() if errand not in lost and errand.making is not None]
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
        logger.error("the worker ended at work on %s", told.task)
        if worker.hired.was_killed() and not by_us:  # for want of memory, most often
            self._note_too_large(told.task.hash)

    def _count_death(self, errand: Errand) -> int:
        """How many times as long as others that failure is the answer: not at all first, it may never happen again."""
        key = errand.tasks[errand.at].hash
        deaths = self._deaths[key] = self._deaths.pop(key, 0) + 1
        while len(self._deaths) > MOST_DEATHS:
            self._deaths.popitem(last=False)
        return 0 if deaths < DEADLY else min(2 ** (deaths - DEADLY), MOST_TIMES)

    def _retire(self) -> None:
        """End the worker; what it has begun is begun anew by the next one."""
        worker, self._worker, self._told = self._worker, None, None
        self._held.clear()
        for errand in self._begun():
            errand.making = None
        if worker is not None:
            worker.hired.channel.close()
            worker.hired.end()

    def _note_too_large(self, key: Hashable) -> None:
        now = time.monotonic()
        if now - self._short_since >= SHORT_SECONDS:
            self._too_large.clear()
        self._short_since = now
        if len(self._too_large) < SHORT_AFTER:
            self._too_large.add(key)


def _charge(errands: Sequence[Errand], seconds: float) -> None:
    for errand in errands:
        if errand.left is None:  # the server's own: no request pays for it
            continue
        errand.left -= seconds
        if errand.asking is not None:
            errand.asking.left -= seconds


def _note_progress(errand: Errand, part: float = 0.0) -> None:
    """So much of the task that is next is done: each is taken for as much work as another."""
    errand.done = max(errand.done, int(WHOLE * (errand.at + part) / len(errand.tasks)))


def _not_yet(errand: Errand) -> NotReady:
    return NotReady(errand.title, errand.done, WHOLE, rests=True)


def _again(error: ExplorerError) -> ExplorerError:
    """The same error without where it was raised: what is remembered must hold on to nothing."""
    return BadOption(str(error)) if isinstance(error, BadOption) else ComputationFailed(str(error))
