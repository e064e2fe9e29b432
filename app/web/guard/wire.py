"""uvicorn's HTTP/1.1 with refusals in sentences, an end to connections that stall, and a limit on their number.

Knows no page: bytes that are no HTTP request never reach the app.
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

from app.web.guard.crowd import BACKLOG, Crowd
from app.web.guard.gate import LARGEST_HEADERS, LONGEST_TARGET
from app.web.http.security import HEADERS
from app.web.http.targets import take_off_root

LARGEST_HEAD = 2 * LARGEST_HEADERS
"""Bytes of a request before its body that h11 reads: more than the gate allows, so that the gate can answer."""
LOOK_SECONDS = 10.0
"""Seconds between two looks at a connection: over twice the time that uvicorn leaves one open between requests."""
SENTENCES = {
    HTTPStatus.BAD_REQUEST: "This is no HTTP request that the server understands.",
    HTTPStatus.REQUEST_URI_TOO_LONG: f"An address and its query have at most {LONGEST_TARGET:,} bytes together.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        f"The header fields of a request have at most {LARGEST_HEADERS:,} bytes together."
    ),
}
CROWDED = "This server is answering as many visitors as it can. Please try again in a few seconds."


class Listener(uvicorn.Server):
    """A server with limited connections that tells the app of its end before it waits for answers: some are endless."""

    def __init__(self, config: uvicorn.Config, crowd: Crowd, when_ending: Callable[[], None]) -> None:
        super().__init__(config)
        self.server_state = crowd
        self._crowd = crowd
        self._when_ending = when_ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, few in each turn of the loop, while the others wait in the socket's backlog."""
        asyncio.get_running_loop().set_exception_handler(self._crowd.on_loop_error)
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(BACKLOG)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the app, accept nothing more, and end."""
        self._when_ending()
        await super().shutdown(sockets)


class Wire(H11Protocol):
    """One HTTP/1.1 connection."""

    server_state: Crowd
    _is_spare = False
    """True if it is beyond the limit, so that only probes are answered on it."""
    _heard: float
    """When it was opened, or bytes came last, on the loop's clock."""
    _has_asked = False
    _seen: tuple[object, int] = (None, 0)
    """The request and the number of unsent bytes at the last look."""
    _next_look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for the connection, and begin to watch it."""
        super().connection_made(transport)
        self._heard = self.loop.time()
        self._whole_app, self.app = self.app, self._answer_if_room
        self._is_spare = self.server_state.admit(self)
        self._look_later()

    def data_received(self, data: bytes) -> None:
        """Note that the connection is in use, and handle the bytes."""
        self._heard, self._has_asked = self.loop.time(), True
        super().data_received(data)

    def idle_since(self) -> tuple[bool, float] | None:
        """Return whether it has sent a request yet, and when it was last heard of; None while it is being answered."""
        being_answered = self.cycle is not None and not self.cycle.response_complete
        if being_answered or self.transport.get_write_buffer_size():
            return None
        return self._has_asked, self._heard

    def drop(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._seen = (None, 0)
        self.app = self._whole_app
        if self._next_look is not None:
            self._next_look.cancel()

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are no request, in a sentence of ours."""
        status = self._find_status()
        body = SENTENCES[status].encode("ascii")
        fields: dict[str, Any] = HEADERS | {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
        if self.cycle is not None:
            self.cycle.disconnected = True  # a page that is still being made has no reader left
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:  # otherwise an answer is on its way already
            start = h11.Response(status_code=status, headers=list(fields.items()), reason=status.phrase.encode())
            for event in (start, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _find_status(self) -> HTTPStatus:
        """Name what is wrong with the bytes that h11 has just refused."""
        error = sys.exception()
        if not isinstance(error, h11.RemoteProtocolError) or error.error_status_hint != 431:
            return HTTPStatus.BAD_REQUEST
        # h11 gave up before the end of the headers: without a line break, still inside the address.
        if b"\n" in self.conn.trailing_data[0]:
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        return HTTPStatus.REQUEST_URI_TOO_LONG

    async def _answer_if_room(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless too many answers are being made already, some for visitors who have left."""
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
