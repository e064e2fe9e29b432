"""Batches: recipes that a queue works through some at a time, whether anybody waits for them or not.

Batches take turns, so that a long one holds up no short one, and what visitors wait for goes before them. What was made is in
the store; a batch itself is remembered as long as the server runs. Knows no prompt, and nothing of what is made.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Literal

from app.explorer.errors import Busy, ComputationFailed, ExplorerError
from app.explorer.running.errand import Errand
from app.explorer.running.queue import ComputeQueue
from app.explorer.running.visitor import VISITOR
from app.store.artifacts import Recipe

AT_ONCE = 10
"""Recipes of a batch that are in line at a time."""
MOST_BATCHES = 32
MOST_OF_A_VISITOR = 6
MOST_ENDED = 200
"""Batches that are remembered for how they ended."""
BUSY_SECONDS = 1.0
"""Seconds until a batch asks again for a place in a line that is full."""

BatchState = Literal["going on", "stopped", "done"]

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class RecipeBatch:
    """Recipes that are made one after the other."""

    key: Hashable
    client: str
    """The key of the visitor who began it."""
    slug: str
    title: str
    """The title for people who wait."""
    recipes: Sequence[Recipe]
    at: int = 0
    """The first recipe that is neither made nor in line."""
    state: BatchState = "going on"
    failure: str = ""
    """Why the last of those failed that did; empty where none did."""
    errand: Errand | None = None
    """Those that are in line."""
    begun: "Future[None]" = field(default_factory=Future)
    """Done with the first recipes, or with the batch."""
    ended: "Future[None]" = field(default_factory=Future)


class Batches:
    """The batches of one queue; its thread begins with the first one."""

    def __init__(self, queue: ComputeQueue) -> None:
        self._queue = queue
        self._live: OrderedDict[Hashable, RecipeBatch] = OrderedDict()
        """By turn: the first is next."""
        self._ended: OrderedDict[Hashable, RecipeBatch] = OrderedDict()
        """Those that were stopped, or of which something failed."""
        self._changed = Condition()
        self._closing = False
        self._thread: Thread | None = None

    def start(self, key: Hashable, slug: str, title: str, recipes: Sequence[Recipe]) -> RecipeBatch:
        """Begin a batch, or find the one of that key that is going on; Busy where many are."""
        client = VISITOR.get()
        with self._changed:
            if (batch := self._live.get(key)) is not None:
                return batch
            if self._closing:
                raise Busy("This server is ending; come back when it is here again.")
            own = sum(other.client == client for other in self._live.values()) if client else 0
            if own >= MOST_OF_A_VISITOR or len(self._live) >= MOST_BATCHES:
                whose = f"{own} of yours" if own >= MOST_OF_A_VISITOR else f"{len(self._live)}"
                raise Busy(f"{whose} are being run already: this one begins when one has ended.")
            self._ended.pop(key, None)
            batch = self._live[key] = RecipeBatch(key, client, slug, title, tuple(recipes))
            self._live.move_to_end(key, last=False)  # most are short
            if self._thread is None:
                self._thread = Thread(target=self._run, name="batches", daemon=True)
                self._thread.start()
            self._changed.notify()
        return batch

    def find(self, key: Hashable) -> RecipeBatch | None:
        """Return the batch of that key that is going on, was stopped, or of which something failed."""
        with self._changed:
            return self._live.get(key) or self._ended.get(key)

    def stop(self, key: Hashable) -> None:
        """Stop a batch, if it is going on; what is made stays."""
        with self._changed:
            batch = self._live.get(key)
            if batch is None:
                return
            self._end(batch, "stopped")
        if (errand := batch.errand) is not None:
            self._queue.abandon(errand, None)

    def forget(self, key: Hashable) -> None:
        """Forget how a batch ended, so that it may begin again."""
        with self._changed:
            self._ended.pop(key, None)

    def close(self) -> None:
        """Begin no more; call it before the queue is closed."""
        with self._changed:
            self._closing = True
            for batch in list(self._live.values()):
                self._end(batch, "stopped")
            self._changed.notify()

    def _end(self, batch: RecipeBatch, state: BatchState) -> None:
        """Note how a batch ended; the caller holds the lock."""
        batch.state = state
        self._live.pop(batch.key, None)
        if state == "stopped" or batch.failure:
            self._ended[batch.key] = batch
            while len(self._ended) > MOST_ENDED:
                self._ended.popitem(last=False)
        for future in (batch.begun, batch.ended):
            if not future.done():
                future.set_result(None)

    def _run(self) -> None:
        while (batch := self._wait_for_turn()) is not None:
            try:
                self._make_some(batch)
            except Exception:  # the batches behind it have their turn, whatever the machine does
                logger.exception("a batch of %s ends", batch.slug)
                batch.failure = "The server could not go on with this."
                with self._changed:
                    self._end(batch, "stopped")

    def _wait_for_turn(self) -> RecipeBatch | None:
        """Wait for a batch, and return the one whose turn it is; None once all are closed."""
        with self._changed:
            while not self._live and not self._closing:
                self._changed.wait()
            if self._closing:
                return None
            batch = next(iter(self._live.values()))
            self._live.move_to_end(batch.key)
            return batch

    def _make_some(self, batch: RecipeBatch) -> None:
        some = batch.recipes[batch.at : batch.at + AT_ONCE]
        try:
            # In no visitor's name: nobody has to come back for it.
            errand = self._queue.submit(batch.slug, some, batch.title, "batch")
        except Busy:
            time.sleep(BUSY_SECONDS)
            return
        except ExplorerError as error:  # the same failed a moment ago
            errand, batch.failure = None, str(error)
        with self._changed:
            batch.errand, batch.at = errand, batch.at + len(some)
            is_stopped = batch.state != "going on"
        if errand is not None:
            if is_stopped:
                self._queue.abandon(errand, None)
            try:
                errand.future.result()
            except ComputationFailed as error:
                batch.failure = str(error)
            except ExplorerError as error:  # it was stopped, or the server ends
                logger.debug("a batch of %s: %s", batch.slug, error)
        with self._changed:
            batch.errand = None
            if batch.state == "going on" and batch.at >= len(batch.recipes):
                self._end(batch, "done")
            elif not batch.begun.done():
                batch.begun.set_result(None)
