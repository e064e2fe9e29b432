"""The child processes of a server: the one place that starts them, sees them end, and ends them.

A child is this program again with other arguments, never a fork of the server and never a shell. Knows nothing of what
they do; of their output only the reason why they stopped is kept, in an unnamed file that ends with them.
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
"""Seconds that a child has to end when it is asked to; then it is killed."""
PARENT_SECONDS = 0.5
"""How often a child checks whether the server that started it is still running."""
MOST_ERROR_BYTES = 64 * 1024
"""The most bytes of a child's standard error that are read, from its end."""
SENTENCE_PREFIX = "singular-lens: "
"""The prefix of the program's own sentences."""


class Child:
    """A child process of the server, from its start until it is closed; used from any thread."""

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
        """The process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, or minus the number of the signal that ended the child; None while it runs."""
        return self._process.poll()

    def has_ended(self, seconds: float = 0.0) -> bool:
        """Wait at most that time for the child's end, and return whether it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.status is not None

    def interrupt(self) -> None:
        """Ask the child to end, if it runs."""
        self._process.terminate()

    def end(self, seconds: float | None = None) -> None:
        """Interrupt the child, and kill it if it has not ended after that time, or STOP_SECONDS."""
        self.interrupt()
        if not self.has_ended(STOP_SECONDS if seconds is None else seconds):
            self._process.kill()
            self._process.wait()

    def read_errors(self) -> str:
        """Return the end of the child's standard error, which is for the log and for no visitor."""
        with self._lock:
            return self._last_words() if self._said is None else self._said

    def explain_end(self) -> str:
        """Explain why the child ended, fit for visitors: in its own words if it stopped by itself, else from its
        status.
        """
        if self.status == -signal.SIGKILL:
            return "something killed it, often for want of memory; what it did is kept"
        return read_refusal(self.read_errors()) or (
            f"it stopped with status {self.status}; whoever runs this server finds more in its log"
        )

    def close(self) -> None:
        """Release the child's resources; if it still runs, it is ended."""
        self.end()
        with self._lock:
            if self._said is None:
                self._said = self._last_words()
                self._errors.close()
        self._forget(self)

    def _last_words(self) -> str:
        size = os.fstat(self._errors.fileno()).st_size
        start = max(size - MOST_ERROR_BYTES, 0)
        return os.pread(self._errors.fileno(), size - start, start).decode("utf-8", "replace").strip()


class Children:
    """The processes that one server has started and not closed."""

    def __init__(self) -> None:
        self._children: set[Child] = set()
        self._lock = Lock()
        self._closed = False

    def start(self, words: Sequence[str], *, pass_fds: Sequence[int] = (), niceness: int = 0) -> Child:
        """Start a command of the program, the first word, with those open files; OSError if there can be no process.

        The caller waits for its end, and closes it. `niceness`: how far the child stands back behind pages.
        """
        with self._lock:
            if self._closed:
                raise OSError(errno.ECANCELED, "this server is ending")
            child = Child(words, pass_fds, niceness, self._children.discard)
            self._children.add(child)
        return child

    def close(self) -> None:
        """End all children at the same time, and start no more."""
        with self._lock:
            self._closed = True
            children = tuple(self._children)
        until = time.monotonic() + STOP_SECONDS
        for child in children:
            child.interrupt()
        for child in children:
            child.end(max(until - time.monotonic(), 0.0))
            child.close()


def read_refusal(errors: str) -> str:
    """Return the program's own sentence where it stopped by itself; empty if it crashed."""
    said = [line for line in errors.splitlines() if line.startswith(SENTENCE_PREFIX)]
    return said[-1].removeprefix(SENTENCE_PREFIX) if said else ""


def end_with_parent(parent: int) -> None:
    """End this child process soon after the server that started it, which can be killed without a last word."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)  # in the middle of a long product, nothing heeds the first

    Thread(target=watch, name="parent", daemon=True).start()
