"""The pages of addresses: the front page, models, layers, heads, matrices and directions, and the jump box."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from app.core.address import Address, AddressError, Depth, Ray, format_short, parse
from app.explorer.asking.jump import Target, jump
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, NamesNothing, UnknownAddress
from app.explorer.pages.directions import Vectors
from app.explorer.pages.matrices import FitPage
from app.explorer.pages.search import Inquiry
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits import browse
from app.explorer.visits.census import collect_census_rays, visit_census
from app.explorer.visits.compare import visit_comparison
from app.explorer.visits.finding.suggest import suggest
from app.explorer.visits.finding.token import find_token
from app.explorer.visits.vectors import visit_vectors
from app.models.lookup import ID
from app.web.api.columns import parquet_file
from app.web.api.sheet import census_sheet, direction_sheet, head_sheet, matrix_sheet
from app.web.api.vectors import vector_file
from app.web.http.answers import csv_stream, file_answer, page_answer
from app.web.http.patience import PatientRoute
from app.web.http.redirects import BEHIND_A_LINK, find_spot, spell_path
from app.web.http.site import resources_of, urls_of
from app.web.http.targets import take_off_root
from app.web.http.threads import answer_in_long_thread, make_in_long_thread
from app.web.query.matrix import CompareQuery, PageQuery
from app.web.query.model import CensusQuery, JumpQuery, NotableQuery
from app.web.urls.finding import WALKED_BASES

router = APIRouter(include_in_schema=False, route_class=PatientRoute)


VECTOR_FILES: dict[Literal["csv", "npz", "parquet"], Callable[[Vectors], bytes]] = {
    "npz": vector_file,
    "parquet": parquet_file,
}
LINK_STARTS = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class PageKind:
    """The page and the CSV of one depth of address."""

    look: Callable[[Resources, Address, PageQuery], Any]
    sheet: Callable[[Any], str] | None = None


PAGE_KINDS: dict[Depth, PageKind] = {
    "model": PageKind(
        lambda r, address, query: browse.visit_model(r, address, query.options(), query.score, query.ranked)
    ),
    "layer": PageKind(lambda r, address, query: browse.visit_layer(r, address, query.options())),
    "head": PageKind(lambda r, address, query: browse.visit_head(r, address, query.options()), head_sheet),
    "matrix": PageKind(lambda r, address, query: browse.visit_matrix(r, address, query.options()), matrix_sheet),
    "decomposition": PageKind(lambda r, address, query: browse.visit_matrix(r, address, query.options()), matrix_sheet),
    "direction": PageKind(
        lambda r, address, query: browse.visit_direction(r, address, query.options(), query.path, query.prompt),
        direction_sheet,
    ),
}


@router.get("/")
def show_home(request: Request) -> Response:
    """Show the list of models; with only one, redirect to it."""
    page = browse.visit_home(resources_of(request))
    if len(page.models) == 1:
        only = Address(page.models[0].slug)
        return RedirectResponse(_add_query(request, urls_of(request).page(only)), 307, {"Cache-Control": "no-cache"})
    return page_answer(request, page)


@router.get("/{model}/notable")
def show_notable(request: Request, model: str, query: Annotated[NotableQuery, Query()]) -> Response:
    """Show a model's gallery."""
    return page_answer(
        request, browse.visit_gallery(resources_of(request), parse(model), query.options(), query.as_sought())
    )


@router.get("/{model}/census")
@answer_in_long_thread
def show_census(request: Request, model: str, query: Annotated[CensusQuery, Query()]) -> Response:
    """Show how readable all matrices of a model are; as a file once all of them are read."""
    address, r = parse(model), resources_of(request)
    if query.format is None:
        return page_answer(request, visit_census(r, address, query.options()))
    rays = collect_census_rays(r, address, query.options())
    name = f"{rays.model.slug}-census-{rays.view.weights}-{rays.model.pin}"
    return csv_stream(request, census_sheet(rays.parts), rays.content, name)


@router.get("/{model}/jump")
def redirect_jump(request: Request, model: str, query: Annotated[JumpQuery, Query()]) -> Response:
    """Redirect to the place that the jump box's text names, in the weights that the visitor looks at."""
    visited, text = parse(model), query.q.strip()
    if link := _parse_link(text):
        url = _url_of_link(request, link, visited, query.weights)
    else:
        try:
            target = _find_target(resources_of(request), visited.model, text)
        except UnknownAddress as unknown:
            url = _url_of_name(request, text, visited, query.weights, unknown)
        else:
            url = urls_of(request).page(target.address.with_pin_of(visited))
            asked = _weights_parameters(target.weights or query.weights) + _path_parameters(target)
            url = _url_with(url, asked, target.ray or "")
    return RedirectResponse(url, 303, {"Cache-Control": "no-cache"})


@router.get("/{model}/suggest")
def show_suggestions(request: Request, model: str, query: Annotated[JumpQuery, Query()]) -> Response:
    """Show the places that the text in the jump box may mean."""
    return page_answer(request, suggest(resources_of(request), parse(model), query.options(), query.q))


@router.get("/{model}/heads")
def redirect_heads(request: Request, model: str) -> Response:
    """Redirect to the write side, one of the two matrices of all heads."""
    url = urls_of(request).page(parse(model).at("heads/write"))
    return RedirectResponse(_add_query(request, url), 307, {"Cache-Control": "no-cache"})


@router.get("/{address:path}/compare")
def show_comparison(request: Request, address: str, query: Annotated[CompareQuery, Query()]) -> Response:
    """Show the bases of a matrix side by side."""
    where = parse(address)
    if where.depth != "matrix":
        raise UnknownAddress(f"Bases are compared for a matrix: {where} is none.")
    if one := browse.find_double(resources_of(request), where, query.options()):
        url = _add_query(request, urls_of(request).compare(one))
        return RedirectResponse(url, 307, {"Cache-Control": "no-cache"})
    how = (query.nonzeros, query.first, query.direction, query.wanted_fits())
    return page_answer(request, visit_comparison(resources_of(request), where, query.options(), *how))


@router.get("/{address:path}")
async def show_place(request: Request, address: str, query: Annotated[PageQuery, Query()]) -> Response:
    """Show the page of an address: of a model, a layer, a head, a matrix or a direction."""
    # The router drops a line break at the end of a path; put back, it makes the address invalid.
    where = parse(address + "\n" * request.scope["path"].endswith("\n"))
    if query.format is None:
        return await run_in_threadpool(_answer_page, request, where, query)
    return await make_in_long_thread(request, partial(_answer_file, request, where, query))


def _answer_page(request: Request, where: Address, query: PageQuery) -> Response:
    return _redirect_to_one(request, where, query) or page_answer(
        request, PAGE_KINDS[where.depth].look(resources_of(request), where, query)
    )


def _answer_file(request: Request, where: Address, query: PageQuery) -> Response:
    if elsewhere := _redirect_to_one(request, where, query):
        return elsewhere
    kind = PAGE_KINDS[where.depth]
    if query.format in VECTOR_FILES:
        found = _require_computed(visit_vectors(resources_of(request), where, query.options()))
        return file_answer(request, VECTOR_FILES[query.format](found), _name_file(found, where), query.format)
    if kind.sheet is None:
        raise BadOption("format=csv is there for heads, matrices and directions")
    page = _require_computed(kind.look(resources_of(request), where, query))
    return file_answer(request, kind.sheet(page).encode(), _name_file(page, where), "csv")


def _redirect_to_one(request: Request, where: Address, query: PageQuery) -> Response | None:
    """Redirect to the one page of a matrix that has two names; None for any other address."""
    if one := browse.find_double(resources_of(request), where, query.options()):
        return RedirectResponse(_add_query(request, urls_of(request).page(one)), 307, {"Cache-Control": "no-cache"})
    return None


def _require_computed(page: Any) -> Any:
    """Return the page; UnknownAddress for a fit that was not computed, which has no file."""
    if isinstance(page, FitPage):
        raise UnknownAddress(f"{page.address.label} was not computed here: {page.command} computes it.")
    return page


def _name_file(page: Any, where: Address) -> str:
    """Name a file after its place and every option that decides its content.

    Example: "gpt2-embedding-nmf-3-folded-components-64-seed-0-0123456789ab"
    """
    view: View = page.view
    chosen = [(choice.name, choice.value) for choice in view.parameters]
    chosen += [("distance", view.distance)] if view.distance else []
    chosen += view.token_filter.recipe_parameters().items()
    words = [page.model.slug, where.label.replace("'", "").replace(" ", "-"), view.weights]
    return "-".join([*words, *(f"{name}-{value}" for name, value in chosen), page.model.pin])


def _add_query(request: Request, url: str) -> str:
    return f"{url}?{request.url.query}" if request.url.query else url


def _find_target(r: Resources, slug: str, text: str) -> Target:
    """Find the place that a text names, as it is (`blocks.5.attn.W_V[3]`) or else without the punctuation behind it."""
    try:
        return jump(r, slug, text)
    except NamesNothing:
        return jump(r, slug, text.rstrip(BEHIND_A_LINK))


def _url_of_link(request: Request, link: SplitResult, visited: Address, weights: str | None) -> str:
    """Make the URL of a pasted link on this server, whatever its host, with its own query or else the given weights."""
    urls = urls_of(request)
    path = spell_path(unquote(take_off_root(link.path, urls.root)))
    address, under = find_spot(request, path)
    asked = parse_qsl(link.query)
    if address is None:
        url = f"{urls.root}{path}"
    else:
        url = urls.page(address.with_pin_of(visited), under=under)
        asked = asked or _weights_parameters(weights)
    return _url_with(url, asked, link.fragment)


def _url_of_name(request: Request, text: str, visited: Address, weights: str | None, unknown: UnknownAddress) -> str:
    """Make the URL of a text that names no place: a token's id (`#1234`), or a page (`demo/census`, `census`).

    Any other text is searched for; raises `unknown` where it names a place that does not exist.
    """
    if ID.fullmatch(text):
        with suppress(BadOption):  # the search says which ids there are
            id_ = find_token(resources_of(request), visited, Options(), text)
            return urls_of(request).token(visited, id_, None, **dict(_weights_parameters(weights)))
    for path in (f"/{text.lstrip('/')}", f"/{visited}/{text}") if text.partition("#")[0].strip("/?") else ():
        try:
            return _url_of_link(request, urlsplit(path), visited, weights)
        except (AddressError, UnknownAddress, ValueError):
            continue
    if isinstance(unknown, NamesNothing) and not text.startswith(LINK_STARTS):
        # A text that is no address is searched for.
        return urls_of(request).search(visited, None, Inquiry(text), **dict(_weights_parameters(weights)))
    raise unknown


def _url_with(url: str, asked: list[tuple[str, str]], anchor: str) -> str:
    """Append query and anchor to a URL. The query stays a list of pairs: its names never become keyword arguments."""
    return f"{url}{'?' if asked else ''}{urlencode(asked)}{'#' if anchor else ''}{quote(anchor)}"


def _path_parameters(target: Target) -> list[tuple[str, str]]:
    """Begin a path at the - ray, if that was named: the server never sees the anchor behind #."""
    ends = target.address.basis in WALKED_BASES and target.ray == "n"
    return [("path", format_short(Ray(target.address, "n")))] if ends else []


def _weights_parameters(weights: str | None) -> list[tuple[str, str]]:
    return [("weights", weights)] if weights else []


def _parse_link(text: str) -> SplitResult | None:
    """Split a whole link into its parts; None for any other text."""
    if not text.startswith(LINK_STARTS):
        return None
    try:
        link = urlsplit(text)
    except ValueError:  # a malformed host
        return None
    return link if link.netloc else None
