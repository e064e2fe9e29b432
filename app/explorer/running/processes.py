"""A worker in a process of its own: how a server starts one, and what that process is. Knows no queue.

The two share a pair of sockets, one of which the process inherits: no name, no port, nothing that is left behind.
"""

import logging
import signal
import socket
from pathlib import Path

from app.explorer.running.children import Child, Children, stop_without
from app.explorer.running.messages import Channel
from app.explorer.running.worker import Maker, Relay, serve
from app.store.artifacts import ArtifactStore

YIELDING = 10
"""A worker's niceness: pages that need no computation are then answered first, on however few cores."""
STOP_SECONDS = 2.0
"""For a worker that was asked to end; then it is killed: what it wrote is whole whenever that is."""
LAST_WORDS = "singular-lens: the worker was asked to end"

logger = logging.getLogger(__name__)


class WorkerProcess:
    """A worker as a child of this process."""

    def __init__(self, child: Child, channel: Channel) -> None:
        self.child, self.channel = child, channel

    def end(self) -> None:
        """End it, if it has not ended; it is no more afterwards, and why it ended by itself is in the log."""
        self.child.end(STOP_SECONDS)
        self.child.close()
        if (said := self.child.said()) and said != LAST_WORDS:
            logger.error("the worker said: %s", said)

    def was_killed(self) -> bool:
        """Whether it was killed, once it has ended."""
        return self.child.status == -signal.SIGKILL


def start_process(children: Children, data: Path, device: str, quota_bytes: int) -> WorkerProcess:
    """A worker for that folder and device; OSError."""
    ours, theirs = socket.socketpair()
    with theirs:
        words = ["worker", "--channel", str(theirs.fileno()), "--data", str(data), "--device", device]
        words += ["--quota", str(quota_bytes)]
        try:
            child = children.start(words, pass_fds=[theirs.fileno()], niceness=YIELDING)
        except BaseException:
            ours.close()
            raise
    return WorkerProcess(child, Channel(ours))


def work(handle: int, parent: int, maker: Maker, store: ArtifactStore) -> None:
    """Be the worker of the process that started this one and left it that open socket, until it is gone."""
    stop_without(parent)
    channel = Channel(socket.socket(fileno=handle))
    relay = Relay(channel)
    relay.setFormatter(logging.Formatter())  # where it comes from and how grave it is, the server says
    logging.basicConfig(level=logging.INFO, handlers=[relay])
    serve(channel, maker, store)
