"""What a request asks for, in one spelling: whatever else its target, its query and htmx's headers say changes no answer.

Made once for each target that comes, and remembered for some. Knows routes by what they take, and no answer.
"""

from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from app.explorer.asking.places import here
from app.explorer.errors import ExplorerError
from app.explorer.resources import Resources
from app.web.http.patience import PatientRoute
from app.web.http.targets import take_off_root

API = "/api/v1"
MOST_REMEMBERED = 2_048
LONGEST_REMEMBERED = 256
"""Bytes of a target; most links are shorter, and whoever makes up longer ones takes no room."""


class PageTarget(NamedTuple):
    """A page or its JSON, and what of its options is not as it would be without being said."""

    path: str
    """Without the root."""
    fingerprint: str
    """Of the model's weights; empty where the answer is of no model."""
    options: tuple[tuple[str, Hashable], ...]
    has_parts: bool
    """Whether htmx may ask for less than the whole."""
    is_made_at_once: bool
    """Not, perhaps, piece by piece as it is sent."""


class PageTargets:
    """The targets of one server."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: dict[tuple[str, bytes], PageTarget] = {}
        self._queries: dict[BaseRoute, type[BaseModel] | None] = {}

    def read(self, scope: Scope) -> PageTarget | None:
        """What the request asks for; None where that is no page of ours, or one that is not here yet."""
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
        route = _route_of(scope["app"].routes, path)
        if not isinstance(route, PatientRoute) or not _is_decided_by_query(route):
            return None
        said = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))  # the last of each name
        try:
            options = _options(route, said)
        except (ValidationError, ExplorerError):
            return None
        fingerprint = ""
        if "{" in route.path:
            resources: Resources = scope["app"].state.resources
            slug = path.removeprefix(API).split("/")[1].partition("@")[0]
            model = here(resources, slug) if slug in resources.slugs else None
            if model is None:
                return None
            fingerprint = model.fingerprint
            if options.get("weights") == model.shown_first(resources.default_weights):
                del options["weights"]
        is_file = "format" in options
        has_parts = not is_file and not path.startswith(f"{API}/")
        return PageTarget(path, fingerprint, tuple(sorted(options.items())), has_parts, is_made_at_once=not is_file)


def _route_of(routes: Iterable[BaseRoute], path: str) -> BaseRoute | None:
    """The first route that takes such a path."""
    scope = {"type": "http", "method": "GET", "path": path, "root_path": ""}
    return next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)


def _is_decided_by_query(route: PatientRoute) -> bool:
    """Whether all that the route's answer takes from the query stands in one form."""
    return all(_form(field) is not None for field in route.dependant.query_params)


def _options(route: PatientRoute, said: dict[str, str]) -> dict[str, Any]:
    """What differs from the defaults; ValidationError or BadOption as the route itself says them."""
    forms = (_form(field) for field in route.dependant.query_params)
    return {
        name: value
        for form in forms
        if form is not None
        for name, value in form.model_validate(said).model_dump(exclude_defaults=True).items()
    }


def _form(field: Any) -> type[BaseModel] | None:
    annotation = field.field_info.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
