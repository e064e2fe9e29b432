"""HEAD for every page and its JSON: GET's answer without the body. Pure ASGI."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Middleware that passes HEAD on as GET, so that routes know GET alone."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a HEAD on as GET, and send the headers of its answer with an empty body."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        ended = False

        async def send_headers(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.body":
                # A streamed answer, too, ends with its first piece.
                message.update(body=b"", more_body=False)
            if not ended:
                ended = message["type"] == "http.response.body"
                await send(message)

        await self.app(dict(scope) | {"method": "GET"}, receive, send_headers)
