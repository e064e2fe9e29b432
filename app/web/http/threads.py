"""In which thread an answer is made: one makes all pages, one searches, one does whatever takes long, one looks for probes.

What takes long then stands before no page and no search, and none of them before a probe. Knows no page.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar, cast

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Request, Response
from threadpoolctl import threadpool_limits

from app.models.memory import give_back
from app.web.http.patience import left

P = ParamSpec("P")
T = TypeVar("T")

PAGES = 1
"""Python runs one thread at a time, and the more there are, the longer each, and a probe, waits for its turn."""


@dataclass(frozen=True)
class Threads:
    """Of one server."""

    long: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    searches: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    """Mostly outside of Python: pages are made meanwhile."""
    probes: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))


def open_threads() -> Threads:
    """Bound the thread of pages, which is the usual one of all routes; in the server's loop.

    Products and factorizations are made in the thread that asks for them: several for one would wait for each other in loops,
    and take more of the processors than they save of a page's milliseconds. What computes has a process of its own.
    """
    threadpool_limits(limits=1, user_api="blas")
    anyio.to_thread.current_default_thread_limiter().total_tokens = PAGES
    return Threads()


def threads_of(request: Request) -> Threads:
    """Those of the server that the request came to."""
    return cast("Threads", request.app.state.threads)


async def make_aside(request: Request, make: Callable[[], T]) -> T:
    """What `make` gives, in the thread for what takes long; what that took of memory is the system's again."""

    def make_and_tidy() -> T:
        try:
            return make()
        finally:
            give_back()

    return await anyio.to_thread.run_sync(make_and_tidy, limiter=threads_of(request).long)


def aside(make: Callable[P, Response]) -> Callable[P, Coroutine[Any, Any, Response]]:
    """Make a route's answer in the thread for what takes long."""

    @wraps(make)
    async def answer(*given: P.args, **named: P.kwargs) -> Response:
        return await make_aside(cast("Request", named["request"]), partial(make, *given, **named))

    return answer


def searching(make: Callable[P, Response]) -> Callable[P, Coroutine[Any, Any, Response]]:
    """Make a route's answer in the thread of searches, unless the visitor has gone while others' were made."""

    @wraps(make)
    async def answer(*given: P.args, **named: P.kwargs) -> Response:
        request = cast("Request", named["request"])
        leaves = asyncio.create_task(left(request.receive))

        def make_for_somebody() -> Response:
            return Response(status_code=204) if leaves.done() else make(*given, **named)

        try:
            return await anyio.to_thread.run_sync(make_for_somebody, limiter=threads_of(request).searches)
        finally:
            leaves.cancel()

    return answer


async def taken_aside(request: Request, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a long answer, each made in that thread when it is sent."""
    while (piece := await make_aside(request, partial(next, pieces, None))) is not None:
        yield piece
