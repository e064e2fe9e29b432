import asyncio
from concurrent.futures import Future, ThreadPoolExecutor

import anyio.to_thread
import pytest
from fastapi import APIRouter, FastAPI, Response

from app.explorer.errors import NotReady
from app.web.http.patience import Patience, PatientRoute

LONG = 60.0


class Visitor:
    """Whoever asked, and when the visitor leaves."""

    def __init__(self):
        self.left = asyncio.Event()

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}


def run(work):
    # Not in this thread: the browser tests' library keeps a loop of its own there.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asyncio.wait_for(work, 30)).result()


def asking(*futures):
    """Asks for a page that needs all of these; how often is in `.times`."""

    async def ask():
        ask.times += 1
        if missing := tuple(future for future in futures if not future.done()):
            raise NotReady("Reading", pending=missing)
        return Response("read")

    ask.times = 0
    return ask


async def turns(n=20):
    """Let everything else have its turn."""
    for _ in range(n):
        await asyncio.sleep(0)


async def is_heard(future):
    while not future._done_callbacks:
        await asyncio.sleep(0)


def test_an_answer_waits_for_all_that_it_needs():
    async def work():
        first, second = Future(), Future()
        ask = asking(first, second)
        answer = asyncio.create_task(Patience(LONG, 1).answer(ask, Visitor().receive))
        await is_heard(first)
        first.set_result(None)
        await is_heard(second)
        assert not answer.done()
        second.set_exception(ValueError("what went wrong is said by who asks again"))
        assert (await answer).body == b"read"
        assert ask.times == 2

    run(work())


def test_what_is_needed_next_is_waited_for_too():
    async def work():
        first, second = Future(), Future()

        async def ask():
            for future in (first, second):  # the second is not known before the first is there
                if not future.done():
                    raise NotReady("Reading", pending=(future,))
            return Response("read")

        answer = asyncio.create_task(Patience(LONG, 1).answer(ask, Visitor().receive))
        await is_heard(first)
        first.set_result(None)
        await is_heard(second)
        second.set_result(None)
        assert (await answer).body == b"read"

    run(work())


@pytest.mark.parametrize(("seconds", "most"), [(0.0, 8), (LONG, 0)])
def test_without_time_or_place_nobody_waits(seconds, most):
    async def work():
        with pytest.raises(NotReady, match="Reading"):
            await Patience(seconds, most).answer(asking(Future()), Visitor().receive)

    run(work())


def test_nobody_waits_for_what_cannot_be_waited_for():
    async def ask():
        raise NotReady("A job reads every matrix")

    async def work():
        with pytest.raises(NotReady, match="A job"):
            await Patience(LONG, 8).answer(ask, Visitor().receive)

    run(work())


def test_only_so_many_wait_and_a_place_is_given_back():
    async def work():
        patience, future = Patience(LONG, 1), Future()
        first = asyncio.create_task(patience.answer(asking(future), Visitor().receive))
        await is_heard(future)
        with pytest.raises(NotReady):
            await patience.answer(asking(Future()), Visitor().receive)
        future.set_result(None)
        await first
        other = Future()
        second = asyncio.create_task(patience.answer(asking(other), Visitor().receive))
        await is_heard(other)
        other.set_result(None)
        assert (await second).body == b"read"

    run(work())


def test_who_leaves_waits_no_longer_and_takes_nothing_from_the_others():
    async def work():
        patience, future = Patience(LONG, 2), Future()
        leaving, staying = Visitor(), Visitor()
        left, stayed = asking(future), asking(future)
        answers = [
            asyncio.create_task(patience.answer(ask, visitor.receive))
            for ask, visitor in ((left, leaving), (stayed, staying))
        ]
        await is_heard(future)
        await turns()
        leaving.left.set()
        assert (await answers[0]).body == b""
        assert left.times == 1
        assert not future.cancelled()
        future.set_result(None)
        assert (await answers[1]).body == b"read"

    run(work())


def test_a_request_that_waits_holds_no_thread():
    router, future = APIRouter(route_class=PatientRoute), Future()

    @router.get("/slow")
    def slow():
        if not future.done():
            raise NotReady("Reading", pending=(future,))
        return "read"

    @router.get("/short")
    def short():
        return "short"

    app = FastAPI()
    app.state.patience = Patience(LONG, 1)
    app.include_router(router)

    async def get(path):
        sent = []

        async def send(message):
            sent.append(message)

        path_only = {"path": path, "raw_path": path.encode(), "query_string": b"", "headers": []}
        await app({"type": "http", "method": "GET", **path_only}, Visitor().receive, send)
        return sent[0]["status"], sent[1]["body"]

    async def work():
        anyio.to_thread.current_default_thread_limiter().total_tokens = 1
        waiting = asyncio.create_task(get("/slow"))
        await is_heard(future)
        assert await get("/short") == (200, b'"short"')
        assert not waiting.done()
        future.set_result(None)
        assert await waiting == (200, b'"read"')

    run(work())
