"""The API's description as it is served: gathered beforehand into a file, since gathering it takes seconds of a start.

`make openapi` writes the file; a test compares it with what the code says.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI

SNAPSHOT = Path(__file__).with_name("openapi.json")


def install_snapshot(app: FastAPI) -> None:
    """Let the app describe itself by the file; FastAPI goes on to serve it, with the proxy's path as its server."""
    app.openapi = read_snapshot  # type: ignore[method-assign]


@cache
def read_snapshot() -> dict[str, Any]:
    """The description, read once."""
    document: dict[str, Any] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    return document
