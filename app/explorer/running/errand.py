"""An errand: the tasks of one request, with their place in the line, their progress and who asked for them.

Knows no worker and no queue.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from app.explorer.errors import ExplorerError
from app.explorer.running.line import Ticket
from app.explorer.running.visitor import VisitorRequest
from app.explorer.view import Processing
from app.store.artifacts import Artifact, Recipe

PERCENT = 100
"""The total of an errand's progress, in percent: visitors know none of the units in which its parts count."""


@dataclass(frozen=True)
class Preparation:
    """The warm-up of a worker ahead of visits: it loads the libraries, and that model's tables."""

    slug: str
    processing: Processing

    @property
    def hash(self) -> str:
        """The key of the task."""
        return f"preparation of {self.slug} {self.processing}"


WorkerTask = Recipe | Preparation


@dataclass(eq=False)
class Assignment:
    """One task given to the worker."""

    id: int
    task: WorkerTask


@dataclass(eq=False)
class Errand(Ticket):
    """The tasks that share one place in the line, from the request to its result."""

    title: str
    """The title for people who wait: `L5H3 OV is being decomposed`."""
    slug: str
    tasks: Sequence[WorkerTask]
    """The tasks, one after the other; a failed one does not hold up those behind it."""
    n_before: int = 0
    """The number of first tasks that are only needed by the others."""
    future: "Future[list[Artifact]]" = field(default_factory=Future)
    at: int = 0
    """The index of the next task."""
    making: Assignment | None = None
    """The next task at the worker, once begun there."""
    artifacts: list[Artifact] = field(default_factory=list)
    failure: ExplorerError | None = None
    done: int = 0
    """Progress in percent; it only rises."""
    so_far: tuple[int, ...] = ()
    """What its task has found so far, as numbers of that task's own."""
    asking: VisitorRequest | None = None
    """The request that asked last."""
    asked: float = field(default_factory=time.monotonic)
    """When it was last asked for."""
    is_asked_again: bool = False
    """Another request has asked since the one whose seconds it uses."""
    is_waited_for: bool = False
    """Somebody came back for it: a visitor who leaves after one request gets only that request's seconds."""
    left: float | None = None
    """Seconds of computing until it pauses; None: it runs to its end."""
    is_second_try: bool = False
    """A worker has ended while this was suspended."""

    def will_rest(self) -> bool:
        """Return whether it only has the seconds of one request."""
        return self.left is not None and not self.is_waited_for

    def is_left_alone(self) -> bool:
        """Return whether it is paused, and nobody has asked for it since."""
        return self.rests and not self.is_asked_again

    def charge_seconds(self, seconds: float) -> None:
        """Take seconds of computing from what it has left, and from the request that pays for them."""
        if self.left is None:  # the server's own: no request pays for it
            return
        self.left -= seconds
        if self.asking is not None:
            self.asking.left -= seconds

    def note_progress(self, part: float = 0.0) -> None:
        """Note how much of it is done; each task counts as the same amount of work."""
        self.done = max(self.done, int(PERCENT * (self.at + part) / len(self.tasks)))
