"""HEAD for every page and every JSON: what GET would answer, without its body. Pure ASGI."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Lets the routes know GET alone."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request: a HEAD goes in as GET and comes out empty, its headers as they were."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        ended = False

        async def send_headers(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.body":
                # An answer that goes on has nothing more for this visitor either.
                message.update(body=b"", more_body=False)
            if not ended:
                ended = message["type"] == "http.response.body"
                await send(message)

        await self.app(dict(scope) | {"method": "GET"}, receive, send_headers)
