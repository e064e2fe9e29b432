"""Searches of a model and of every model: the page, its JSON twin and its table."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.core.address import Address, parse
from app.explorer.asking.jump import Target, jump
from app.explorer.asking.terms import terms_of
from app.explorer.errors import BadOption, ComputationFailed, NamesNothing, NotReady, UnknownAddress
from app.explorer.pages.search import EveryPage, SearchPage
from app.explorer.resources import Resources
from app.explorer.visits.finding.search import N_FOUND, N_ON_PAGE, search_every
from app.explorer.visits.finding.search import search as search_verb
from app.web.api import schema, twin
from app.web.api.parts import Slug, describe_answers
from app.web.api.sheet import search_sheet
from app.web.http.answers import file_answer, json_answer, page_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, urls_of
from app.web.http.threads import searching
from app.web.query import EveryQuery, SearchPageQuery, SearchQuery

router = APIRouter(route_class=PatientRoute)


@router.get("/-/search", include_in_schema=False)
@searching
def every_page(request: Request, query: Annotated[EveryQuery, Query()]) -> Response:
    """The same search in every model, or the place that a whole address names."""
    if elsewhere := _elsewhere(request, query.q.strip()):
        return elsewhere
    return page_answer(request, search_every(resources_of(request), query.q))


@router.get("/api/v1/-/search", summary="Search of every model", responses=describe_answers(schema.EveryJson))
@searching
def every(request: Request, query: Annotated[EveryQuery, Query()]) -> Response:
    """The rays of each model that are nearest to words, in the weights that its pages show first; never mixed."""
    _check_asked(query.q)
    found: EveryPage = search_every(resources_of(request), query.q)
    return json_answer(request, twin.every_json(found, urls_of(request)))


@router.get("/{model}/search", include_in_schema=False)
@searching
def page(request: Request, model: str, query: Annotated[SearchPageQuery, Query()]) -> Response:
    """The rays that are nearest to words; as a file all that were found."""
    if query.format is None:
        return page_answer(request, _search(request, model, query))
    found = twin.answered(_search(request, model, query, N_FOUND))
    name = f"{found.model.slug}-search-{found.view.weights}-{found.model.pin}"
    return file_answer(request, search_sheet(found).encode("utf-8", "replace"), name, "csv")


@router.get("/api/v1/{model}/search", summary="Search", responses=describe_answers(schema.SearchJson))
@searching
def search(request: Request, model: Slug, query: Annotated[SearchQuery, Query()]) -> Response:
    """The rays of a model that are nearest to words, tokens or other rays, and what of that chance alone would bring."""
    _check_asked(query.q)
    return json_answer(request, twin.search_json(_search(request, model, query), urls_of(request)))


def _search(request: Request, model: str, query: SearchQuery, most: int = N_ON_PAGE) -> SearchPage:
    return search_verb(resources_of(request), parse(model), query.options(), query.inquiry(), most)


def _check_asked(q: str) -> None:
    """BadOption where nothing is asked for: a page has a box then, and an answer for programs nothing."""
    if not terms_of(q):
        raise BadOption(twin.NOTHING_ASKED)


def _elsewhere(request: Request, text: str) -> Response | None:
    """To the place that the text names, where it says of which model, or where only one has such a place."""
    r, urls = resources_of(request), urls_of(request)
    if text and len(r.slugs) == 1:
        return RedirectResponse(urls.jump(Address(r.slugs[0]), text), 303, {"Cache-Control": "no-cache"})
    slug = text.partition("/")[0].partition("@")[0]
    targets = [target for each in ([slug] if slug in r.slugs else r.slugs) if (target := _named(r, each, text))]
    if len(targets) != 1:
        return None
    (target,) = targets
    url = urls.page(target.address) + (f"#{target.ray}" if target.ray else "")
    return RedirectResponse(url, 303, {"Cache-Control": "no-cache"})


def _named(r: Resources, slug: str, text: str) -> Target | None:
    """What the text names in that model; UnknownAddress where it says of which model, and names no place that is there."""
    try:
        return jump(r, slug, text)
    except NamesNothing:
        return None
    except (UnknownAddress, NotReady, ComputationFailed):
        if text.partition("/")[0].partition("@")[0] == slug:
            raise
        return None
