"""How many connections a server keeps open, and which one makes room for the next.

A connection is an open file, and a system that has no more of them lets nobody in, not even a probe. So there are fewer
connections than files; beyond that, one that nothing is being answered on is dropped for the one that comes; and
where an answer is being made on all, a few more are let in to be told so. Knows no protocol.
"""

import asyncio
import logging
import resource
import time
from collections.abc import Collection
from typing import Any, Protocol

from uvicorn.server import ServerState

MOST_CONNECTIONS = 900
SPARE = 16
"""Connections beyond the most, on which only probes are answered."""
ACCEPTED_AT_ONCE = 8
"""Connections that asyncio takes in one turn of its loop."""
IN_LINE = 2_048
"""Connections that wait in the system's line until they are taken: these are no open files."""
TURNS = 4
"""Of the loop, from taking a connection to having closed it."""
OTHER_FILES = 64
"""Open files that are no connections: weights, artifacts, pipes to child processes."""
MOST_FILES = 4_096
"""Allowed ourselves where the system lets us; more would be of no use."""
LEAST_FILES = 128
LOG_SECONDS = 60.0
"""How often it is said that there are too many."""
NO_FILE_LEFT = "socket.accept() out of system resource"
"""What asyncio's loop calls it; and says with a traceback, many times a second."""

logger = logging.getLogger(__name__)


class TooFewFiles(Exception):
    """The system allows this process too few open files to serve anybody."""


class Connection(Protocol):
    """What has to be known of one to choose."""

    def idle_since(self) -> tuple[bool, float] | None:
        """Whether it has asked anything yet, and when it was last heard of; None while it is being answered."""

    def drop(self) -> None:
        """Close it at once."""


class Crowd(ServerState):
    """The connections of one server."""

    connections: set[Any]

    def __init__(self, most: int, spare: int = SPARE, probes: Collection[str] = (), root: str = "") -> None:
        super().__init__()
        self.most = most
        self.root = root
        """The path under which a proxy serves the app, should it be left on."""
        self.probes = probes
        """Paths that are answered whatever else is refused: who gets no answer may start the server anew."""
        self._spare = spare
        self._said = -LOG_SECONDS

    def admit(self, newcomer: Connection) -> bool:
        """Let the connection in, at another's cost if there are too many; whether it is one of the spare ones.

        Of those that nothing is being answered on, one that never asked anything goes first, and the one that has been
        quiet for longest. Where there is none, and the spare ones are taken too, the newcomer is dropped itself.
        """
        if len(self.connections) > self.most:
            self._make_room(newcomer)
        return len(self.connections) > self.most

    def _make_room(self, newcomer: Connection) -> None:
        self._say("%d connections are open, as many as there may be: idle ones are closed.", self.most)
        idle = [(since, one) for one in self.connections if one is not newcomer and (since := one.idle_since())]
        if idle:
            self._leave(min(idle, key=lambda pair: pair[0])[1])
        elif len(self.connections) > self.most + self._spare:
            self._leave(newcomer)

    def _leave(self, connection: Connection) -> None:
        self.connections.discard(connection)  # it is closed in the loop's next turn; counted out now
        connection.drop()

    def on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Say what went wrong in the loop; in one line now and then, where every connection meets the same."""
        if context.get("message") == NO_FILE_LEFT:
            self._say("No connection can be taken, for want of open files: %s.", context.get("exception"))
        elif isinstance(context.get("exception"), MemoryError):
            self._say("There is no memory left to read what visitors ask.")
        else:
            loop.default_exception_handler(context)

    def _say(self, message: str, *words: object) -> None:
        now = time.monotonic()
        if now - self._said >= LOG_SECONDS:
            self._said = now
            logger.warning(message, *words)


def allow_files() -> int:
    """Open files that this process may have, after it has allowed itself as many as are of use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # some systems allow less than they say
            return soft
        return wanted
    return MOST_FILES if soft == resource.RLIM_INFINITY else soft


def bound_connections(files: int) -> int:
    """Connections that a process keeps open at most if it may have so many files open; TooFewFiles.

    Example: bound_connections(1024) -> 900
    """
    if files < LEAST_FILES:
        raise TooFewFiles(
            f"at most {files} files may be open at once, and a server needs {LEAST_FILES}: allow more with ulimit -n"
        )
    return min(MOST_CONNECTIONS, files - OTHER_FILES - SPARE - TURNS * ACCEPTED_AT_ONCE)
