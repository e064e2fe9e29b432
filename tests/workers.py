"""Workers in threads: the same function that a worker's process runs, over a pair of sockets."""

import socket
import threading
from dataclasses import dataclass

from app.explorer.making.maker import open_maker
from app.explorer.making.using.prompts import open_prompt_maker
from app.explorer.running.messages import Channel
from app.explorer.running.worker import serve
from app.store.artifacts import ArtifactStore
from app.store.prompts import FOLDER, PromptStore


@dataclass
class ThreadWorker:
    """A worker in a thread; it cannot be killed, and ends with its step."""

    channel: Channel
    thread: threading.Thread

    def end(self):
        self.channel.close()
        self.thread.join(60)
        assert not self.thread.is_alive()

    def was_killed(self):
        return False


def start_thread(maker, store):
    """Start a worker in a thread with a maker and a store of its own."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=serve, args=(Channel(theirs), maker, store), name="worker in a test", daemon=True)
    thread.start()
    return ThreadWorker(Channel(ours), thread)


def start_in_thread(children, data, device, quota_bytes):
    """Start a server's worker in a thread of the test's process, so that monkeypatches apply to it, too."""
    store = ArtifactStore(data / "artifacts", quota_bytes)
    return start_thread(open_maker(data, device, store), store)


def start_live_in_thread(children, data, device):
    """Start a server's live model in such a thread."""
    prompts = PromptStore(data / FOLDER)
    return start_thread(open_prompt_maker(data, device, prompts), prompts.results)


SETTINGS = {
    "models": ("tiny",),
    "device": "cpu",
    "weights": "folded",
    "quota_bytes": 10**9,
    "queue_size": 64,
    "wait_seconds": 30.0,
    "waiters": 8,
    "start_worker": start_in_thread,
    "start_live": start_live_in_thread,
}
"""Settings of resources whose worker is such a thread."""
