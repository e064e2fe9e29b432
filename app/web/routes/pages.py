"""The pages of a walk: the front page, and whatever an address names."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from app.core.address import Address, AddressError, Depth, Ray, parse, short
from app.explorer.asking.jump import Target, jump
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, NamesNothing, UnknownAddress
from app.explorer.pages.matrices import FitPage
from app.explorer.pages.search import Inquiry
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits import browse
from app.explorer.visits.census import census_page, census_rays
from app.explorer.visits.compare import compare
from app.explorer.visits.finding.suggest import suggest
from app.explorer.visits.finding.token import find as find_token
from app.explorer.visits.vectors import vectors
from app.models.lookup import ID
from app.web.api.sheet import census_sheet, direction_sheet, head_sheet, matrix_sheet
from app.web.api.vectors import vector_file
from app.web.http.answers import csv_stream, file_answer, page_answer
from app.web.http.patience import PatientRoute
from app.web.http.redirects import BEHIND_A_LINK, find_spot, spell_path
from app.web.http.site import resources_of, urls_of
from app.web.http.targets import take_off_root
from app.web.http.threads import aside, make_aside
from app.web.query import CensusQuery, CompareQuery, JumpQuery, NotableQuery, PageQuery
from app.web.urls import WALKED

router = APIRouter(include_in_schema=False, route_class=PatientRoute)


LINKS = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Kind:
    """How one depth of address is shown."""

    look: Callable[[Resources, Address, PageQuery], Any]
    sheet: Callable[[Any], str] | None = None


KINDS: dict[Depth, Kind] = {
    "model": Kind(lambda r, address, query: browse.model(r, address, query.options(), query.score, query.ranked)),
    "layer": Kind(lambda r, address, query: browse.layer(r, address, query.options())),
    "head": Kind(lambda r, address, query: browse.head(r, address, query.options()), head_sheet),
    "matrix": Kind(lambda r, address, query: browse.matrix(r, address, query.options()), matrix_sheet),
    "decomposition": Kind(lambda r, address, query: browse.matrix(r, address, query.options()), matrix_sheet),
    "direction": Kind(
        lambda r, address, query: browse.direction(r, address, query.options(), query.path), direction_sheet
    ),
}


@router.get("/")
def home(request: Request) -> Response:
    """The models; with only one, that model."""
    page = browse.home(resources_of(request))
    if len(page.models) == 1:
        only = Address(page.models[0].slug)
        return RedirectResponse(_with_query(request, urls_of(request).page(only)), 307, {"Cache-Control": "no-cache"})
    return page_answer(request, page)


@router.get("/{model}/notable")
def notable(request: Request, model: str, query: Annotated[NotableQuery, Query()]) -> Response:
    """A model's gallery."""
    return page_answer(request, browse.notable(resources_of(request), parse(model), query.options(), query.sought()))


@router.get("/{model}/census")
@aside
def census(request: Request, model: str, query: Annotated[CensusQuery, Query()]) -> Response:
    """How readable all matrices of a model are; as a file once all of them are read."""
    address, r = parse(model), resources_of(request)
    if query.format is None:
        return page_answer(request, census_page(r, address, query.options()))
    rays = census_rays(r, address, query.options())
    name = f"{rays.model.slug}-census-{rays.view.weights}-{rays.model.pin}"
    return csv_stream(request, census_sheet(rays.parts), rays.content, name)


@router.get("/{model}/jump")
def jump_to(request: Request, model: str, query: Annotated[JumpQuery, Query()]) -> Response:
    """Where the text of the jump box leads, in the weights that the visitor looks at."""
    visited, text = parse(model), query.q.strip()
    if link := _link(text):
        url = _pasted(request, link, visited, query.weights)
    else:
        try:
            target = _target(resources_of(request), visited.model, text)
        except UnknownAddress as unknown:
            url = _named(request, text, visited, query.weights, unknown)
        else:
            url = urls_of(request).page(target.address.seen_from(visited))
            asked = _kept_weights(target.weights or query.weights) + _begun(target)
            url = _asking(url, asked, target.ray or "")
    return RedirectResponse(url, 303, {"Cache-Control": "no-cache"})


@router.get("/{model}/suggest")
def suggested(request: Request, model: str, query: Annotated[JumpQuery, Query()]) -> Response:
    """Where what stands in the jump box may lead."""
    return page_answer(request, suggest(resources_of(request), parse(model), query.options(), query.q))


@router.get("/{model}/heads")
def heads(request: Request, model: str) -> Response:
    """Of the two matrices of all heads, the one of what they write."""
    url = urls_of(request).page(parse(model).at("heads/write"))
    return RedirectResponse(_with_query(request, url), 307, {"Cache-Control": "no-cache"})


@router.get("/{address:path}/compare")
def side_by_side(request: Request, address: str, query: Annotated[CompareQuery, Query()]) -> Response:
    """The bases of a matrix side by side."""
    where = parse(address)
    if where.depth != "matrix":
        raise UnknownAddress(f"Bases are compared for a matrix: {where} is none.")
    if one := browse.one_page(resources_of(request), where, query.options()):
        url = _with_query(request, urls_of(request).compare(one))
        return RedirectResponse(url, 307, {"Cache-Control": "no-cache"})
    how = (query.nonzeros, query.first, query.direction, query.wanted())
    return page_answer(request, compare(resources_of(request), where, query.options(), *how))


@router.get("/{address:path}")
async def place(request: Request, address: str, query: Annotated[PageQuery, Query()]) -> Response:
    """Whatever the address names: a model, a layer, a head, a matrix or a direction."""
    # The router overlooks a line break at the end of a path.
    where = parse(address + "\n" * request.scope["path"].endswith("\n"))
    if query.format is None:
        return await run_in_threadpool(_page, request, where, query)
    return await make_aside(request, partial(_file, request, where, query))


def _page(request: Request, where: Address, query: PageQuery) -> Response:
    return _elsewhere(request, where, query) or page_answer(
        request, KINDS[where.depth].look(resources_of(request), where, query)
    )


def _file(request: Request, where: Address, query: PageQuery) -> Response:
    if elsewhere := _elsewhere(request, where, query):
        return elsewhere
    kind = KINDS[where.depth]
    if query.format == "npz":
        found = _there(vectors(resources_of(request), where, query.options()))
        return file_answer(request, vector_file(found), _file_name(found, where), "npz")
    if kind.sheet is None:
        raise BadOption("format=csv is there for heads, matrices and directions")
    page = _there(kind.look(resources_of(request), where, query))
    return file_answer(request, kind.sheet(page).encode(), _file_name(page, where), "csv")


def _elsewhere(request: Request, where: Address, query: PageQuery) -> Response | None:
    """To the one page of a matrix that has two names."""
    if one := browse.one_page(resources_of(request), where, query.options()):
        return RedirectResponse(_with_query(request, urls_of(request).page(one)), 307, {"Cache-Control": "no-cache"})
    return None


def _there(page: Any) -> Any:
    """What there is a file of; UnknownAddress for a fit that was not computed."""
    if isinstance(page, FitPage):
        raise UnknownAddress(f"{page.address.label} was not computed here: {page.command} computes it.")
    return page


def _file_name(page: Any, where: Address) -> str:
    """What tells a table from others of the same place.

    Example: "gpt2-embedding-nmf-3-folded-components-64-seed-0-0123456789ab"
    """
    view: View = page.view
    chosen = [(choice.name, choice.value) for choice in view.parameters]
    chosen += [("distance", view.distance)] if view.distance else []
    chosen += view.selection.deciding().items()
    words = [page.model.slug, where.label.replace("'", "").replace(" ", "-"), view.weights]
    return "-".join([*words, *(f"{name}-{value}" for name, value in chosen), page.model.pin])


def _with_query(request: Request, url: str) -> str:
    return f"{url}?{request.url.query}" if request.url.query else url


def _target(r: Resources, slug: str, text: str) -> Target:
    """The place that is named, whatever of a sentence was copied with it: `blocks.5.attn.W_V[3]` ends with its own bracket."""
    try:
        return jump(r, slug, text)
    except NamesNothing:
        return jump(r, slug, text.rstrip(BEHIND_A_LINK))


def _pasted(request: Request, link: SplitResult, visited: Address, weights: str | None) -> str:
    """Where a link leads on this server, whatever host it names: its own query kept, else the visitor's weights."""
    urls = urls_of(request)
    path = spell_path(unquote(take_off_root(link.path, urls.root)))
    address, under = find_spot(request, path)
    asked = parse_qsl(link.query)
    if address is None:
        url = f"{urls.root}{path}"
    else:
        url = urls.page(address.seen_from(visited), under=under)
        asked = asked or _kept_weights(weights)
    return _asking(url, asked, link.fragment)


def _named(request: Request, text: str, visited: Address, weights: str | None, unknown: UnknownAddress) -> str:
    """Where a path of this server leads, or the name of a page of the model: `demo/census`, `census`, or a token by its id:
    `#1234`; else the search for it, or `unknown` where it names a place that is not there.
    """
    if ID.fullmatch(text):
        with suppress(BadOption):  # the search says which ids there are
            id_ = find_token(resources_of(request), visited, Options(), text)
            return urls_of(request).token(visited, id_, None, **dict(_kept_weights(weights)))
    for path in (f"/{text.lstrip('/')}", f"/{visited}/{text}") if text.partition("#")[0].strip("/?") else ():
        try:
            return _pasted(request, urlsplit(path), visited, weights)
        except (AddressError, UnknownAddress, ValueError):
            continue
    if isinstance(unknown, NamesNothing) and not text.startswith(LINKS):
        # What is no address is a search.
        return urls_of(request).search(visited, None, Inquiry(text), **dict(_kept_weights(weights)))
    raise unknown


def _asking(url: str, asked: list[tuple[str, str]], anchor: str) -> str:
    """The URL with that query and that anchor. What visitors ask stays text: none of its names becomes one of ours."""
    return f"{url}{'?' if asked else ''}{urlencode(asked)}{'#' if anchor else ''}{quote(anchor)}"


def _begun(target: Target) -> list[tuple[str, str]]:
    """The path that begins at a - end, if that is what was named: a server never hears what stands behind #."""
    ends = target.address.basis in WALKED and target.ray == "n"
    return [("path", short(Ray(target.address, "n")))] if ends else []


def _kept_weights(weights: str | None) -> list[tuple[str, str]]:
    return [("weights", weights)] if weights else []


def _link(text: str) -> SplitResult | None:
    """The parts of a whole link; None of anything else that the jump box got."""
    if not text.startswith(LINKS):
        return None
    try:
        link = urlsplit(text)
    except ValueError:  # of a host that is none
        return None
    return link if link.netloc else None
