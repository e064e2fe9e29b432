"""Two heads side by side: the page and its JSON twin."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.explorer.pages.circuitry import AskedPairPage, PairPage
from app.explorer.visits.finding.pair import visit_pair as pair_verb
from app.web.api.body import write_body
from app.web.api.parts import describe_answers
from app.web.http.answers import json_answer, page_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, urls_of
from app.web.http.threads import answer_in_search_thread
from app.web.query.finding import PairBoxQuery, PairQuery

router = APIRouter(route_class=PatientRoute)


@router.get("/-/pair", include_in_schema=False)
@answer_in_search_thread
def show_pair(request: Request, query: Annotated[PairBoxQuery, Query()]) -> Response:
    """Show the directions that one head writes beside those that another reads; a form until both are named."""
    if not query.a.strip() or not query.b.strip():
        return page_answer(request, AskedPairPage(query.a, query.b, query.part))
    return page_answer(request, _find_pair(request, query))


@router.get("/api/v1/-/pair", summary="Two heads", responses=describe_answers(PairPage))
@answer_in_search_thread
def pair(request: Request, query: Annotated[PairQuery, Query()]) -> Response:
    """Directions that one head writes beside those that another reads with: their cosines, and CS of each; 404 where the bank was not built."""
    return json_answer(request, write_body(_find_pair(request, query), urls_of(request)))


def _find_pair(request: Request, query: PairQuery) -> PairPage:
    return pair_verb(resources_of(request), query.a, query.b, query.options(), query.part, query.path)
