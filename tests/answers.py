"""Answers of a server: asked for until they are there, and held against the description that the server hands out."""

import time
from functools import cache
from typing import Any

import jsonschema_rs

from app.web.api.snapshot import read_snapshot
from app.web.routes import ROUTERS


def ask(client: Any, path: str, **how: Any) -> Any:
    """Ask until there is an answer: on a busy machine one request may not be granted long enough."""
    deadline = time.monotonic() + 300
    while (answer := client.get(path, **how)).status_code == 202 and time.monotonic() < deadline:
        pass
    return answer


def check_answer(route: str, answer: Any) -> Any:
    """Return the answer of the route of this name; jsonschema_rs.ValidationError if it has not the described form."""
    _validator_of(route).validate(answer)
    return answer


def example_of(route: str) -> Any:
    """Return the described example of an answer of the route; None if it has none."""
    return _describe(route).get("example")


@cache
def _validator_of(route: str) -> jsonschema_rs.Validator:
    # The name of the form alone would do, but for its reference into the document's components.
    schema = {**_describe(route)["schema"], "components": read_snapshot()["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


@cache
def _describe(route: str) -> dict[str, Any]:
    (path, *_) = (
        one.path for router in ROUTERS for one in router.routes if one.name == route and one.include_in_schema
    )
    answer: dict[str, Any] = read_snapshot()["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    return answer
