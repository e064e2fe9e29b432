"""The child processes of a server: the one place that starts them, sees them end, and ends them.

A child is this program again with other words, never a fork of the server and never a shell's. Knows nothing of what
they do, and of their output only why they stopped: that is kept in a file without a name, which ends with them.
"""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock, Thread

PROGRAM = (sys.executable, "-m", "app")
STOP_SECONDS = 5.0
"""For a child that was asked to end; then it is killed."""
PARENT_SECONDS = 0.5
"""How often a child looks whether the server that started it is still there."""
MOST_SAID = 64 * 1024
"""Bytes of a child's last words that are looked at."""
PREFIX = "singular-lens: "
"""What the program's own sentences begin with."""


class Child:
    """A process of the server's, from its start until it is let go of; asked from any thread."""

    def __init__(
        self, words: Sequence[str], pass_fds: Sequence[int], niceness: int, forget: Callable[["Child"], None]
    ) -> None:
        self._forget = forget
        self._lock = Lock()
        self._said: str | None = None
        # A file, not a pipe, which nobody reads yet: full, it would stop the child.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [*PROGRAM, words[0], "--parent", str(os.getpid()), *words[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=pass_fds,
                process_group=0,  # Ctrl-C in the server's terminal is the server's: it ends its children itself
            )
        except BaseException:
            self._errors.close()
            raise
        with suppress(OSError):  # where that is not allowed, it is only less kind to the pages
            os.setpriority(os.PRIO_PROCESS, self.pid, os.getpriority(os.PRIO_PROCESS, 0) + niceness)

    @property
    def pid(self) -> int:
        """Its number in the system."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """What it ended with, minus the number of the signal that ended it; None while it runs."""
        return self._process.poll()

    def has_ended(self, seconds: float = 0.0) -> bool:
        """Whether it has, once it has or after that time."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.status is not None

    def interrupt(self) -> None:
        """Ask it to end, if it runs."""
        self._process.terminate()

    def end(self, seconds: float | None = None) -> None:
        """Interrupt it, and kill it if it does not heed that for so long, or STOP_SECONDS; it is no more afterwards."""
        self.interrupt()
        if not self.has_ended(STOP_SECONDS if seconds is None else seconds):
            self._process.kill()
            self._process.wait()

    def said(self) -> str:
        """The last of what it wrote on its standard error, which is for the log and for no visitor."""
        with self._lock:
            return self._last_words() if self._said is None else self._said

    def fate(self) -> str:
        """Why it ended, fit for visitors: what it said when it stopped by itself, or what can be told from outside."""
        if self.status == -signal.SIGKILL:
            return "something killed it, often for want of memory; what it did is kept"
        return refusal_in(self.said()) or (
            f"it stopped with status {self.status}; whoever runs this server finds more in its log"
        )

    def close(self) -> None:
        """Let go of it; if it still runs, it is ended."""
        self.end()
        with self._lock:
            if self._said is None:
                self._said = self._last_words()
                self._errors.close()
        self._forget(self)

    def _last_words(self) -> str:
        size = os.fstat(self._errors.fileno()).st_size
        start = max(size - MOST_SAID, 0)
        return os.pread(self._errors.fileno(), size - start, start).decode("utf-8", "replace").strip()


class Children:
    """The processes that one server has started and not let go of."""

    def __init__(self) -> None:
        self._children: set[Child] = set()
        self._lock = Lock()
        self._closed = False

    def start(self, words: Sequence[str], *, pass_fds: Sequence[int] = (), niceness: int = 0) -> Child:
        """Start a command of the program, the first word, with those open files; OSError if there can be no process.

        Whoever starts it sees it end, and closes it. `niceness`: how far it stands back behind pages.
        """
        with self._lock:
            if self._closed:
                raise OSError(errno.ECANCELED, "this server is ending")
            child = Child(words, pass_fds, niceness, self._children.discard)
            self._children.add(child)
        return child

    def close(self) -> None:
        """End all of them at the same time, and start no more."""
        with self._lock:
            self._closed = True
            children = tuple(self._children)
        until = time.monotonic() + STOP_SECONDS
        for child in children:
            child.interrupt()
        for child in children:
            child.end(max(until - time.monotonic(), 0.0))
            child.close()


def refusal_in(errors: str) -> str:
    """What the program said when it stopped by itself; empty if it broke."""
    said = [line for line in errors.splitlines() if line.startswith(PREFIX)]
    return said[-1].removeprefix(PREFIX) if said else ""


def stop_without(parent: int) -> None:
    """In a child: end soon after the server that started it, which can be killed without a last word."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)  # in the middle of a long product, nothing heeds the first

    Thread(target=watch, name="parent", daemon=True).start()
