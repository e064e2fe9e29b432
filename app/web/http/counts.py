"""Counts of what one server has answered since it started: plain numbers that its event loop alone changes.

Knows no visitor and no page. What never reached the app, such as bytes that are no HTTP, is not counted. Pure ASGI.
"""

import time
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


@dataclass(slots=True)
class Counts:
    """The counts of one server."""

    started: float = field(default_factory=time.monotonic)
    """When the server started, on the monotonic clock."""
    answers: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    """Answers by the class of their status, in the order of CLASSES."""
    open: int = 0
    """Requests that are being answered, event streams among them."""
    kept_hits: int = 0
    """Answers that were sent again as they had been kept."""
    kept_misses: int = 0
    """Answers of kinds that are kept, and that had to be made."""


class CountedAnswers:
    """Middleware that counts the answers of one server."""

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self.app, self._counts = app, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on unchanged, and count its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        counts = self._counts

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                counts.answers[message["status"] // 100 - 1] += 1
            await send(message)

        counts.open += 1
        try:
            await self.app(scope, receive, send_counted)
        finally:
            counts.open -= 1
