"""News of a job from a real server: they arrive while it goes on, and hold nobody up."""

import re
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest

from app.store.jobs import JobStore
from app.web.http.streams import MOST_STREAMS


@pytest.fixture
def server(run_server, own_data):
    with run_server(own_data, "tiny") as running:
        yield running


@pytest.fixture
def store(own_data):
    return JobStore(own_data / "jobs")


@pytest.fixture
def live(store):
    job = replace(store.new("tiny"), state="running", started=time.time(), stage="begun", matrices=16)
    with store.hold_job(job.id):
        store.write(job)
        yield job


def listen(server, stack, job, method="GET"):
    connection = stack.enter_context(server.connect())
    connection.sendall(f"{method} /-/jobs/{job.id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


def read_until(connection, pattern):
    received = b""
    while not re.search(pattern, received, re.DOTALL):
        part = connection.recv(1 << 16)
        if not part:
            break
        received += part
    return received


def test_news_arrive_one_by_one_and_end_with_the_job(server, store, live):
    with ExitStack() as stack:
        connection = listen(server, stack, live)
        assert b"begun" in read_until(connection, rb"begun.*\n\n")
        store.write(replace(live, stage="further"))
        assert b"further" in read_until(connection, rb"further.*\n\n")
        store.write(replace(live, state="done", ended=time.time()))
        assert b"event: end" in read_until(connection, rb"\n0\r\n\r\n")


def test_head_gets_no_news(server, live):
    with ExitStack() as stack:
        connection = listen(server, stack, live, "HEAD")
        assert b"text/event-stream" in read_until(connection, rb"\r\n\r\n")
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"alive" in read_until(connection, rb"alive")


def test_many_listeners_hold_nobody_up_and_leave_nothing(server, live):
    before = server.census()
    with ExitStack() as stack:
        listeners = [listen(server, stack, live) for _ in range(MOST_STREAMS)]
        assert all(b"begun" in read_until(connection, rb"begun.*\n\n") for connection in listeners)
        assert b"retry: 5000" in read_until(listen(server, stack, live), rb"\n0\r\n\r\n")
        began = time.monotonic()
        assert server.get("/-/glossary")[0] == 200
        assert time.monotonic() - began < 10  # in fifteen seconds the first listeners would go
    after = server.census()
    assert after.files <= before.files + 2
    with ExitStack() as stack:  # their places are free again
        assert b"retry" not in read_until(listen(server, stack, live), rb"begun.*\n\n")


def test_a_server_does_not_wait_for_listeners_to_end(run_server, own_data, live):
    with ExitStack() as stack:
        with run_server(own_data, "tiny") as server:
            connection = listen(server, stack, live)
            assert b"begun" in read_until(connection, rb"begun.*\n\n")
        assert "graceful shutdown exceeded" not in server.log.read_text()
        assert b"end" not in read_until(connection, rb"$^")
