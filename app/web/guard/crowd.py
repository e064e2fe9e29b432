"""The limit on a server's open connections, and the choice of the one that makes room for the next.

A connection is an open file, and a process that has none left can accept nobody, not even a probe. So there are fewer
connections than files; beyond that, an idle connection is dropped for each new one; and where all are being answered,
a few more are let in to be refused. Knows no protocol.
"""

import asyncio
import logging
import resource
import time
from collections.abc import Collection
from typing import Any, Protocol

from uvicorn.server import ServerState

MOST_CONNECTIONS = 900
SPARE_CONNECTIONS = 16
"""Connections beyond the limit, on which only probes are answered."""
ACCEPTED_AT_ONCE = 8
"""Connections that asyncio accepts in one turn of its loop."""
BACKLOG = 2_048
"""Backlog of the listening socket: connections that wait to be accepted are no open files."""
LOOP_TURNS = 4
"""Turns of the loop from accepting a connection to having closed it."""
OTHER_FILES = 64
"""Open files besides connections: weights, artifacts, pipes to child processes."""
MOST_FILES = 4_096
"""Open files that the process asks the system for; more would be of no use."""
LEAST_FILES = 128
LOG_SECONDS = 60.0
"""Seconds between two warnings in the log that there are too many."""
NO_FILE_LEFT = "socket.accept() out of system resource"
"""Message of asyncio's loop, which would log it with a traceback many times a second."""

logger = logging.getLogger(__name__)


class TooFewFiles(Exception):
    """The system allows this process too few open files to serve anybody."""


class Connection(Protocol):
    """A connection, as far as the choice of one to drop needs it."""

    def idle_since(self) -> tuple[bool, float] | None:
        """Return whether it has sent a request yet, and when it was last heard of; None while it is being answered."""

    def drop(self) -> None:
        """Close the connection at once."""


class Crowd(ServerState):
    """The connections of one server."""

    connections: set[Any]

    def __init__(self, most: int, spare: int = SPARE_CONNECTIONS, probes: Collection[str] = (), root: str = "") -> None:
        super().__init__()
        self.most = most
        self.root = root
        """The path under which a proxy serves the app, which the proxy may not strip."""
        self.probes = probes
        """Paths that are answered whatever else is refused: a probe without an answer may restart the server."""
        self._spare = spare
        self._said = -LOG_SECONDS

    def admit(self, newcomer: Connection) -> bool:
        """Let a connection in, dropping an idle one if there are too many; return whether it is one of the spare ones.

        Of the idle ones, those that never sent a request go first, then the one that has been quiet for longest. Where
        none is idle, and the spare ones are taken too, the newcomer itself is dropped.
        """
        if len(self.connections) > self.most:
            self._make_room(newcomer)
        return len(self.connections) > self.most

    def _make_room(self, newcomer: Connection) -> None:
        self._warn_sometimes("%d connections are open, as many as there may be: idle ones are closed.", self.most)
        idle = [(since, one) for one in self.connections if one is not newcomer and (since := one.idle_since())]
        if idle:
            self._drop(min(idle, key=lambda pair: pair[0])[1])
        elif len(self.connections) > self.most + self._spare:
            self._drop(newcomer)

    def _drop(self, connection: Connection) -> None:
        self.connections.discard(connection)  # closed only in the loop's next turn, so no longer counted from now on
        connection.drop()

    def on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an error of the loop; in one line now and then, where every connection meets the same one."""
        if context.get("message") == NO_FILE_LEFT:
            self._warn_sometimes("No connection can be taken, for want of open files: %s.", context.get("exception"))
        elif isinstance(context.get("exception"), MemoryError):
            self._warn_sometimes("There is no memory left to read what visitors ask.")
        else:
            loop.default_exception_handler(context)

    def _warn_sometimes(self, message: str, *words: object) -> None:
        now = time.monotonic()
        if now - self._said >= LOG_SECONDS:
            self._said = now
            logger.warning(message, *words)


def raise_file_limit() -> int:
    """Raise this process's limit on open files as far as is of use; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # some systems allow less than their hard limit
            return soft
        return wanted
    return MOST_FILES if soft == resource.RLIM_INFINITY else soft


def bound_connections(files: int) -> int:
    """Compute the limit on connections from that on open files; TooFewFiles if it is too low.

    Example: bound_connections(1024) -> 900
    """
    if files < LEAST_FILES:
        raise TooFewFiles(
            f"at most {files} files may be open at once, and a server needs {LEAST_FILES}: allow more with ulimit -n"
        )
    return min(MOST_CONNECTIONS, files - OTHER_FILES - SPARE_CONNECTIONS - LOOP_TURNS * ACCEPTED_AT_ONCE)
