"""Requests that wait until what they need is computed: on the event loop, a few at a time, without a thread.

The wait ends when the visitor disconnects. Knows no page, and nothing of what is computed.
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
from app.store.grounds import clear_grounds

Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class Patience:
    """Lets requests of one server wait, each for a time at most, and so many at once."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds, self._most = seconds, most
        self._n_waiting = 0

    async def answer(self, ask: Callable[[], Awaitable[Response]], receive: Receive) -> Response:
        """Ask until there is an answer, again after each computation that it needs; NotReady if that takes too long."""
        until = asyncio.get_running_loop().time() + self._seconds
        while True:
            try:
                return await ask()
            except NotReady as not_ready:
                if not not_ready.pending or self._n_waiting >= self._most:
                    raise
                self._n_waiting += 1
                try:
                    is_there = await _wait_for_all(not_ready.pending, until, receive)
                finally:
                    self._n_waiting -= 1
                if is_there is None:
                    return Response(status_code=204)  # the visitor has gone: make no page
                if not is_there:
                    raise


class PatientRoute(APIRoute):
    """A route whose GET may wait for a computation."""

    def get_route_handler(self) -> Answer:
        """Wrap the route's handler so that it waits as long as the server allows."""
        answer = super().get_route_handler()

        async def answer_in_time(request: Request) -> Response:
            if request.method != "GET":
                return await answer(request)

            def ask() -> Awaitable[Response]:
                clear_grounds()
                return answer(request)

            patience = cast("Patience", request.app.state.patience)
            return await patience.answer(ask, request.receive)

        return answer_in_time


async def wait_until_gone(receive: Receive) -> None:
    """Wait until the visitor has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _wait_for_all(pending: Collection["Future[Any]"], until: float, receive: Receive) -> bool | None:
    """Wait for all futures, until that time on the loop's clock; return if all are done, None if the visitor left."""
    waits, leaves = asyncio.create_task(_wait_for_each(pending)), asyncio.create_task(wait_until_gone(receive))
    try:
        seconds = until - asyncio.get_running_loop().time()
        await asyncio.wait({waits, leaves}, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        return None if leaves.done() else waits.done()
    finally:
        waits.cancel()
        leaves.cancel()


async def _wait_for_each(pending: Collection["Future[Any]"]) -> None:
    """Wait for each future. Not by `asyncio.wrap_future`: a visitor who leaves would cancel what others wait for."""
    loop = asyncio.get_running_loop()
    for future in pending:
        is_done = asyncio.Event()

        def tell(_: object, is_done: asyncio.Event = is_done) -> None:
            with suppress(RuntimeError):  # the loop has been closed: nobody waits
                loop.call_soon_threadsafe(is_done.set)

        future.add_done_callback(tell)
        await is_done.wait()
