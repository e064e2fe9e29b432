import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.explorer.errors import UnknownAddress
from app.web.http import streams
from app.web.http.streams import News, NewsStream, Streams

SCOPE = {"type": "http"}


class Visitor:
    """Whoever asked: what was sent, and when the visitor leaves."""

    def __init__(self):
        self.sent, self.left = [], asyncio.Event()

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    @property
    def has_whole_answer(self):
        return self.sent[-1]["type"] == "http.response.body" and not self.sent[-1]["more_body"]


def told(*texts):
    """A look that finds these one after the other, the last of them for good."""
    left = [News(text, is_last=False) for text in texts]
    return lambda: left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.01)


def run(work):
    # Not in this thread: the browser tests' library keeps a loop of its own there.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asyncio.wait_for(work, 30)).result()


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


def test_each_news_once_and_then_the_end():
    news = iter([News("a\nb", False), News("a\nb", False), News("c", False), News("d", True)])
    visitor = Visitor()

    async def work():
        await NewsStream(Streams(), lambda: next(news))(SCOPE, visitor.receive, visitor.send)

    run(work())
    assert visitor.body == "data: a\ndata: b\n\ndata: c\n\ndata: d\n\nevent: end\ndata: \n\n"
    assert visitor.has_whole_answer
    headers = dict(visitor.sent[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-store"
    assert b"content-length" not in headers


def test_what_is_gone_has_no_further_news():
    news = iter([News("a", False)])

    def look():
        for each in news:
            return each
        raise UnknownAddress("gone")

    visitor = Visitor()
    run(listen(visitor, look))
    assert visitor.body == "data: a\n\nevent: end\ndata: \n\n"


async def listen(visitor, look, own=None):
    await NewsStream(own or Streams(), look)(SCOPE, visitor.receive, visitor.send)


def test_a_stream_ends_at_once_with_its_visitor_and_with_the_server(monkeypatch):
    monkeypatch.setattr(streams, "LOOK_SECONDS", 600)

    async def work():
        own = Streams()
        first, second, late = Visitor(), Visitor(), Visitor()
        tasks = [asyncio.create_task(listen(visitor, told("a"), own)) for visitor in (first, second)]
        await until(lambda: first.body and second.body)
        first.left.set()
        await tasks[0]
        assert not tasks[1].done()
        own.close()
        await tasks[1]
        await listen(late, told("a"), own)
        assert "end" not in second.body  # so that the visitor comes back to the next server
        return [visitor.has_whole_answer for visitor in (first, second, late)]

    assert run(work()) == [True, True, True]


def test_one_too_many_is_told_the_news_and_to_come_back():
    async def work():
        own = Streams(most=1)
        first, second, third = Visitor(), Visitor(), Visitor()
        task = asyncio.create_task(listen(first, told("a"), own))
        await until(lambda: first.body)
        await listen(second, told("a"), own)
        assert second.body == "data: a\nretry: 5000\n\n"
        first.left.set()
        await task
        task = asyncio.create_task(listen(third, told("a", "b"), own))
        await until(lambda: "b" in third.body)
        third.left.set()
        await task

    run(work())


def test_silence_is_filled_so_that_no_proxy_takes_it_for_the_end(monkeypatch):
    monkeypatch.setattr(streams, "QUIET_SECONDS", 0.05)

    async def work():
        visitor = Visitor()
        task = asyncio.create_task(listen(visitor, told("a")))
        await until(lambda: visitor.body.count(": ping") == 2)
        visitor.left.set()
        await task
        return visitor.body

    assert run(work()).startswith("data: a\n\n: ping\n\n: ping\n\n")


def test_who_waits_holds_no_thread():
    """A hundred streams, and looks of a moment each by two threads."""

    async def work():
        own, visitors = Streams(most=100), [Visitor() for _ in range(100)]
        tasks = [asyncio.create_task(listen(visitor, told("a"), own)) for visitor in visitors]
        await until(lambda: all(visitor.body for visitor in visitors))
        assert own._lookers.total_tokens == streams.LOOK_THREADS
        begun = time.monotonic()
        own.close()
        await asyncio.gather(*tasks)
        assert (
            time.monotonic() - begun < 10
        )  # were threads waiting, 25: half a second for each of a hundred, two at a time

    run(work())


def test_an_unplanned_error_leaves_nothing_open():
    async def work():
        own, visitor, before = Streams(most=1), Visitor(), asyncio.all_tasks()
        with pytest.raises(ZeroDivisionError):
            await listen(visitor, lambda: News(str(1 // 0), False), own)
        assert own._n_open == 0
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    run(work())
