import json
import socket
import threading

import pytest

from app.explorer.running import messages
from app.explorer.running.messages import (
    FRAME_HEAD,
    Alive,
    Channel,
    Disconnected,
    Failed,
    GoOn,
    Logged,
    Made,
    Make,
    Prepare,
    Stepped,
)


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    yield Channel(ours), theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    "message",
    [
        Make(1, "tiny", '{"subject": "é\\u2028"}', "dear"),
        Prepare(2, "tiny", "raw", "batch"),
        GoOn(3),
        Alive(),
        Stepped(4, 1, 3),
        Made(5, "refused", 28),
        Failed(6, "There is none.", "memory"),
        Logged(30, "app", "a line\nand another"),
    ],
)
def test_a_message_arrives_as_it_was_sent(ends, message):
    ours, theirs = ends
    data = bytes(range(256)) * 10_000  # more than the system holds for a reader
    sender = threading.Thread(target=Channel(theirs).send, args=(message, data))
    sender.start()
    assert ours.receive() == (message, data)
    sender.join()


def frame(message, data=b""):
    words = message if isinstance(message, bytes) else json.dumps(message).encode()
    return FRAME_HEAD.pack(len(words), len(data)) + words + data


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x00\x00",
        FRAME_HEAD.pack(messages.MOST_WORDS + 1, 0),
        FRAME_HEAD.pack(2, messages.MOST_BYTES + 1),
        FRAME_HEAD.pack(100, 0) + b"{}",
        frame(b"\xff\xfe"),
        frame(b"[" * 100_000),
        frame({}),
        frame({"kind": "unknown"}),
        frame({"kind": "go on"}),
        frame({"kind": "go on", "id": "1"}),
        frame({"kind": "go on", "id": -1}),
        frame({"kind": "make", "id": 1, "slug": "tiny", "recipe": "{}", "cost": "free"}),
    ],
)
def test_what_is_no_message_ends_the_connection(ends, sent):
    ours, theirs = ends
    theirs.sendall(sent)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(Disconnected):
        ours.receive()


def test_who_waits_for_a_message_hears_of_the_end(ends):
    ours, theirs = ends
    heard = threading.Event()

    def wait():
        with pytest.raises(Disconnected):
            ours.receive()
        heard.set()

    thread = threading.Thread(target=wait)
    thread.start()
    ours.close()
    assert heard.wait(30)
    thread.join()
    with pytest.raises(Disconnected):
        Channel(theirs).send(Alive())


def test_what_is_too_long_is_not_begun(ends):
    ours, theirs = ends
    with pytest.raises(ValueError, match="too long"):
        ours.send(Logged(10, "app", "x" * messages.MOST_WORDS))
    ours.send(Alive())
    assert Channel(theirs).receive() == (Alive(), b"")
