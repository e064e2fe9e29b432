"""What is around a direction: a page, and a part of the direction's own. Its JSON twin stands with those of matrices."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.core.address import parse
from app.explorer.visits.finding.around import around as around_verb
from app.web.http.answers import page_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of
from app.web.http.threads import searching
from app.web.query import AroundQuery

router = APIRouter(include_in_schema=False, route_class=PatientRoute)


@router.get("/{address:path}/around")
@searching
def around(request: Request, address: str, query: Annotated[AroundQuery, Query()]) -> Response:
    """What a direction is like, what reads it and what writes it."""
    return page_answer(request, around_verb(resources_of(request), parse(address), query.options(), query.path))
