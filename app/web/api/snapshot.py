"""The API's description as it is served: read from a file, since making it would add seconds to every start.

`make openapi` writes the file; a test compares it with the description that the code makes.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI

SNAPSHOT = Path(__file__).with_name("openapi.json")


def install_snapshot(app: FastAPI) -> None:
    """Let FastAPI serve the description from the file, with the proxy's path as its server."""
    app.openapi = read_snapshot  # type: ignore[method-assign]


@cache
def read_snapshot() -> dict[str, Any]:
    """Read the description, once."""
    document: dict[str, Any] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    return document
