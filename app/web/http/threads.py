"""The threads that make answers: one for pages, one for searches, one for long work, one for probes.

So long work delays no page and no search, and none of them delays a probe. Knows no page.
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
from app.web.http.patience import wait_until_gone

P = ParamSpec("P")
T = TypeVar("T")

PAGE_THREADS = 1
"""Threads for pages. Python runs one at a time, and the more there are, the longer each, and a probe, waits."""


@dataclass(frozen=True)
class Threads:
    """The limiters of one server's threads, besides the default one for pages."""

    long: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    searches: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    """Searches run mostly outside of Python, so pages are made meanwhile."""
    probes: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))


def open_threads() -> Threads:
    """Limit the default threads, which make pages, and open the others; to be called in the server's event loop.

    BLAS gets one thread: several would wait for each other in loops, and cost more of the processors than they save of
    a page's milliseconds. Computations have a process of their own.
    """
    threadpool_limits(limits=1, user_api="blas")
    anyio.to_thread.current_default_thread_limiter().total_tokens = PAGE_THREADS
    return Threads()


def threads_of(request: Request) -> Threads:
    """Return the threads of the server that the request came to."""
    return cast("Threads", request.app.state.threads)


async def make_in_long_thread(request: Request, make: Callable[[], T]) -> T:
    """Call `make` in the thread for long work, then give its memory back to the system."""

    def make_and_tidy() -> T:
        try:
            return make()
        finally:
            give_back()

    return await anyio.to_thread.run_sync(make_and_tidy, limiter=threads_of(request).long)


def answer_in_long_thread(make: Callable[P, Response]) -> Callable[P, Coroutine[Any, Any, Response]]:
    """Decorate a route to make its answer in the thread for long work."""

    @wraps(make)
    async def answer(*given: P.args, **named: P.kwargs) -> Response:
        return await make_in_long_thread(cast("Request", named["request"]), partial(make, *given, **named))

    return answer


def answer_in_search_thread(make: Callable[P, Response]) -> Callable[P, Coroutine[Any, Any, Response]]:
    """Decorate a route to make its answer in the thread of searches, unless the visitor has left meanwhile."""

    @wraps(make)
    async def answer(*given: P.args, **named: P.kwargs) -> Response:
        request = cast("Request", named["request"])
        leaves = asyncio.create_task(wait_until_gone(request.receive))

        def make_for_somebody() -> Response:
            return Response(status_code=204) if leaves.done() else make(*given, **named)

        try:
            return await anyio.to_thread.run_sync(make_for_somebody, limiter=threads_of(request).searches)
        finally:
            leaves.cancel()

    return answer


async def make_pieces_in_long_thread(request: Request, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Make the pieces of a long answer, each in the thread for long work when it is sent."""
    while (piece := await make_in_long_thread(request, partial(next, pieces, None))) is not None:
        yield piece
