"""The API's description made from the code: routes, the pages that they answer with, their docstrings, examples.

A server never imports this: it serves the copy in the file of `snapshot.py`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import is_dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from pkgutil import walk_packages
from types import GenericAlias, ModuleType
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from pydantic import ConfigDict, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import is_typeddict

from app.explorer import header, pages, serial
from app.web.api import parts
from app.web.api.parts import FORM_REFERENCE

EXAMPLES = Path(__file__).with_name("examples.json")
"""Answers of the demo model by the names of their routes, shortened; `docs/examples.py` records them."""

Schemas = dict[str, dict[str, Any]]


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
    examples = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    for route in _find_routes(*routers):
        # FastAPI would drop nulls from an example, so examples join its finished document.
        if route.name in examples:
            good = document["paths"][route.path]["get"]["responses"]["200"]
            good["content"]["application/json"]["example"] = examples[route.name]
    named = re.findall(FORM_REFERENCE.format(model=r"(\w+)"), json.dumps(document["paths"]))
    document["components"] = {"schemas": describe_forms(sorted(set(named)))}
    return document


def describe_forms(names: Iterable[str]) -> Schemas:
    """Make the JSON schemas of the answers of these names and of all that is in them, described by docstrings."""
    forms = _find_forms()
    for form in forms.values():
        # Only here: finding docstrings parses the file of each class, which no server should wait for.
        form.__pydantic_config__ = ConfigDict(use_attribute_docstrings=True)
    found = _make_schemas([forms[name] for name in names])
    bases = {base.__name__: base for name in found for base in _bases_of(forms[name]) if base.__name__ in forms}
    said = _make_schemas([*bases.values()]) if bases else {}
    for name, schema in found.items():
        _inherit_sentences(schema, [said[base.__name__] for base in _bases_of(forms[name]) if base.__name__ in said])
        for one in (schema, *schema["properties"].values()):
            one.pop("readOnly", None)  # no answer is ever sent back
            if "description" in one:
                one["description"] = _say_null(one["description"])
    return dict(sorted(found.items()))


def _make_schemas(forms: Sequence[Any]) -> Schemas:
    """Make the schemas of these forms and of all that is in them, each once."""
    every: Any = GenericAlias(tuple, tuple(forms))
    found: Schemas = TypeAdapter(every).json_schema(
        ref_template=FORM_REFERENCE, mode="serialization", schema_generator=AnswerSchema
    )["$defs"]
    return found


class AnswerSchema(GenerateJsonSchema):
    """The JSON schema of answers: they have every field, and no other."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Require each field: an answer has those with a default, too."""
        return True

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Describe a field with a default as one without."""
        return self.generate_inner(schema["schema"])

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        """Describe a page value."""
        return super().dataclass_schema(schema) | {"additionalProperties": False}

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        """Describe a value that is an object in JSON alone."""
        return super().typed_dict_schema(schema) | {"additionalProperties": False}


def _say_null(sentence: str) -> str:
    in_one_line = re.sub(r"(?<!\n)\n(?!\n)", " ", sentence)
    return re.sub(r"\bNone\b", "null", re.sub(r"(^|\. )None\b", r"\1Null", in_one_line))


def _find_routes(*routers: APIRouter) -> Iterator[APIRoute]:
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, APIRoute) and route.include_in_schema:
            yield route


def _find_forms() -> dict[str, Any]:
    """Find the classes that answers are made of: page values, and what is an object in JSON alone."""
    modules = [import_module(module.name) for module in walk_packages(pages.__path__, f"{pages.__name__}.")]
    own = (
        one for module in (header, serial, parts, *modules) for one in vars(module).values() if _is_made_in(module, one)
    )
    return {one.__name__: one for one in own if is_dataclass(one) or is_typeddict(one)}


def _is_made_in(module: ModuleType, one: object) -> bool:
    return isinstance(one, type) and one.__module__ == module.__name__


def _bases_of(form: Any) -> tuple[Any, ...]:
    return getattr(form, "__orig_bases__", ()) if is_typeddict(form) else form.__mro__[1:]


def _inherit_sentences(schema: dict[str, Any], bases: list[dict[str, Any]]) -> None:
    """Describe the fields that a form has from its bases as these do: pydantic reads a class's own docstrings only."""
    for base in bases:
        for name, field in base["properties"].items():
            if "description" in field:
                schema["properties"][name].setdefault("description", field["description"])
