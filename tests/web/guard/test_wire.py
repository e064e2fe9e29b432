import asyncio
import gc
import json
import socket
import threading
import time
from contextlib import ExitStack, closing

import pytest
import uvicorn

from app.web.guard import wire
from app.web.guard.crowd import Crowd
from app.web.guard.wire import CROWDED, LARGEST_HEAD, Listener, Wire
from app.web.http.security import HEADERS

LARGE = b"x" * 30_000_000
"""More than the system keeps for a visitor who does not read."""

MOST = 4


async def app(scope, receive, send):
    """Answers `/large` with much, `/slow` late, `/never` as long as somebody is there, everything else at once."""
    assert scope["type"] == "http"
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    while scope["path"] == "/never" and (await receive())["type"] != "http.disconnect":
        pass
    body = LARGE if scope["path"] == "/large" else b"fine"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def server(monkeypatch):
    """A server of that app for few visitors, which looks at its connections often; stopped at the end."""
    monkeypatch.setattr(wire, "LOOK_SECONDS", 0.2)
    config = uvicorn.Config(
        app, http=Wire, lifespan="off", log_config=None, h11_max_incomplete_event_size=LARGEST_HEAD, ws="none"
    )
    running = Listener(config, Crowd(MOST, spare=2, probes={"/livez"}, root="/lens"), when_ending=lambda: None)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=running.run, args=([listener],))
        thread.start()
        running.address = listener.getsockname()
        yield running
        running.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def connected(server):
    return closing(socket.create_connection(server.address, timeout=20))


def rest(connection):
    """All that comes until the other side ends, however it does."""
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize(
    ("sent", "status", "told"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", 400, b"no HTTP request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, b"no HTTP request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, b"no HTTP request"),
        (b"GET /" + b"x" * 2 * LARGEST_HEAD, 414, b"2,000 bytes"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2 * LARGEST_HEAD, 431, b"16,384 bytes"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * LARGEST_HEAD, 431, b"16,384 bytes"),
    ],
)
def test_what_is_no_request_is_refused_in_a_sentence(server, sent, status, told):
    with connected(server) as connection:
        connection.sendall(sent)
        head, _, body = rest(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert told in body
    lines = head.decode("ascii").split("\r\n")
    assert {f"{name}: {value}" for name, value in HEADERS.items()} < set(lines)
    assert "Connection: close" in lines


def test_a_broken_body_after_a_request_leaves_no_error_in_the_app(server, caplog):
    with connected(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n")
        assert b" 400 " in rest(connection)
    with connected(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert rest(connection).endswith(b"fine")
    assert "Traceback" not in caplog.text
    assert "Exception" not in caplog.text


STALLS = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost:",
    "half a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx",
    "an answer that nobody reads": b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
    "two answers that nobody reads": b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 2,
}


@pytest.mark.parametrize("sent", STALLS.values(), ids=STALLS)
def test_a_connection_that_stalls_is_dropped(server, sent):
    with connected(server) as connection:
        connection.sendall(sent)
        until(lambda: server.server_state.connections)
        until(lambda: not server.server_state.connections and not server.server_state.tasks)


def test_a_drip_of_bytes_is_no_request(server):
    with connected(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        until(lambda: server.server_state.connections)
        until(lambda: ended(connection, drip=b"x"))
        assert not server.server_state.connections


def test_an_answer_that_takes_long_is_waited_for(server):
    with connected(server) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert rest(connection).endswith(b"fine")


@pytest.fixture
def patient(server, monkeypatch):
    """The server, looking less often: this machine may be busy elsewhere for a while, which is no stall."""
    monkeypatch.setattr(wire, "LOOK_SECONDS", 1.5)
    return server


def test_who_reads_slowly_gets_all_of_it(patient):
    received, begun = 0, time.monotonic()
    with connected(patient) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        while part := connection.recv(len(LARGE) // 10):
            received += len(part)
            time.sleep(0.4)
    assert received > len(LARGE)
    assert time.monotonic() - begun > 2 * wire.LOOK_SECONDS


def test_a_connection_is_used_again(patient):
    with connected(patient) as connection:
        for _ in range(5):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while not answer.endswith(b"fine"):
                answer += connection.recv(1000)
            time.sleep(0.7)  # five of them take longer than two looks


def test_nothing_is_kept_of_connections_that_ended(server):
    for sent in (*STALLS.values(), b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"\x00\r\n\r\n"):
        with connected(server) as connection:
            connection.sendall(sent)
    until(lambda: not server.server_state.connections)
    until(lambda: gc.collect() >= 0 and not [one for one in gc.get_objects() if type(one) is Wire])


def ask(connection, path):
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())


def asked(server, path):
    """What is answered on a connection of its own."""
    with connected(server) as connection:
        ask(connection, path)
        return rest(connection)


@pytest.fixture
def crowd(server, monkeypatch):
    """crowd(n, path): so many connections more, which ask for that or, without one, for nothing."""
    monkeypatch.setattr(wire, "LOOK_SECONDS", 60)  # none of these stalls
    with ExitStack() as open_ones:

        def grow(n, path=None):
            for _ in range(n):
                one = open_ones.enter_context(connected(server))
                if path:
                    ask(one, path)
                until(lambda one=one: one.getsockname() in {each.client for each in server.server_state.connections})
                yield one

        yield lambda *words: list(grow(*words))


def test_of_too_many_idle_connections_the_oldest_makes_room(server, crowd, caplog):
    (patient,) = crowd(1)
    patient.sendall(b"GET / HTTP/1.1\r\n")  # has begun to ask
    idle = crowd(5 * MOST)
    assert len(server.server_state.connections) == MOST
    patient.sendall(b"Host: a\r\nConnection: close\r\n\r\n")
    assert rest(patient).endswith(b"fine")
    assert [rest(one) for one in idle[:-MOST]] == [b""] * 4 * MOST
    assert asked(server, "/").endswith(b"fine")
    assert [record.getMessage() for record in caplog.records] == [
        f"{MOST} connections are open, as many as there may be: idle ones are closed."
    ]


def test_a_probe_is_answered_whatever_else_is_refused(server, crowd):
    busy = crowd(MOST, "/never")
    refusal = asked(server, "/")
    assert refusal.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5" in refusal.lower()
    assert refusal.endswith(CROWDED.encode())
    assert all(f"{name}: {value}".lower().encode() in refusal.lower() for name, value in HEADERS.items())
    for path in ("/api/v1/", "/lens/api/v1/"):
        head, _, body = asked(server, path).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert json.loads(body) == {"error": "busy", "status": 503, "detail": CROWDED}
    assert asked(server, "/lens/livez").endswith(b"fine")
    assert asked(server, "/lensapi/").endswith(CROWDED.encode())
    silent = crowd(10)
    assert len(server.server_state.connections) == MOST + 1
    assert asked(server, "/livez").endswith(b"fine")
    for one in (*busy, *silent):
        one.close()
    until(lambda: not server.server_state.connections)
    assert asked(server, "/").endswith(b"fine")


def test_what_visitors_asked_for_before_they_left_counts_too(server, crowd):
    for one in crowd(MOST, "/slow"):
        one.close()
    until(lambda: not server.server_state.connections)
    assert asked(server, "/").startswith(b"HTTP/1.1 503 ")
    assert asked(server, "/livez").endswith(b"fine")
    until(lambda: not server.server_state.tasks)
    assert asked(server, "/").endswith(b"fine")


def ended(connection, drip):
    try:
        connection.sendall(drip)
    except OSError:
        return True
    time.sleep(0.02)
    return False


def until(holds, seconds=20):
    """Wait for it; the time is a guard, not a measure."""
    for _ in range(int(seconds / 0.01)):
        if holds():
            return
        time.sleep(0.01)
    raise TimeoutError
