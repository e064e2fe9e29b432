import asyncio
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from app.web.http.threads import (
    answer_in_long_thread,
    answer_in_search_thread,
    make_pieces_in_long_thread,
    open_threads,
)

WAIT = 30


def run(work):
    # Not in this thread: the browser tests' library keeps a loop of its own there.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asyncio.wait_for(work, WAIT)).result()


async def get(app, path):
    sent = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    target = {"path": path, "raw_path": path.encode(), "query_string": b"", "headers": []}
    await app({"type": "http", "method": "GET", **target}, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture
def house():
    """An app with answers that last until they are let go, and a page."""
    app, go = FastAPI(), Event()

    @app.get("/long")
    @answer_in_long_thread
    def long(request: Request, name: str = "x") -> Response:
        assert go.wait(WAIT)
        return Response(f"long {name}")

    @app.get("/search")
    @answer_in_search_thread
    def search(request: Request) -> Response:
        assert go.wait(WAIT)
        return Response("found")

    @app.get("/stream")
    async def stream(request: Request) -> Response:
        def pieces():
            yield b"first "
            assert go.wait(WAIT)
            yield b"last"

        return StreamingResponse(make_pieces_in_long_thread(request, pieces()))

    @app.get("/page")
    def page() -> Response:
        return Response("page")

    app.state.go = go
    return app


def test_no_search_is_made_for_who_has_gone(house):
    made = []

    @house.get("/counted")
    @answer_in_search_thread
    def counted(request: Request) -> Response:
        made.append(request.query_params["n"])
        return Response()

    async def ask(n, gone):
        async def receive():
            await gone.wait()
            return {"type": "http.disconnect"}

        sent = []

        async def send(message):
            sent.append(message)

        target = {"path": "/counted", "raw_path": b"/counted", "query_string": f"n={n}".encode(), "headers": []}
        await house({"type": "http", "method": "GET", **target}, receive, send)

    async def work():
        house.state.threads = open_threads()
        first = asyncio.create_task(get(house, "/search"))
        while not house.state.threads.searches.borrowed_tokens:
            await asyncio.sleep(0.001)
        events = [asyncio.Event() for _ in range(4)]
        others = [asyncio.create_task(ask(n, event)) for n, event in enumerate(events)]
        while house.state.threads.searches.statistics().tasks_waiting < 4:
            await asyncio.sleep(0.001)
        for event in events[:3]:
            event.set()
        await asyncio.sleep(0.01)
        house.state.go.set()
        await asyncio.gather(first, *others)

    run(work())
    assert made == ["3"]


@pytest.mark.parametrize(("path", "whole"), [("/long", b"long x"), ("/stream", b"first last"), ("/search", b"found")])
def test_what_takes_long_stands_before_no_page(house, path, whole):
    async def work():
        house.state.threads = open_threads()
        answer = asyncio.create_task(get(house, path))
        for _ in range(3):
            assert await get(house, "/page") == (200, b"page")
        assert not answer.done()
        house.state.go.set()
        assert await answer == (200, whole)

    run(work())


def test_what_takes_long_and_a_search_do_not_wait_for_each_other(house):
    async def work():
        house.state.threads = open_threads()
        long = asyncio.create_task(get(house, "/long"))
        while not house.state.threads.long.borrowed_tokens:
            await asyncio.sleep(0.01)
        search = asyncio.create_task(get(house, "/search"))
        while not house.state.threads.searches.borrowed_tokens:
            await asyncio.sleep(0.01)
        assert not long.done()
        house.state.go.set()
        assert (await search, await long) == ((200, b"found"), (200, b"long x"))

    run(work())


def test_pages_are_made_one_at_a_time(house):
    at_once, most = [], []

    @house.get("/counted")
    def counted() -> Response:
        at_once.append(None)
        most.append(len(at_once))
        time.sleep(0.002)
        at_once.pop()
        return Response()

    async def work():
        house.state.threads = open_threads()
        await asyncio.gather(*(get(house, "/counted") for _ in range(50)))

    run(work())
    assert max(most) == 1
    assert len(most) == 50


def test_the_servers_products_are_made_in_one_thread():
    """Said once, in a process of its own: whoever says it first has the say."""
    code = """
import asyncio, numpy
from threadpoolctl import threadpool_info
from app.web.http.threads import open_threads
async def served(): open_threads()
asyncio.run(served())
print([one["num_threads"] for one in threadpool_info()])
"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
        == "[1]\n"
    )
