"""The canonical form of a request's target: path, weights and options that differ from their defaults.

Nothing else in target, query or htmx's headers changes an answer. Made once for each target, and remembered for some.
Knows routes by the parameters that they take, and no answer.
"""

from collections.abc import Hashable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote_plus, unquote_plus

from pydantic import BaseModel, ValidationError
from starlette.routing import BaseRoute
from starlette.types import Scope

from app.explorer.asking.places import find_model
from app.explorer.errors import ExplorerError
from app.explorer.resources import Resources
from app.web.http.embedding import EMBED, is_embedded
from app.web.http.patience import PatientRoute
from app.web.http.targets import find_route, take_off_root

API = "/api/v1"
UNQUOTED = "/~@,"
"""Characters that some links leave as they are in a query."""
MOST_REMEMBERED = 2_048
LONGEST_REMEMBERED = 256
"""Bytes of a remembered target; most links are shorter, and longer made-up ones take no room."""


class PageTarget(NamedTuple):
    """A page or its JSON twin, with those of its options that differ from the defaults."""

    path: str
    """The path below the root."""
    fingerprint: str
    """Fingerprint of the model's weights; empty where the answer belongs to no model."""
    options: tuple[tuple[str, Hashable], ...]
    has_parts: bool
    """True if htmx may ask for a part of it."""
    is_made_at_once: bool
    """False where the answer may be streamed piece by piece."""


class PageTargets:
    """Reads the targets of one server's requests, and remembers some of them."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: dict[tuple[str, bytes], PageTarget] = {}
        self._queries: dict[BaseRoute, type[BaseModel] | None] = {}

    def read(self, scope: Scope) -> PageTarget | None:
        """Read what the request asks for; None if that is no page of ours, or its model is not imported yet."""
        spelt: tuple[str, bytes] = scope["path"], scope["query_string"]
        target = self._known.get(spelt)
        if target is None:
            target = self._read(scope)
            if target is not None and len(spelt[0]) + len(spelt[1]) <= LONGEST_REMEMBERED:
                if len(self._known) >= MOST_REMEMBERED:
                    del self._known[next(iter(self._known))]
                self._known[spelt] = target
        return target

    def _read(self, scope: Scope) -> PageTarget | None:
        path = take_off_root(scope["path"], self._root)
        route = find_route(scope["app"].routes, path)
        if not isinstance(route, PatientRoute) or not _is_decided_by_query(route):
            return None
        said = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))  # the last of each name
        try:
            options = _read_options(route, said)
        except (ValidationError, ExplorerError):
            return None
        fingerprint = ""
        if "{" in route.path:
            resources: Resources = scope["app"].state.resources
            slug = path.removeprefix(f"{API}/").lstrip("/").partition("/")[0].partition("@")[0]
            model = find_model(resources, slug) if slug in resources.slugs else None
            if model is None:
                return None
            fingerprint = model.fingerprint
            if options.get("weights") == model.processing_shown_first(resources.default_weights):
                del options["weights"]
        if is_embedded(said):
            options[EMBED] = True
        is_file = "format" in options
        has_parts = not is_file and not path.startswith(f"{API}/")
        return PageTarget(path, fingerprint, tuple(sorted(options.items())), has_parts, is_made_at_once=not is_file)


def is_spelt_as_linked(target: PageTarget, query: bytes) -> bool:
    """Return whether a query is spelt as links spell it: each option once, if it differs from its default, and nothing else.

    Whatever else is written asks for the same answer, at any number of addresses.
    """
    said: dict[str, str] = {}
    for piece in query.decode("latin-1").split("&") if query else ():
        name, mark, raw = piece.partition("=")
        value = unquote_plus(raw)
        if not mark or name in said or raw not in {quote_plus(value), quote_plus(value, safe=UNQUOTED)}:
            return False
        said[name] = value
    options = dict(target.options)
    return said.keys() - {"weights"} == options.keys() - {"weights"} and all(
        said[name] == str(int(value) if isinstance(value, bool) else value)
        for name, value in options.items()
        if isinstance(value, str | int | float)
    )


def _is_decided_by_query(route: PatientRoute) -> bool:
    """Return whether everything that the route takes from the query is declared in pydantic forms."""
    return all(_form_of(field) is not None for field in route.dependant.query_params)


def _read_options(route: PatientRoute, said: dict[str, str]) -> dict[str, Any]:
    """Read the options that differ from their defaults; ValidationError or BadOption as the route itself raises it."""
    forms = (_form_of(field) for field in route.dependant.query_params)
    return {
        name: value
        for form in forms
        if form is not None
        for name, value in form.model_validate(said).model_dump(exclude_defaults=True).items()
    }


def _form_of(field: Any) -> type[BaseModel] | None:
    annotation = field.field_info.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
