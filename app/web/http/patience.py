"""Requests that wait for what they need to be computed: on the event loop, a few at a time, without a thread.

A visitor who leaves waits no longer. Knows no page, and nothing of what is computed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive

from app.explorer.errors import NotReady

Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class Patience:
    """How long requests of one server wait, and how many at once."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds, self._most = seconds, most
        self._n_waiting = 0

    async def answer(self, ask: Callable[[], Awaitable[Response]], receive: Receive) -> Response:
        """What asking gives once it is there, asked again whenever something it needs is; NotReady if that takes long."""
        until = asyncio.get_running_loop().time() + self._seconds
        while True:
            try:
                return await ask()
            except NotReady as not_ready:
                if not not_ready.pending or self._n_waiting >= self._most:
                    raise
                self._n_waiting += 1
                try:
                    is_there = await _are_done(not_ready.pending, until, receive)
                finally:
                    self._n_waiting -= 1
                if is_there is None:
                    return Response(status_code=204)  # to nobody: no page is made
                if not is_there:
                    raise


class PatientRoute(APIRoute):
    """A route whose GET may wait."""

    def get_route_handler(self) -> Answer:
        """The route's answer, with the server's patience."""
        answer = super().get_route_handler()

        async def answer_in_time(request: Request) -> Response:
            if request.method != "GET":
                return await answer(request)
            patience = cast("Patience", request.app.state.patience)
            return await patience.answer(lambda: answer(request), request.receive)

        return answer_in_time


async def left(receive: Receive) -> None:
    """Wait until the visitor has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _are_done(pending: Collection["Future[Any]"], until: float, receive: Receive) -> bool | None:
    """Wait for all of these, until that time on the loop's clock; whether they are done, None if the visitor has gone."""
    waits, leaves = asyncio.create_task(_done(pending)), asyncio.create_task(left(receive))
    try:
        seconds = until - asyncio.get_running_loop().time()
        await asyncio.wait({waits, leaves}, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        return None if leaves.done() else waits.done()
    finally:
        waits.cancel()
        leaves.cancel()


async def _done(pending: Collection["Future[Any]"]) -> None:
    """Wait for each. Not by `asyncio.wrap_future`: whoever stops waiting would cancel what others wait for."""
    loop = asyncio.get_running_loop()
    for future in pending:
        is_done = asyncio.Event()

        def tell(_: object, is_done: asyncio.Event = is_done) -> None:
            with suppress(RuntimeError):  # the loop has been closed: nobody waits
                loop.call_soon_threadsafe(is_done.set)

        future.add_done_callback(tell)
        await is_done.wait()
