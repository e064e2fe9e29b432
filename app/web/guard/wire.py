"""HTTP/1.1 as uvicorn speaks it, with what it leaves open: refusals in sentences, an end to connections that stall, and
a bound on how many there are.

Knows no page: what arrives here as no request never reaches the app.
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.web.guard.crowd import IN_LINE, Crowd
from app.web.guard.gate import LARGEST_HEADERS, LONGEST_TARGET
from app.web.http.security import HEADERS
from app.web.http.targets import take_off_root

LARGEST_HEAD = 2 * LARGEST_HEADERS
"""Bytes of a request before its body that are kept to be looked at: more than the gate allows, so that it can answer."""
LOOK_SECONDS = 10.0
"""How often a connection is looked at: more than twice the time that uvicorn leaves one open between two requests."""
SENTENCES = {
    HTTPStatus.BAD_REQUEST: "This is no HTTP request that the server understands.",
    HTTPStatus.REQUEST_URI_TOO_LONG: f"An address and its query have at most {LONGEST_TARGET:,} bytes together.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        f"The header fields of a request have at most {LARGEST_HEADERS:,} bytes together."
    ),
}
CROWDED = "This server is answering as many visitors as it can. Please try again in a few seconds."


class Listener(uvicorn.Server):
    """A server with a bounded crowd, which tells the app of its end before it waits for answers: some would go on for hours."""

    def __init__(self, config: uvicorn.Config, crowd: Crowd, when_ending: Callable[[], None]) -> None:
        super().__init__(config)
        self.server_state = crowd
        self._crowd = crowd
        self._when_ending = when_ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take on connections, few in each turn of the loop, while the others wait in the system's line."""
        asyncio.get_running_loop().set_exception_handler(self._crowd.on_loop_error)
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(IN_LINE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing more on, and end."""
        self._when_ending()
        await super().shutdown(sockets)


class Wire(H11Protocol):
    """One connection."""

    server_state: Crowd
    _is_spare = False
    """Whether it is one too many, on which only probes are answered."""
    _heard: float
    """When it was made, or bytes came last, on the loop's clock."""
    _has_asked = False
    _seen: tuple[object, int] = (None, 0)
    """The request and the bytes still to be taken by the visitor, when the connection was last looked at."""
    _next_look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Find room for it, and begin to look at it."""
        super().connection_made(transport)
        self._heard = self.loop.time()
        self._whole_app, self.app = self.app, self._answer_if_room
        self._is_spare = self.server_state.admit(self)
        self._look_later()

    def data_received(self, data: bytes) -> None:
        """Note that it is in use."""
        self._heard, self._has_asked = self.loop.time(), True
        super().data_received(data)

    def idle_since(self) -> tuple[bool, float] | None:
        """Whether it has asked anything yet, and when it was last heard of; None while it is being answered."""
        being_answered = self.cycle is not None and not self.cycle.response_complete
        if being_answered or self.transport.get_write_buffer_size():
            return None
        return self._has_asked, self._heard

    def drop(self) -> None:
        """Close it at once."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep nothing of it."""
        super().connection_lost(exc)
        self._seen = (None, 0)
        self.app = self._whole_app
        if self._next_look is not None:
            self._next_look.cancel()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, in a sentence of ours."""
        status = self._refusal()
        body = SENTENCES[status].encode("ascii")
        fields: dict[str, Any] = HEADERS | {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
        if self.cycle is not None:
            self.cycle.disconnected = True  # whoever still answers the request has nobody to answer
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:  # else an answer is on its way already
            start = h11.Response(status_code=status, headers=list(fields.items()), reason=status.phrase.encode())
            for event in (start, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _refusal(self) -> HTTPStatus:
        """What is wrong with the bytes that h11 has just refused."""
        error = sys.exception()
        if not isinstance(error, h11.RemoteProtocolError) or error.error_status_hint != 431:
            return HTTPStatus.BAD_REQUEST
        # Too many bytes without an end: the first line is the address.
        if b"\n" in self.conn.trailing_data[0]:
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        return HTTPStatus.REQUEST_URI_TOO_LONG

    async def _answer_if_room(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask the app, unless it is making too many answers already; some are for visitors who have left."""
        crowded = self._is_spare or len(self.tasks) > self.server_state.most
        path = take_off_root(scope["path"], self.server_state.root)
        if crowded and path not in self.server_state.probes:
            await _refuse_crowded(path)(scope, receive, send)
        else:
            await self._whole_app(scope, receive, send)

    def _look_later(self) -> None:
        self._next_look = self.loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Drop the connection if nothing has moved since the last look, unless an answer is being made."""
        seen = (self.cycle, self.transport.get_write_buffer_size())
        being_made = self.cycle is not None and not self.cycle.response_complete and not seen[1]
        if seen == self._seen and not being_made:
            self.transport.abort()
        else:
            self._seen = seen
            self._look_later()


def _refuse_crowded(path: str) -> Response:
    fields = HEADERS | {"Retry-After": "5", "Cache-Control": "no-store", "Connection": "close"}
    if path.startswith("/api/"):
        return JSONResponse({"error": "busy", "status": 503, "detail": CROWDED}, 503, fields)
    return PlainTextResponse(CROWDED, 503, fields)
