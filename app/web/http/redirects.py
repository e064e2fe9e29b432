"""Redirects from a path that was typed or copied out of a sentence to the one spelling that the page has.

Capitals, a last slash, and the bracket, dot or quote behind a link are forgiven, since nothing else can be meant by them.
`L05` is not: an address has one spelling. No redirect leads to another host, or to a page that does not exist.
"""

import re
from typing import NamedTuple, cast
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from starlette.routing import BaseRoute, Match

from app.core.address import Address, AddressError, parse
from app.explorer.asking.places import locate_model
from app.explorer.errors import ComputationFailed, NotReady, UnknownAddress
from app.explorer.visits import jobs
from app.web.http.site import resources_of, urls_of
from app.web.urls.paths import CARD

API = "/api/v1"
BEHIND_A_LINK = "/.,;:)]}>\"'`’”»…!*_| "
BEHIND_A_QUERY = re.compile(
    rf"(?:{'|'.join(re.escape(each) for c in BEHIND_A_LINK for each in {c, quote(c, safe='')})})+$"
)
"""Those characters at the end of a query, percent-encoded or not."""
PLAIN_VALUE = re.compile(r"=[A-Za-z0-9,.-]+$")
"""End of a trimmed query that is redirected to; for any other the error message says more."""
NUMBERED_PART = re.compile("[lh][0-9]+")
LONGEST_PATH = 200
"""Characters of the longest path that is corrected; no address has more."""


class Spot(NamedTuple):
    """The page that a path names."""

    address: Address | None
    """The place in a model; None for the app's own pages."""
    under: str = ""
    """The rest of the path behind the address, such as `census`."""


def spell_path(path: str) -> str:
    """Correct the spelling of a path.

    Example: spell_path("/SmolLM2/l5/h3/OV/svd/12).") -> "/smollm2/L5/H3/ov/svd/12"
    """
    typed, path = path, path.rstrip(BEHIND_A_LINK).lower()
    api = API if f"{path}/".startswith(f"{API}/") else ""
    if api == path and typed.lower().removeprefix(api).strip("/)."):
        return typed  # `/api/v1/…` with only signs for a model's name is not the list of models
    first, *rest = path.removeprefix(api).removeprefix("/").split("/")
    parts = (part.upper() if NUMBERED_PART.fullmatch(part) else part for part in rest)
    return f"{api}/{'/'.join([first, *parts])}"


def find_spot(request: Request, path: str) -> Spot:
    """Find the page that a path below the root names; AddressError or UnknownAddress if there is none.

    NotReady or ComputationFailed for a place of a model whose files are not there yet, or no longer.
    """
    form, found = _route_of(request, path)
    if "/-/jobs/" in form:
        (id_,) = found.values()
        jobs.visit_job(resources_of(request), id_)
    spot = read_spot(request, path)
    if spot.address is not None:
        locate_model(resources_of(request), spot.address)
    return spot


def read_spot(request: Request, path: str) -> Spot:
    """Read the page that a path names by its form alone, existing or not; AddressError if no route has such a path."""
    form, found = _route_of(request, path)
    if not found or "/-/jobs/" in form:
        return Spot(None)
    if form.endswith(f"/{CARD}"):  # a picture is spelt as its page
        spot = read_spot(request, path.removesuffix(f"/{CARD}"))
        return Spot(spot.address, f"{spot.under}/{CARD}".removeprefix("/"))
    text = path.removeprefix(API).removeprefix("/")
    if "/p/{key}" in form or "/x/{key}" in form:
        return Spot(parse(found["model"]), text.partition("/")[2])
    try:
        return Spot(parse(text))
    except AddressError:
        last = form.rpartition("/{id}")[0].rpartition("/")[2] if form.endswith("/{id}") else form.rpartition("/")[2]
        above, between, under = text.rpartition(f"/{last}")
        if not between or last.startswith("{"):
            raise
        return Spot(parse(above), f"{last}{under}")


def _route_of(request: Request, path: str) -> tuple[str, dict[str, str]]:
    """Find the first route that matches: its path template and the path's parameters; AddressError if none does."""
    scope = {"type": "http", "method": "GET", "path": path, "root_path": ""}
    for route in cast("list[BaseRoute]", request.app.routes):
        how, found = route.matches(scope)
        if how is Match.FULL:
            return str(getattr(route, "path", "")), found["path_params"]
    raise AddressError("There is no page of that name.")


def trim_query(request: Request, path: str) -> Response | None:
    """Redirect to the same page without the characters behind a link whose query is refused; None if there are none."""
    query = request.scope["query_string"].decode("latin-1")
    trimmed = BEHIND_A_QUERY.sub("", query)
    if request.method != "GET" or trimmed == query or not PLAIN_VALUE.search(trimmed):
        return None
    return _redirect_to(request, path, trimmed)


def find_redirect(request: Request, path: str) -> Response | None:
    """Redirect a path below the root that has no page to its corrected spelling; None if that has no page either."""
    meant = spell_path(path)
    if len(path) > LONGEST_PATH or meant == path:
        return None
    return _redirect_to(request, meant, request.scope["query_string"].decode("latin-1"))


def _redirect_to(request: Request, path: str, query: str) -> Response | None:
    """Redirect to a path below the root; None unless it is a page of this server, and so on no other host."""
    try:
        find_spot(request, path)
    except (AddressError, UnknownAddress):
        return None
    except (NotReady, ComputationFailed):
        pass  # the page itself says so
    url = f"{urls_of(request).root}{path}{'?' if query else ''}{query}"
    # Models may be added, and the same path then mean another page.
    return RedirectResponse(url, 308, {"Cache-Control": "no-cache"})
