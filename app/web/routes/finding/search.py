"""Searches of a model and of every model: the page, its JSON twin and its table."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.core.address import Address, parse
from app.explorer.asking.jump import Target, jump
from app.explorer.asking.terms import parse_terms
from app.explorer.errors import BadOption, ComputationFailed, NamesNothing, NotReady, UnknownAddress
from app.explorer.pages.search import EveryPage, SearchPage
from app.explorer.resources import Resources
from app.explorer.visits.finding.search import N_FOUND, N_ON_PAGE, search_every
from app.explorer.visits.finding.search import search as search_verb
from app.web.api.body import NOTHING_ASKED, require_answer, write_body
from app.web.api.parts import Slug, describe_answers
from app.web.api.sheet import search_sheet
from app.web.http.answers import file_answer, json_answer, page_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, urls_of
from app.web.http.threads import answer_in_search_thread
from app.web.query.finding import EveryQuery, SearchPageQuery, SearchQuery

router = APIRouter(route_class=PatientRoute)


@router.get("/-/search", include_in_schema=False)
@answer_in_search_thread
def show_every_search(request: Request, query: Annotated[EveryQuery, Query()]) -> Response:
    """Show a search of every model, or redirect to the place that the text names."""
    if elsewhere := _redirect_to_place(request, query.q.strip()):
        return elsewhere
    return page_answer(request, search_every(resources_of(request), query.q))


@router.get("/api/v1/-/search", summary="Search of every model", responses=describe_answers(EveryPage))
@answer_in_search_thread
def every(request: Request, query: Annotated[EveryQuery, Query()]) -> Response:
    """The rays of each model that are nearest to words, in the weights that its pages show first; never mixed."""
    _require_words(query.q)
    found: EveryPage = search_every(resources_of(request), query.q)
    return json_answer(request, write_body(found, urls_of(request)))


@router.get("/{model}/search", include_in_schema=False)
@answer_in_search_thread
def show_search(request: Request, model: str, query: Annotated[SearchPageQuery, Query()]) -> Response:
    """Show the rays that are nearest to words; as a file all that were found."""
    if query.format is None:
        return page_answer(request, _run_search(request, model, query))
    found = require_answer(_run_search(request, model, query, N_FOUND))
    name = f"{found.model.slug}-search-{found.view.weights}-{found.model.pin}"
    return file_answer(request, search_sheet(found).encode("utf-8", "replace"), name, "csv")


@router.get("/api/v1/{model}/search", summary="Search", responses=describe_answers(SearchPage))
@answer_in_search_thread
def search(request: Request, model: Slug, query: Annotated[SearchQuery, Query()]) -> Response:
    """The rays of a model that are nearest to words, tokens or other rays, and what of that chance alone would bring."""
    _require_words(query.q)
    return json_answer(request, write_body(_run_search(request, model, query), urls_of(request)))


def _run_search(request: Request, model: str, query: SearchQuery, most: int = N_ON_PAGE) -> SearchPage:
    return search_verb(resources_of(request), parse(model), query.options(), query.inquiry(), most)


def _require_words(q: str) -> None:
    """Refuse an empty search with BadOption: a page would show its box, but an answer for programs has nothing."""
    if not parse_terms(q):
        raise BadOption(NOTHING_ASKED)


def _redirect_to_place(request: Request, text: str) -> Response | None:
    """Redirect to the place that the text names, with its model or in the only model that has such a place."""
    r, urls = resources_of(request), urls_of(request)
    if text and len(r.slugs) == 1:
        return RedirectResponse(urls.jump(Address(r.slugs[0]), text), 303, {"Cache-Control": "no-cache"})
    slug = text.partition("/")[0].partition("@")[0]
    targets = [target for each in ([slug] if slug in r.slugs else r.slugs) if (target := _find_target(r, each, text))]
    if len(targets) != 1:
        return None
    (target,) = targets
    url = urls.page(target.address) + (f"#{target.ray}" if target.ray else "")
    return RedirectResponse(url, 303, {"Cache-Control": "no-cache"})


def _find_target(r: Resources, slug: str, text: str) -> Target | None:
    """Find the place that a text names in a model, or None; UnknownAddress if it names the model and no place of it."""
    try:
        return jump(r, slug, text)
    except NamesNothing:
        return None
    except (UnknownAddress, NotReady, ComputationFailed):
        if text.partition("/")[0].partition("@")[0] == slug:
            raise
        return None
