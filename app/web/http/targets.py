"""The target of a request in its usual form: a path and a query, below the host that it is meant for, and below the path
that a proxy serves the app under. Pure ASGI.
"""

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

ABSOLUTE = re.compile(rb"https?://(?P<host>[^/?#]+)(?P<path>/.*)?", re.IGNORECASE)


def take_off_root(path: str, root: str) -> str:
    """The path as the app itself knows it, whether or not the proxy has left its own part on.

    Example: take_off_root("/lens/gpt2", "/lens") -> "/gpt2"; take_off_root("/lensgpt2", "/lens") -> "/lensgpt2"
    """
    if path == root:
        return "/"
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


class OriginForm:
    """Lets everything else know paths alone, though a request may name the whole address as it does to a proxy.

    The host is then the one in the address, whatever the Host header says (RFC 9112, 3.2.2).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request: passed on with its path, and the host that its target names."""
        if scope["type"] == "http" and (found := ABSOLUTE.fullmatch(scope["raw_path"])):
            path = found["path"] or b"/"
            others = [field for field in scope["headers"] if field[0] != b"host"]
            scope = dict(scope) | {
                "raw_path": path,
                "path": unquote(path.decode("ascii")),
                "headers": [(b"host", found["host"]), *others],
            }
        await self.app(scope, receive, send)
