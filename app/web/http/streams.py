"""Server-sent events: news of something that changes, sent until it ends or the visitor leaves.

No thread is held between two looks for news, a server has a bounded number of streams, and all end when it does.
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
from app.web.http.patience import wait_until_gone

MOST_STREAMS = 64
"""Streams at once; one more gets the present news and is asked to come back, as it would poll without a stream."""
LOOK_THREADS = 2
"""Threads that look for news, apart from those of pages, which a computation may hold up."""
LOOK_SECONDS = 0.5
QUIET_SECONDS = 15.0
"""Seconds without news after which a comment is sent, so that no proxy takes the stream for dead."""
RETURN_SECONDS = 5.0


class News(NamedTuple):
    """One message of a stream."""

    text: str
    is_last: bool
    """True if nothing will follow."""


Look = Callable[[], News]


class Streams:
    """Counts the streams of one server, and ends them with it."""

    def __init__(self, most: int = MOST_STREAMS) -> None:
        self._most = most
        self._n_open = 0
        self._closing = asyncio.Event()
        self._lookers = CapacityLimiter(LOOK_THREADS)

    def close(self) -> None:
        """End all streams, and every one that begins from now on; to be called in the server's own thread."""
        self._closing.set()

    @property
    def n_open(self) -> int:
        """Count the streams that are open now."""
        return self._n_open

    def __enter__(self) -> bool:
        """Count one more stream; return whether there is a place for it."""
        self._n_open += 1
        return self._n_open <= self._most

    def __exit__(self, *_: object) -> None:
        self._n_open -= 1

    async def wait_closed(self) -> None:
        """Wait until the server ends."""
        await self._closing.wait()

    async def look(self, look: Look) -> News:
        """Look for news in a thread, since a look may read files."""
        return await to_thread.run_sync(look, limiter=self._lookers)


class NewsStream(EventSourceResponse):
    """One event stream: unnamed events that each hold the whole news, and one named `end` where nothing follows."""

    def __init__(
        self, streams: Streams, look: Look, every: float = LOOK_SECONDS, leave: Callable[[], None] = lambda: None
    ) -> None:
        """`every`: seconds between two looks; `leave`: called once the stream has ended, whoever ended it."""
        # X-Accel-Buffering: nginx would keep the first news until many have come.
        super().__init__((), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._streams, self._look, self._every, self._leave = streams, look, every, leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send news until the last, or until the visitor or the server has gone."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        ends = {asyncio.create_task(wait_until_gone(receive)), asyncio.create_task(self._streams.wait_closed())}
        try:
            with self._streams as has_place:
                await self._send_news(send, ends, has_place)
        finally:
            for end in ends:
                end.cancel()
            self._leave()
        await send(_body_message(b"", more=False))

    async def _send_news(self, send: Send, ends: "set[asyncio.Task[None]]", has_place: bool) -> None:
        told, told_at = "", time.monotonic()
        while not any(end.done() for end in ends):
            try:
                text, is_last = await self._streams.look(self._look)
            except ExplorerError:  # the job that the news were of is gone
                text, is_last = told, True
            if text != told:
                retry = None if has_place else round(1000 * RETURN_SECONDS)
                await send(_body_message(format_sse_event(data_str=text, retry=retry)))
                told, told_at = text, time.monotonic()
            elif time.monotonic() - told_at > QUIET_SECONDS:
                await send(_body_message(KEEPALIVE_COMMENT))
                told_at = time.monotonic()
            if is_last:
                await send(_body_message(format_sse_event(event="end", data_str="")))
            if is_last or not has_place:
                return
            await asyncio.wait(ends, timeout=self._every, return_when=asyncio.FIRST_COMPLETED)


def _body_message(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}
