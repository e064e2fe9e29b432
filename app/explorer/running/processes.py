"""Worker processes: how a server starts one, and what runs in it. Knows no queue.

One kind makes artifacts, the other holds a model that runs, for prompts; a server talks to both in the same way.

Server and worker share a pair of sockets, one of which the process inherits: there is no name and no port, and nothing
is left behind.
"""

import logging
import signal
import socket
from pathlib import Path

from app.explorer.running.children import Child, Children, end_with_parent
from app.explorer.running.messages import Channel
from app.explorer.running.worker import Maker, Relay, serve
from app.store.artifacts import ArtifactStore

WORKER_NICENESS = 10
"""The worker's niceness: pages that need no computation are then answered first, on however few cores."""
STOP_SECONDS = 2.0
"""Seconds that a worker has to end when it is asked to; then it is killed: its files are whole at any time."""
LAST_WORDS = "singular-lens: the worker was asked to end"

logger = logging.getLogger(__name__)


class WorkerProcess:
    """A worker as a child of this process."""

    def __init__(self, child: Child, channel: Channel) -> None:
        self.child, self.channel = child, channel

    def end(self) -> None:
        """End the worker, if it has not ended, and log why it ended by itself."""
        self.child.end(STOP_SECONDS)
        self.child.close()
        if (said := self.child.read_errors()) and said != LAST_WORDS:
            logger.error("the worker said: %s", said)

    def was_killed(self) -> bool:
        """Return whether the worker was killed, once it has ended."""
        return self.child.status == -signal.SIGKILL


def start_process(children: Children, data: Path, device: str, quota_bytes: int) -> WorkerProcess:
    """Start a worker that makes artifacts for that folder, on that device; OSError."""
    return _start(children, "worker", data, device, ["--quota", str(quota_bytes)])


def start_live_process(children: Children, data: Path, device: str) -> WorkerProcess:
    """Start a worker that runs the folder's models on prompts, on that device; OSError."""
    return _start(children, "live", data, device, [])


def _start(children: Children, command: str, data: Path, device: str, others: list[str]) -> WorkerProcess:
    ours, theirs = socket.socketpair()
    with theirs:
        words = [command, "--channel", str(theirs.fileno()), "--data", str(data), "--device", device, *others]
        try:
            child = children.start(words, pass_fds=[theirs.fileno()], niceness=WORKER_NICENESS)
        except BaseException:
            ours.close()
            raise
    return WorkerProcess(child, Channel(ours))


def run_worker(handle: int, parent: int, maker: Maker, store: ArtifactStore) -> None:
    """Run as the worker of the process that started this one and left it that open socket, until that process is gone."""
    end_with_parent(parent)
    channel = Channel(socket.socket(fileno=handle))
    relay = Relay(channel)
    relay.setFormatter(logging.Formatter())  # the server adds where a record comes from and how grave it is
    logging.basicConfig(level=logging.INFO, handlers=[relay])
    serve(channel, maker, store)
