"""Requests that no browser would send, to every kind of page: answered in order, without a trace and without growth."""

import asyncio
import gc
import gzip
import random
import re
import shutil
import time
import weakref
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import unquote

import pytest
from starlette.testclient import TestClient

from app.config import Settings
from app.explorer.running.errand import Errand
from app.server import create_app
from app.web.guard.crowd import LEAST_FILES
from tests.workers import start_in_thread

PLACES = [
    "/",
    "/tiny",
    "/tiny/notable",
    "/tiny/jump",
    "/tiny/L1",
    "/tiny/L1/H2",
    "/tiny/L1/H2/full",
    "/tiny/L1/H2/ov",
    "/tiny/L1/H2/ov/svd",
    "/tiny/L1/H2/ov/svd/0",
    "/api/v1/",
    "/api/v1/tiny",
    "/api/v1/tiny/notable",
    "/api/v1/tiny/L1",
    "/api/v1/tiny/L1/H2",
    "/api/v1/tiny/L1/H2/full",
    "/api/v1/tiny/L1/H2/ov/svd/0",
    "/static/site.css",
    "/-/glossary",
    "/-/settings",
    "/-/jobs",
    "/-/jobs/0123456789ab",
    "/-/jobs/0123456789ab/events",
    "/api/v1/-/jobs",
    "/api/v1/-/jobs/0123456789ab",
    "/docs",
    "/openapi.json",
    "/livez",
    "/readyz",
    "/robots.txt",
    "/favicon.ico",
]
HUGE = "9" * 400
ENDINGS = [
    "%2F",
    "%2f..%2f..%2fetc%2fpasswd",
    "/../../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..;/",
    "//",
    "///x",
    "\\..\\..",
    "%5c..%5c",
    "%00",
    "/%00/",
    "%0d%0aSet-Cookie:%20a=b",
    "%0a",
    "%ff%fe",
    "/%c0%ae%c0%ae/",
    "%ed%a0%80",
    "%",
    "%zz",
    "%u0041",
    "/L" + HUGE,
    "/L-1",
    "/L1/H" + HUGE,
    "/%D9%A1",
    "/L%D9%A1",
    "/L%C2%B2/H%EF%BC%91",
    "/L1/H2/ov/svd/" + HUGE,
    "/L1/H2/ov/svd/1e9",
    "/L1/H2/ov/svd/0x10",
    "/" + "a/" * 500,
    "/" + "x" * 3_000,
    "?page=" + HUGE,
    "?page=-1",
    "?page=1e309",
    "?page=%D9%A1",
    "?page=NaN&page=1",
    "?weights[]=raw",
    "?weights=raw&weights=folded",
    "?weights=%00",
    "?sort=%ff",
    "?find=%00",
    "?find=%ff%fe",
    "?find=%ed%a0%80",
    "?find=" + "%41" * 200,
    "?find=(((((a%2B)%2B)%2B)%2B)$",
    "?score=" + "x" * 41,
    "?format=../../etc/passwd",
    "?q=" + HUGE,
    "?q=http://evil.example/%0d%0aX:y",
    "?q=L1%0d%0aLocation:%20http://evil.example",
    "?q=//evil.example/",
    "?v=" + HUGE,
    "?" + "&" * 1_900,
    "?" + "a=1&" * 450,
    "?" + "=" * 1_000,
    "?page=1#frag?",
    "?__proto__=1&constructor=1",
    "?%",
    "?" + "x" * 3_000,
]
FIELDS = [
    {"Range": "bytes=0-0"},
    {"Range": "bytes=99999999999999999999-,-1,0-"},
    {"If-None-Match": '"' * 999},
    {"If-None-Match": "*, *, W/"},
    {"If-Modified-Since": "yesterday"},
    {"Accept-Encoding": "gzip;q=nan, br;q=-1, *;q=" + HUGE},
    {"Accept-Encoding": "," * 5_000},
    {"Accept": "\xff\xfe/*"},
    {"HX-Request-Type": "partial", "HX-Target": 'x" onload="y'},
    {"HX-Request-Type": "partial", "HX-Target": "progress"},
    {"HX-Request": "true", "HX-Request-Type": "\xff"},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "javascript", "Forwarded": "host=evil.example"},
    {"X-Forwarded-Prefix": "//evil.example", "X-Original-URL": "/-/settings", "X-HTTP-Method-Override": "DELETE"},
    {"Cookie": "a=" + "b" * 8_000},
    {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"},
    {"Content-Type": "application/json; charset=no-such"},
    {"Content-Length": "5"},
    {"Expect": "100-continue"},
    {"Authorization": "Basic " + "=" * 999},
]
METHODS = ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "BREW"]
RAW = [
    b"",
    b"\r\n\r\n",
    b"\x00" * 100,
    b"GET\r\n\r\n",
    b"GET / HTTP/0.9\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET /tiny/L1/H2 HTTP/1.0\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    b"GET http://evil.example/tiny HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET //evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET tiny HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /tiny?\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /tiny\nX: y HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n X: folded\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX Y: z\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n: nameless\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 2\r\n\r\nx",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nxyz",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\nx",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /tiny HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"GET /tiny HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"GET /tiny HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 500 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 50_000 + b"\r\n",
    b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50,
    b"GET /tiny/L1/H2 HTTP/1.1\r\nHost: localhost\r\n\r\nnonsense follows\r\n\r\n",
]
TRACES = re.compile(r"Traceback|File \"|\.py\b.*line|site-packages|RuntimeError|/home/|/tmp/")


@pytest.fixture(scope="module")
def client(tiny_data, tmp_path_factory):
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("hostile") / "data")
    app = create_app(
        Settings(data=data, models=("tiny",), device="cpu", wait_seconds=30.0, allowed_hosts="testserver"),
        start_worker=start_in_thread,
    )
    with TestClient(app) as client:
        for place in PLACES:  # computed now, so that no later request changes what is held
            client.get(place)
        yield client


class Scope(dict):
    """One whose end can be seen."""


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str


def asked(client, method, target, fields, seen=None):
    """One request as the wire passes it on, for no client would send it; `seen` is told of its scope."""
    raw, _, query = target.encode("latin-1").partition(b"?")
    scope = Scope(type="http", asgi={"version": "3.0"}, http_version="1.1", scheme="http", root_path="")
    scope |= {"method": method, "raw_path": raw, "path": unquote(raw.decode("ascii")), "query_string": query}
    scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {}}
    every = {"Host": "testserver"} | fields
    scope["headers"] = [(name.lower().encode(), value.encode("latin-1")) for name, value in every.items()]
    if seen:
        seen(scope)
    messages, sent = [], iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive():
        return next(sent, None) or await asyncio.Event().wait()  # and nothing more, while the answer is awaited

    async def send(message):
        messages.append(message)

    client.portal.call(client.app, scope, receive, send)
    start, *bodies = messages
    headers = {name.decode().title(): value.decode("latin-1") for name, value in start["headers"]}
    body = b"".join(message["body"] for message in bodies)
    if headers.get("Content-Encoding") == "gzip" and body:
        body = gzip.decompress(body)
    return Answer(start["status"], headers, body.decode("utf-8"))


def batch(seed, n):
    """Requests made of a place, an ending, odd fields and, now and then, another method."""
    chance = random.Random(seed)
    every = [("GET", place + ending, {}) for place in PLACES for ending in ENDINGS]
    every += [("GET", place, fields) for place in PLACES for fields in FIELDS]
    every += [(method, place, {}) for place in PLACES for method in METHODS]
    return chance.sample(every, n) if n else every


def test_every_hostile_request_is_answered_in_order(client, long):
    for method, target, fields in batch(0, 0 if long else 700):
        answer = asked(client, method, target, fields)
        assert answer.status < 500, (method, target, fields)
        assert "Content-Security-Policy" in answer.headers, (method, target, fields)
        assert not TRACES.search(answer.text), (method, target, fields)
        assert "evil.example" not in answer.headers.get("Location", "").partition("?")[0], (method, target, fields)
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("method", "target", "host", "status"),
    [
        ("GET", "http://testserver/tiny/L1?weights=raw", "evil.example", 200),
        ("GET", "http://evil.example/tiny/L1", "testserver", 421),
        ("GET", "http://me@testserver/tiny/L1", "testserver", 400),
        ("GET", "http:///tiny/L1", "testserver", 400),
        ("GET", "tiny/L1", "testserver", 400),
        ("GET", "*", "testserver", 400),
        ("OPTIONS", "*", "testserver", 405),
        ("CONNECT", "testserver:80", "testserver", 405),
        ("get", "/tiny/L1", "testserver", 405),
    ],
)
def test_a_target_is_a_path_or_a_whole_address_of_this_server(client, method, target, host, status):
    assert asked(client, method, target, {"Host": host}).status == status


def test_identical_batches_leave_nothing_behind(client):
    def held():
        gc.collect()
        return len(gc.get_objects())

    def go():
        for method, target, fields in batch(1, 150):
            asked(client, method, target, fields)

    go()
    go()
    before = held()
    go()
    go()
    assert held() <= before + 200, "a request each would be more"
    queue = client.app.state.resources.queue
    assert (queue.depth(), queue._errands, queue._failures) == (0, {}, {})
    assert [one for one in gc.get_objects() if type(one) is Errand] == []


@pytest.fixture(scope="module")
def server(run_server, tiny_data, tmp_path_factory):
    """One that may have few files open."""
    ignored = shutil.ignore_patterns("artifacts")
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("hardly") / "data", ignore=ignored)
    with run_server(data, "tiny", files=LEAST_FILES, wait_seconds=30) as server:
        until = time.monotonic() + 60
        while server.get("/tiny/L1/H2")[0] != 200:  # then the worker has its threads, and what it reads with
            assert time.monotonic() < until
        yield server


def test_bytes_that_are_hardly_requests(server):
    def go():
        for sent in RAW:
            for line in server.send(sent, quiet_seconds=0.15).split(b"\r\n"):
                if line.startswith(b"HTTP/1."):
                    assert int(line.split(b" ")[1]) < 500, sent[:100]
                assert not TRACES.search(line.decode("latin-1")), sent[:100]

    go()
    before = server.census()
    go()
    # What is kept stays; a thread that still ends a stalled request does not.
    deadline = time.monotonic() + 30
    while (after := server.census()) and (after.files > before.files or after.threads > before.threads):
        assert time.monotonic() < deadline, (before, after)
        time.sleep(0.2)
    assert server.get("/livez")[0] == 200
    assert "Traceback" not in server.log.read_text()


def test_more_idle_connections_than_there_may_be_open_files(server):
    logged = len(server.log.read_text())
    with ExitStack() as idle:
        for _ in range(2 * LEAST_FILES):
            idle.enter_context(server.connect())
        for path in ("/livez", "/readyz", "/tiny/L1/H2"):
            assert server.get(path)[0] == 200
    (line,) = server.log.read_text()[logged:].splitlines()
    assert line.endswith("as many as there may be: idle ones are closed.")


def test_a_request_is_not_kept(client):
    """The census would see it; this says it of the scope that all of a request hangs on."""
    scopes = []
    for target in ("/tiny/L1/H2", "/tiny/L9", "/tiny?" + "x" * 3_000, "/api/v1/tiny?weights=x"):
        asked(client, "GET", target, {}, seen=lambda scope: scopes.append(weakref.ref(scope)))
    gc.collect()
    assert [one() for one in scopes] == [None] * 4
