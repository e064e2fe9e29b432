"""Declarations that the API's routes share: parameters of their paths, and descriptions of their answers and errors."""

from typing import Annotated, Any

from fastapi import Path
from typing_extensions import TypedDict

Slug = Annotated[str, Path(description="A model's name, or name@pin.", examples=["demo"])]
Layer = Annotated[str, Path(description="L0, L1 …", examples=["L5"])]
Head = Annotated[str, Path(description="H0, H1 …", examples=["H3"])]
Key = Annotated[str, Path(description="Sixteen digits that name a prompt.", examples=["0123456789abcdef"])]


class ErrorJson(TypedDict):
    """An answer that is an error."""

    error: str
    """A word for machines: not_ready, not_found, bad_option, busy, failed …"""
    status: int
    detail: str
    """A sentence for people: what is wrong, and what the valid range is."""


class ComingJson(ErrorJson):
    """A computation, or an import, that has not ended."""

    done: int
    """How much of it is done."""
    total: int
    """The total that `done` counts up to; 0 where nothing is counted."""


FORM_REFERENCE = "#/components/schemas/{model}"


def describe_answer(form: type, text: str) -> dict[str, Any]:
    """Describe an answer in OpenAPI, its form by name.

    By name alone: FastAPI would build any class that it is given as a model, for each route, at each start of a server.
    """
    reference = FORM_REFERENCE.format(model=form.__name__)
    return {"description": text, "content": {"application/json": {"schema": {"$ref": reference}}}}


FAULTS: dict[int | str, dict[str, Any]] = {
    status: describe_answer(ComingJson if status == 202 else ErrorJson, text)
    for status, text in {
        202: "Being computed; ask again in Retry-After seconds.",
        400: "A Host header that is none.",
        404: "Nothing of that name; `detail` has the valid range.",
        413: "A request with a body of more than 524,288 bytes, or of a length that it does not say.",
        414: "An address and query of more than 2,000 bytes.",
        421: "A host name that this server does not answer to.",
        422: "A query value out of its range.",
        431: "Header fields of more than 16 KiB.",
        503: "Too much to do, or this computation failed; ask again in Retry-After seconds.",
    }.items()
}


MOVED: dict[int | str, dict[str, Any]] = {
    307: {"description": "The matrix has this page under another name: follow Location."},
    308: {"description": "Another spelling of an address: follow Location."},
}


OF_PROMPTS: dict[int | str, dict[str, Any]] = {
    403: describe_answer(ErrorJson, "Prompts that this server does not run, or not for you."),
    429: describe_answer(ErrorJson, "As many prompts wait as may; ask again in Retry-After seconds."),
}
"""Further answers of routes that run a model."""


def describe_answers(form: type) -> dict[int | str, dict[str, Any]]:
    """Describe every answer of a route of the API; `form` is that of the successful one."""
    return {200: describe_answer(form, "Successful Response"), **MOVED, **FAULTS}
