"""Request targets in origin form: absolute targets become host and path, without the proxy's root. Pure ASGI."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

ABSOLUTE = re.compile(rb"https?://(?P<host>[^/?#]+)(?P<path>/.*)?", re.IGNORECASE)


def take_off_root(path: str, root: str) -> str:
    """Strip the proxy's root from a path, if it is there.

    Example: take_off_root("/lens/gpt2", "/lens") -> "/gpt2"; take_off_root("/lensgpt2", "/lens") -> "/lensgpt2"
    """
    if path == root:
        return "/"
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def find_route(routes: Iterable[BaseRoute], path: str) -> BaseRoute | None:
    """Find the first route that answers a GET of the path below the root; None if no route does."""
    scope = {"type": "http", "method": "GET", "path": path, "root_path": ""}
    return next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)


class OriginForm:
    """Middleware that turns an absolute request target, as sent to a proxy, into a path.

    The host is then the one in the target, whatever the Host header says (RFC 9112, 3.2.2).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with the path and the host of its target."""
        if scope["type"] == "http" and (found := ABSOLUTE.fullmatch(scope["raw_path"])):
            path = found["path"] or b"/"
            others = [field for field in scope["headers"] if field[0] != b"host"]
            scope = dict(scope) | {
                "raw_path": path,
                "path": unquote(path.decode("ascii")),
                "headers": [(b"host", found["host"]), *others],
            }
        await self.app(scope, receive, send)
