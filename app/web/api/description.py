"""The API's description made from the code: routes, forms of their answers, sentences about fields, examples.

A server never imports this: it serves the copy in the file of `snapshot.py`.
"""

import ast
import inspect
from collections.abc import Iterator
from importlib.metadata import version
from types import GenericAlias
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from app.web.api import schema
from app.web.api.examples import EXAMPLES
from app.web.api.parts import FORM_REFERENCE


def describe(*routers: APIRouter) -> dict[str, Any]:
    """Make the OpenAPI document of these routes."""
    app = FastAPI(
        title="singular-lens",
        version=version("singular-lens"),
        description="Singular directions of transformer weights. Every page has a JSON twin below /api/v1.",
    )
    for router in routers:
        app.include_router(router)
    document = app.openapi()
    for route in _find_routes(*routers):
        # FastAPI would drop nulls from an example, so examples join its finished document.
        if route.name in EXAMPLES:
            good = document["paths"][route.path]["get"]["responses"]["200"]
            good["content"]["application/json"]["example"] = EXAMPLES[route.name]
    document["components"] = {"schemas": describe_forms()}
    return document


def describe_forms() -> dict[str, Any]:
    """Make the JSON schema of every form, by name, with the docstrings of its fields as descriptions."""
    said = _read_sentences()
    forms: Any = GenericAlias(tuple, tuple(getattr(schema, form) for form in said))  # each built once, in one schema
    found = TypeAdapter(forms).json_schema(ref_template=FORM_REFERENCE, mode="serialization")["$defs"]
    for form, sentences in said.items():
        for field, sentence in sentences.items():
            found[form]["properties"][field]["description"] = sentence
    return dict(sorted(found.items()))


def _find_routes(*routers: APIRouter) -> Iterator[APIRoute]:
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, APIRoute) and route.include_in_schema:
            yield route


def _read_sentences() -> dict[str, dict[str, str]]:
    """Read the docstring of every field: form -> field -> text, inherited ones included.

    Pydantic can find them, too, but would parse the file anew for each form.
    """
    found: dict[str, dict[str, str]] = {}
    for form in ast.parse(inspect.getsource(schema)).body:
        if not isinstance(form, ast.ClassDef):
            continue
        said: dict[str, str] = {}
        for base in form.bases:
            said |= found.get(ast.unparse(base), {})
        for field, below in zip(form.body, form.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    said[name] = inspect.cleandoc(text)
        found[form.name] = said
    return found
