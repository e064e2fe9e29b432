"""Directions around a direction: the page, also a fragment of the direction's own. Its JSON twin is in matrices.py."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.core.address import parse
from app.explorer.visits.finding.around import visit_around as around_verb
from app.web.http.answers import page_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of
from app.web.http.threads import answer_in_search_thread
from app.web.query.finding import AroundQuery

router = APIRouter(include_in_schema=False, route_class=PatientRoute)


@router.get("/{address:path}/around")
@answer_in_search_thread
def show_around(request: Request, address: str, query: Annotated[AroundQuery, Query()]) -> Response:
    """Show the directions that are like one, read it or write it."""
    return page_answer(request, around_verb(resources_of(request), parse(address), query.options(), query.path))
