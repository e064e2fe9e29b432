"""Many visitors of every kind, batch after identical batch: nothing that the server holds grows."""

import random
import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager

HEADS = [f"/tiny/L{layer}/H{head}" for layer in range(2) for head in range(4)]
PATHS = [
    *HEADS,
    *(f"{head}?weights=raw" for head in HEADS),
    *(f"{head}/{circuit}/svd/0" for head in HEADS for circuit in ("ov", "qk")),
    *(f"/api/v1{head}" for head in HEADS),
    "/",
    "/tiny",
    "/tiny/L0",
    "/tiny/notable",
    "/static/site.css",
    "/readyz",
    "/tiny/L9",
    "/tiny/L0/H0?page=0",
    "/tiny/jump?q=L0H1",
    "/tiny?" + "x" * 3_000,
]
ALLOWED = {200, 202, 303, 307, 404, 414, 422, 503}


def request(path, *fields):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()


def answer(stream):
    """The status of one answer on a connection that stays open."""
    status = int(stream.readline().split(b" ")[1])
    fields = dict(line.rstrip().lower().split(b": ", 1) for line in iter(stream.readline, b"\r\n"))
    stream.read(int(fields.get(b"content-length", 0)))
    return status


def in_a_hurry(server, paths, chance):
    """A connection for every page."""
    return [server.get(path)[0] for path in paths]


def staying(server, paths, chance):
    """One connection for all pages."""
    with server.connect() as connection, connection.makefile("rb") as stream:
        statuses = []
        for path in paths:
            connection.sendall(request(path))
            statuses.append(answer(stream))
        return statuses


def leaving(server, paths, chance):
    """Gone in the middle of the request, before the answer is there, or in the middle of it."""
    for path in paths:
        with server.connect() as connection:
            whole = request(path)
            sent = chance.choice([whole[:20], whole, whole])
            connection.sendall(sent)
            if sent is whole and chance.random() < 0.5:
                connection.recv(500)
    return []


def slow(server, paths, chance):
    """Reads a little at a time."""
    with server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.sendall(request(paths[0], "Connection: close"))
        answered = b""
        while part := connection.recv(2_048):
            answered += part
            time.sleep(0.01)
        return [int(answered.split(b" ")[1])]


def batch(server, n_visitors, n_pages):
    """The same visitors with the same wishes every time; how often which status was answered."""
    seen, failures = Counter(), []

    def visit(number):
        chance = random.Random(number)
        kind = (in_a_hurry, staying, leaving, slow)[number % 4]
        try:
            seen.update(kind(server, chance.choices(PATHS, k=n_pages), chance))
        except Exception as failure:
            failures.append(failure)

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(n_visitors)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert failures == []
    assert set(seen) <= ALLOWED
    return seen


@contextmanager
def heartbeat(server):
    """Asks /livez as long as the context lasts; every answer must be one."""
    ended, answers = threading.Event(), []

    def ask():
        while not ended.wait(0.1):
            answers.append(server.get("/livez"))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        ended.set()
        asking.join()
    assert set(answers) == {(200, b'{"status":"alive"}')}


def quiet(server):
    """Wait until nothing is in line any more."""
    for _ in range(600):
        if server.state()["queue"] == 0:
            return
        time.sleep(0.1)
    raise TimeoutError


def test_identical_batches_leave_the_server_as_it_was(run_server, own_data, long):
    n_batches, n_pages = (40, 25) if long else (1, 3)
    # So few may stand in line that some of the first batch, which finds nothing computed, are told to come back.
    settings = {"queue_size": 8, "wait_seconds": 0.5, "waiters": 4}
    with run_server(own_data, "tiny", **settings) as server, heartbeat(server):
        batch(server, 200, n_pages)
        quiet(server)
        for path in PATHS:  # whatever is still cold is computed now: a census is of one thing
            for _ in range(200):
                if server.get(path)[0] not in {202, 503}:
                    break
                time.sleep(0.05)
        batch(server, 200, n_pages)
        quiet(server)
        before = server.census()
        for _ in range(n_batches):
            assert batch(server, 200, n_pages)[200] > 50 * n_pages
        quiet(server)
        after = server.census()
        assert after.threads <= before.threads
        assert after.files <= before.files + 1  # the heartbeat may be asking
        # The allocator may round up; anything kept of each of these requests would be more.
        assert after.resident_mib <= before.resident_mib + (24 if long else 12), (before, after)
        assert "Traceback" not in server.log.read_text()
        assert server.state()["worker"] == "alive"
