"""Answers that go on: news as server-sent events, for as long as there are any and somebody listens.

Nobody's worker thread is held between two looks, a server has a bounded number of streams, and all end when it does.
Knows nothing of what the news are.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from anyio import CapacityLimiter, to_thread
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.types import Receive, Scope, Send

from app.explorer.errors import ExplorerError
from app.web.http.patience import left

MOST = 64
"""Streams at once; one more gets what is new now and is asked to come back, which is what it would do without a stream."""
LOOKERS = 2
"""Threads that look for news: their own, so that pages which wait for a computation do not silence the streams."""
LOOK_SECONDS = 0.5
QUIET_SECONDS = 15.0
"""After this time without news a comment is sent, so that no proxy takes the stream for dead."""
RETURN_SECONDS = 5.0


class News(NamedTuple):
    """What there is to be said now."""

    text: str
    is_last: bool
    """Nothing will follow."""


Look = Callable[[], News]


class Streams:
    """The streams of one server."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._n_open = 0
        self._closing = asyncio.Event()
        self._lookers = CapacityLimiter(LOOKERS)

    def close(self) -> None:
        """End all of them, and whatever begins from now on; in the server's own thread."""
        self._closing.set()

    def __enter__(self) -> bool:
        """One more is open; whether there is a place for it."""
        self._n_open += 1
        return self._n_open <= self._most

    def __exit__(self, *_: object) -> None:
        self._n_open -= 1

    async def closed(self) -> None:
        """Wait for the server's end."""
        await self._closing.wait()

    async def news(self, look: Look) -> News:
        """What a look finds; it may read files."""
        return await to_thread.run_sync(look, limiter=self._lookers)


class Live(EventSourceResponse):
    """One stream: unnamed events that are each the whole of what is new, and one named `end` where nothing follows."""

    def __init__(self, streams: Streams, look: Look) -> None:
        # X-Accel-Buffering: nginx would keep the first news until many have come.
        super().__init__((), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._streams, self._look = streams, look

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send news until the last, or until the visitor or the server has gone."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        ends = {asyncio.create_task(left(receive)), asyncio.create_task(self._streams.closed())}
        try:
            with self._streams as has_place:
                await self._tell(send, ends, has_place)
        finally:
            for end in ends:
                end.cancel()
        await send(_part(b"", more=False))

    async def _tell(self, send: Send, ends: "set[asyncio.Task[None]]", has_place: bool) -> None:
        told, told_at = "", time.monotonic()
        while not any(end.done() for end in ends):
            try:
                text, is_last = await self._streams.news(self._look)
            except ExplorerError:  # what there was news of is gone
                text, is_last = told, True
            if text != told:
                retry = None if has_place else round(1000 * RETURN_SECONDS)
                await send(_part(format_sse_event(data_str=text, retry=retry)))
                told, told_at = text, time.monotonic()
            elif time.monotonic() - told_at > QUIET_SECONDS:
                await send(_part(KEEPALIVE_COMMENT))
                told_at = time.monotonic()
            if is_last:
                await send(_part(format_sse_event(event="end", data_str="")))
            if is_last or not has_place:
                return
            await asyncio.wait(ends, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)


def _part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}
