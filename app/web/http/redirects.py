"""Where a path leads that somebody typed, or copied out of a sentence: to the one spelling that the page has.

Capitals, a last slash, and the bracket, dot or quote behind a link are forgiven, since nothing else can be meant by them.
`L05` is not: an address has one spelling, and that is none. Nothing leads to another host, or to what is not there.
"""

import re
from typing import NamedTuple, cast
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from starlette.routing import BaseRoute, Match

from app.core.address import Address, AddressError, parse
from app.explorer.asking.places import located
from app.explorer.errors import ComputationFailed, NotReady, UnknownAddress
from app.explorer.visits import jobs
from app.web.http.site import resources_of, urls_of

API = "/api/v1"
BEHIND_A_LINK = "/.,;:)]}>\"'`’”»…!*_| "
BEHIND_A_QUERY = re.compile(
    rf"(?:{'|'.join(re.escape(each) for c in BEHIND_A_LINK for each in {c, quote(c, safe='')})})+$"
)
"""The same, as a browser sends them there."""
PLAIN_VALUE = re.compile(r"=[A-Za-z0-9,.-]+$")
"""What is left of a query that may be taken then; of anything else its own refusal says more."""
NUMBERED = re.compile("[lh][0-9]+")
LONGEST = 200
"""Characters of a path that is looked at; no address has more."""


class Spot(NamedTuple):
    """What a path names."""

    address: Address | None
    """The place in a model; None for the app's own pages."""
    under: str = ""
    """The page of that place that no address is, such as `census`."""


def spell_path(path: str) -> str:
    """The spelling that a path of this app has, if it is one.

    Example: spell_path("/SmolLM2/l5/h3/OV/svd/12).") -> "/smollm2/L5/H3/ov/svd/12"
    """
    typed, path = path, path.rstrip(BEHIND_A_LINK).lower()
    api = API if f"{path}/".startswith(f"{API}/") else ""
    if api == path and typed.lower().removeprefix(api).strip("/)."):
        return typed  # a model's name that is nothing but signs is no list of models
    first, *rest = path.removeprefix(api).removeprefix("/").split("/")
    parts = (part.upper() if NUMBERED.fullmatch(part) else part for part in rest)
    return f"{api}/{'/'.join([first, *parts])}"


def find_spot(request: Request, path: str) -> Spot:
    """What the path, without the root, names; AddressError or UnknownAddress if that is nothing here.

    NotReady and ComputationFailed for a place of a model whose files are not there yet, or no longer.
    """
    form, found = _route_of(request, path)
    if "/-/jobs/" in form:
        (id_,) = found.values()
        jobs.job(resources_of(request), id_)
    spot = read_spot(request, path)
    if spot.address is not None:
        located(resources_of(request), spot.address)
    return spot


def read_spot(request: Request, path: str) -> Spot:
    """What the path names by its form alone, there or not; AddressError if no page has such a path."""
    form, found = _route_of(request, path)
    if not found or "/-/jobs/" in form:
        return Spot(None)
    text = path.removeprefix(API).removeprefix("/")
    try:
        return Spot(parse(text))
    except AddressError:
        last = form.rpartition("/{id}")[0].rpartition("/")[2] if form.endswith("/{id}") else form.rpartition("/")[2]
        above, between, under = text.rpartition(f"/{last}")
        if not between or last.startswith("{"):
            raise
        return Spot(parse(above), f"{last}{under}")


def _route_of(request: Request, path: str) -> tuple[str, dict[str, str]]:
    """The form of the first route that takes such a path, and what stands in its places; AddressError if none does."""
    scope = {"type": "http", "method": "GET", "path": path, "root_path": ""}
    for route in cast("list[BaseRoute]", request.app.routes):
        how, found = route.matches(scope)
        if how is Match.FULL:
            return str(getattr(route, "path", "")), found["path_params"]
    raise AddressError("There is no page of that name.")


def trim_query(request: Request, path: str) -> Response | None:
    """To the same page without what stood behind a link whose query is refused; None where nothing did."""
    query = request.scope["query_string"].decode("latin-1")
    trimmed = BEHIND_A_QUERY.sub("", query)
    if request.method != "GET" or trimmed == query or not PLAIN_VALUE.search(trimmed):
        return None
    return _redirect(request, path, trimmed)


def find_redirect(request: Request, path: str) -> Response | None:
    """To the page that was meant by the path, without the root, that has none; None where there is no such page."""
    meant = spell_path(path)
    if len(path) > LONGEST or meant == path:
        return None
    return _redirect(request, meant, request.scope["query_string"].decode("latin-1"))


def _redirect(request: Request, path: str, query: str) -> Response | None:
    """To that path, without the root, and that query; None unless it is a page here, and so no other host either."""
    try:
        find_spot(request, path)
    except (AddressError, UnknownAddress):
        return None
    except (NotReady, ComputationFailed):
        pass  # the page says so
    url = f"{urls_of(request).root}{path}{'?' if query else ''}{query}"
    # Which models there are may change, and with them what was meant.
    return RedirectResponse(url, 308, {"Cache-Control": "no-cache"})
