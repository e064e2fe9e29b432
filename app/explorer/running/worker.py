"""The worker's loop: it makes what the server asks for, one step after the other, and stores the artifacts.

It holds few computations: the one asked for last runs first; another is suspended between two of its steps until the
server lets it go on, and paused when it has used up its seconds. A worker reports its progress after each step, and on
a thread of its own that it is alive, since a step may be long. An error of a computation is that computation's answer.
Knows no queue, no page, and nothing of tensors.
"""

import errno
import json
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from app.core.steps import FindingStep, Steps
from app.explorer.errors import BadOption, ExplorerError
from app.explorer.library import report_damage
from app.explorer.running.line import Cost
from app.explorer.running.messages import (
    NO_MEMORY,
    Alive,
    Channel,
    Disconnected,
    Drop,
    Failed,
    Failure,
    GoOn,
    Logged,
    Made,
    Make,
    Order,
    Prepare,
    Stepped,
)
from app.explorer.view import Processing
from app.models.memory import give_back, is_of_memory
from app.store.artifacts import ArtifactStore, Recipe, parse_recipe
from app.store.sealed import Arrays, Contents, seal_contents

Working = Steps[tuple[Made, bytes]]
Turn = Callable[[Cost], AbstractContextManager[object]]

BEAT_SECONDS = 1.0
"""How often a worker says that it is alive."""
MOST_HELD = 3
"""The most computations begun: one that runs, and others that are suspended or paused."""
TIDY_AFTER_SECONDS = 2.0
"""Seconds without anything to do after which a worker tidies up."""
MOST_LOGGED = 20_000
"""The most characters of one message for the log."""

logger = logging.getLogger(__name__)


def read_clocks() -> tuple[float, float]:
    """Read two clocks in seconds: the time that this process's cores have computed, and the time that has passed, which
    alone counts a GPU's work.
    """
    return time.process_time(), time.perf_counter()


@dataclass(frozen=True)
class Maker:
    """The calls by which a worker makes artifacts."""

    make: Callable[[Recipe, str], Steps[tuple[Arrays, dict[str, Any]]]]
    """Makes the arrays and facts of a recipe; the second argument is the model's slug."""
    prepare: Callable[[str, Processing], Steps[None]]
    """Loads the libraries, and the tables of that model in those weights."""
    tidy: Callable[[], None] = lambda: None
    """Frees what is not likely to be needed soon, while there is nothing to do."""
    turn: Turn = lambda cost: nullcontext()
    """Held during each step, so that others who compute on this device can see it."""


class Relay(logging.Handler):
    """A log handler that sends the records of a worker's process to its server's log."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; the server may be gone."""
        with suppress(Disconnected):
            self._channel.send(
                Logged(record.levelno, record.name, _without_surrogates(self.format(record))[:MOST_LOGGED])
            )


def serve(channel: Channel, maker: Maker, store: ArtifactStore) -> None:
    """Make what is asked for until the server is gone, or memory was too small."""
    ended = Event()
    orders: SimpleQueue[Order | None] = SimpleQueue()
    threads = [
        Thread(target=_send_heartbeats, args=(channel, ended), name="heartbeat", daemon=True),
        Thread(target=_receive_orders, args=(channel, orders), name="orders", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        _Worker(channel, maker, store, orders).run()
    except Disconnected as reason:
        logger.debug("the server is gone: %s", reason)
    finally:
        ended.set()
        channel.close()
        for thread in threads:
            thread.join()


def _send_heartbeats(channel: Channel, ended: Event) -> None:
    with suppress(Disconnected):
        channel.send(Alive())
        while not ended.wait(BEAT_SECONDS):
            channel.send(Alive())


def _receive_orders(channel: Channel, orders: "SimpleQueue[Order | None]") -> None:
    with suppress(Disconnected):
        while True:
            orders.put(channel.receive()[0])
    orders.put(None)


class _OutOfMemory(Exception):
    """Memory was too small: the worker ends, so that the next one begins with what the system has."""


@dataclass
class _Held:
    """A computation that is begun."""

    order: Make | Prepare
    steps: Working
    left: float | None
    """Seconds until it pauses; None: it never does."""


class _Worker:
    """The computations that are begun, and the orders that come in."""

    def __init__(
        self, channel: Channel, maker: Maker, store: ArtifactStore, orders: "SimpleQueue[Order | None]"
    ) -> None:
        self._channel, self._maker, self._store, self._orders = channel, maker, store, orders
        self._held: dict[int, _Held] = {}
        self._running: int | None = None
        self._is_tidy = False

    def run(self) -> None:
        """Run until the server is gone."""
        try:
            while True:
                if (order := self._next_order()) is not None:
                    self._obey(order)
                elif self._running is not None:
                    self._step(self._held[self._running])
        except _OutOfMemory:
            pass
        finally:
            for held in self._held.values():
                held.steps.close()
            self._held.clear()

    def _next_order(self) -> Order | None:
        """Return the next order, waiting for one if there is nothing to do, else None; Disconnected."""
        is_idle = self._running is None
        try:
            order = self._orders.get(
                block=is_idle, timeout=TIDY_AFTER_SECONDS if is_idle and not self._is_tidy else None
            )
        except Empty:
            if is_idle:
                self._maker.tidy()
                give_back()
            self._is_tidy = is_idle
            return None
        self._is_tidy = False
        if order is None:
            raise Disconnected("no further orders")
        return order

    def _obey(self, order: Order) -> None:
        if isinstance(order, GoOn):
            if order.id in self._held:
                self._held[order.id].left = order.seconds
                self._running = order.id
            return
        if isinstance(order, Drop):
            if order.id in self._held:
                self._held[order.id].steps.close()
                self._forget(order.id)
                give_back()
            return
        if not isinstance(order, Make | Prepare) or len(self._held) >= MOST_HELD or order.id in self._held:
            raise Disconnected(f"{order} makes no sense now")
        steps = self._make_artifact(order) if isinstance(order, Make) else self._prepare_model(order)
        self._held[order.id] = _Held(order, steps, order.seconds if isinstance(order, Make) else None)
        self._running = order.id

    def _step(self, held: _Held) -> None:
        """Run the current computation to its next step, or to its end."""
        order, before = held.order, read_clocks()
        try:
            with self._maker.turn(order.cost), report_damage(order.slug):
                step = next(held.steps)
        except StopIteration as end:
            made, data = end.value
            self._forget(order.id)
            self._channel.send(replace(made, seconds=_seconds_since(before)), data)
        except Disconnected:
            raise
        except Exception as error:
            self._forget(order.id)
            self._fail(order, error)
        else:
            seconds = _seconds_since(before)
            if held.left is not None:
                held.left -= seconds
            rests = held.left is not None and held.left <= 0
            if rests:
                self._running = None
            so_far = step.so_far if isinstance(step, FindingStep) else ()
            self._channel.send(Stepped(order.id, *step, seconds, rests, so_far))
            return
        if order.cost != "cheap":  # the next cheap one takes as much again, and is quicker with what is at hand
            give_back()

    def _forget(self, id_: int) -> None:
        del self._held[id_]
        if self._running == id_:
            self._running = None

    def _fail(self, order: Make | Prepare, error: Exception) -> None:
        why: Failure = "other"
        message = str(error)
        if isinstance(error, BadOption):
            why = "option"  # no failure: what was asked for cannot be had
        elif not isinstance(error, ExplorerError):
            # What went wrong inside is for the operator; it may name paths and devices.
            logger.error("computation failed: %s of %s", _describe_order(order), order.slug, exc_info=error)
            message = f"This could not be computed ({type(error).__name__}); the server's log says more."
            if is_of_memory(error):
                why, message = "memory", NO_MEMORY
        self._channel.send(Failed(order.id, _without_surrogates(message), why))
        if why == "memory":
            raise _OutOfMemory

    def _prepare_model(self, order: Prepare) -> Working:
        yield from self._maker.prepare(order.slug, order.processing)
        return Made(order.id, "found"), b""

    def _make_artifact(self, order: Make) -> Working:
        recipe = parse_recipe(order.recipe)
        if self._store.read(recipe) is not None:  # another server with this folder may have been quicker
            return Made(order.id, "found"), b""
        arrays, facts = yield from self._maker.make(recipe, order.slug)
        return self._store_artifact(order, recipe, arrays, facts)

    def _store_artifact(self, order: Make, recipe: Recipe, arrays: Arrays, facts: dict[str, Any]) -> tuple[Made, bytes]:
        try:
            self._store.write(recipe, arrays, facts)
        except OSError as error:
            logger.warning("cannot keep artifact %s on disk: %s", recipe.subject, error)
            data = seal_contents(Contents(recipe.to_json(), json.dumps(facts), arrays))
            return Made(order.id, "refused", error.errno or errno.EIO), data
        return Made(order.id, "kept"), b""


def _seconds_since(before: tuple[float, float]) -> float:
    return max(now - then for now, then in zip(read_clocks(), before, strict=True))


def _without_surrogates(words: str) -> str:
    """Replace the lone surrogates of a text, which no message can hold."""
    return words.encode("utf-8", "replace").decode()


def _describe_order(order: Make | Prepare) -> str:
    return order.recipe if isinstance(order, Make) else "warm-up"
