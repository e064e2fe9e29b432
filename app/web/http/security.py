"""Security headers of every answer, and the path under which a proxy serves the app.

Pure ASGI. Token strings are hostile input: should one ever get past the escaping, the policy lets it run nothing.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",  # a figure on its way to a PNG, drawn by the page's own script
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
FRAMED_BY_NONE = "frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def allow_frames(sources: str) -> dict[str, str]:
    """Return the header of a page that these sites may show in a frame; else as of all pages."""
    return {"Content-Security-Policy": POLICY.replace(FRAMED_BY_NONE, f"frame-ancestors {sources}")}


class SecureHeaders:
    """Middleware that adds the security headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add the headers to its answer."""

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    given.setdefault(name, value)  # a page that may be framed says so itself
            await send(message)

        await self.app(scope, receive, send_secured if scope["type"] == "http" else send)


class RootPath:
    """Middleware that serves the app below a path, whether or not the proxy strips it."""

    def __init__(self, app: ASGIApp, root: str) -> None:
        self.app, self.root = app, root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its whole path, as if the proxy had stripped nothing."""
        if scope["type"] == "http" and self.root:
            path = scope["path"]
            if path == self.root:
                path += "/"
            elif not path.startswith(f"{self.root}/"):
                path = self.root + path
            scope = dict(scope) | {"root_path": self.root, "path": path}
        await self.app(scope, receive, send)
