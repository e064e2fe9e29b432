"""HTTP/1.1 as uvicorn speaks it, with what it leaves open: refusals in sentences, and an end to connections that stall.

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
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.web.gate import LARGEST_HEADERS, LONGEST_TARGET
from app.web.security import HEADERS

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


class Listener(uvicorn.Server):
    """A server that tells the app of its end before it waits for answers: some would go on for hours."""

    def __init__(self, config: uvicorn.Config, when_ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_ending = when_ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing more on, and end."""
        self._when_ending()
        await super().shutdown(sockets)


class Wire(H11Protocol):
    """One connection."""

    _seen: tuple[object, int] = (None, 0)
    """The request and the bytes still to be taken by the visitor, when the connection was last looked at."""
    _next_look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look at it."""
        super().connection_made(transport)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep nothing of it."""
        super().connection_lost(exc)
        self._seen = (None, 0)
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
