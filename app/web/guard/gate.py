"""Refusals before any route: of requests that are too long, for another host, with a body, or from another site.

Pure ASGI; a refusal is a page or JSON as for any other error. Knows no routes.
"""

from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from app.config import Settings
from app.web.http.errors import answer_error
from app.web.http.hosts import host_of, is_numeric, own_names

LONGEST_TARGET = 2_000
"""Bytes of path and query that every proxy and browser passes on."""
LARGEST_HEADERS = 16 * 1024
"""Bytes of all header fields, as other servers allow."""
LARGEST_BODY = 512 * 1024
"""Bytes of a body; more, or a body of unknown length, is refused. Only forms of prompts are read."""

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
"""Methods that some route takes, and those that would change something if one did: their origin is checked first."""


class Gate:
    """Middleware that refuses requests which no page of this server is meant for."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._names = own_names(settings)
        self._public = urlsplit(settings.public_url).netloc.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on unchanged, or answer it with a refusal."""
        refusal = self._find_refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await answer_error(Request(scope), refusal)(scope, receive, send)

    def _find_refusal(self, scope: Scope) -> HTTPException | None:
        headers = Headers(scope=scope)
        return (
            _refuse_oversize(scope)
            or _refuse_body(headers)
            or self._refuse_misdirected(headers)
            or _refuse_unknown(scope)
            or self._refuse_foreign(scope, headers)
        )

    def _refuse_misdirected(self, headers: Headers) -> HTTPException | None:
        header = headers.get("host")
        if not header:  # HTTP/1.0: no browser, so no DNS rebinding
            return None
        host = host_of(header)
        if host is None:
            return HTTPException(400, "The Host header of this request is neither a name nor an address.")
        if self._names is None or host in self._names or is_numeric(host):
            return None
        return HTTPException(
            421,
            "This server does not answer to that host name. Use the address that it printed when it started, or ask "
            "whoever runs it to add the name to SINGULAR_LENS_ALLOWED_HOSTS.",
        )

    def _refuse_foreign(self, scope: Scope, headers: Headers) -> HTTPException | None:
        if scope["method"] in {"GET", "HEAD"}:  # these change nothing
            return None
        own = {headers.get("host", "").lower(), self._public} - {""}
        origins = headers.getlist("origin")
        if not origins and headers.getlist("sec-fetch-site") != ["same-origin"]:
            # Programs are refused, too: a browser that was made to leave its Origin out looks the same.
            return HTTPException(
                403,
                "Only pages of this server may send this, and the request does not say in Origin which page it is from.",
            )
        if all(origin.lower().partition("://")[2] in own for origin in origins):
            return None
        return HTTPException(403, "Only pages of this server may send this: the request names another origin.")


def _refuse_oversize(scope: Scope) -> HTTPException | None:
    if len(scope["raw_path"]) + 1 + len(scope["query_string"]) > LONGEST_TARGET:
        return HTTPException(414, f"An address and its query have at most {LONGEST_TARGET:,} bytes together.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > LARGEST_HEADERS:
        return HTTPException(431, f"The header fields of a request have at most {LARGEST_HEADERS:,} bytes together.")
    return None


def _refuse_unknown(scope: Scope) -> HTTPException | None:
    if scope["method"] not in METHODS:
        return HTTPException(405)
    if not scope["path"].startswith("/"):
        return HTTPException(
            400, "The target of this request is no address: a path of this server begins with a slash."
        )
    return None


def _refuse_body(headers: Headers) -> HTTPException | None:
    length = headers.get("content-length", "0")
    bounded = length.isdecimal() and len(length) < 10 and int(length) <= LARGEST_BODY
    if bounded and "transfer-encoding" not in headers:
        return None
    # The connection is closed, so that the body is not read only to be thrown away.
    return HTTPException(
        413,
        f"The body of a request has at most {LARGEST_BODY:,} bytes here, of a length that it says.",
        {"Connection": "close"},
    )
