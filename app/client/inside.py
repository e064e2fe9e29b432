"""A server inside this process: requests go to the app without a network, its workers are processes of their own.

The one file of the client that knows the rest of the package, and imports it when a data folder is opened.
"""

import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from .errors import LensError

if TYPE_CHECKING:
    from fastapi import FastAPI

BASE = "http://127.0.0.1:8000"
"""What links begin with: they open where somebody serves the same folder."""


class InProcess(httpx.BaseTransport):
    """A transport to an app that runs in a thread of this process, from now until it is closed."""

    def __init__(self, app: "FastAPI") -> None:
        from anyio.from_thread import start_blocking_portal

        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            stack.enter_context(self._portal.wrap_async_context_manager(app.router.lifespan_context(app)))
            # At the end of the process, too: no worker outlives it.
            self._end = weakref.finalize(self, stack.pop_all().close)
        self._app = httpx.ASGITransport(app, raise_app_exceptions=False, client=("127.0.0.1", 0))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the app, and wait for its answer."""
        request.headers["Accept-Encoding"] = "identity"  # nothing is sent anywhere
        request.read()
        return self._portal.call(self._answer, request)

    def close(self) -> None:
        """End the app and its workers."""
        self._end()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._app.handle_async_request(request)
        content = b"".join([part async for part in answer.aiter_raw()])
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)


def open_folder(data: str | Path, models: Sequence[str] = ()) -> InProcess:
    """Serve the models of a data folder, or those that are named, which are imported where they are missing.

    Nothing is computed but what is asked for. LensError where there is no such folder, or no model in it; ImportError
    where this is the client alone.
    """
    try:
        from app.config import Settings
        from app.models.catalog import Catalog
        from app.server import create_app
    except ImportError as error:
        raise ImportError(
            f"a data folder needs the package singular-lens itself, not its client alone: {error}"
        ) from None
    folder = Path(data).expanduser()
    named = tuple(models) or tuple(Catalog(folder).names())
    if not named:
        raise LensError(f"There is no model in {folder}: singular-lens import demo --data {folder} puts one there.")
    try:
        chosen = Settings(
            data=folder,
            models=named,
            host="127.0.0.1",
            public_url="",
            root_path="",
            prompts="local",
            generation="local",
            precompute=False,
        )
        return InProcess(create_app(chosen))
    except (ValueError, OSError) as error:
        raise LensError(f"{folder} cannot be served: {error}") from error
