"""The full circuits of a head, for one token: the page and its JSON twin."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.core.address import parse
from app.explorer.pages.matrices import FullPage
from app.explorer.visits.full import visit_full as full_verb
from app.web.api.body import write_body
from app.web.api.parts import Head, Layer, Slug, describe_answers
from app.web.http.answers import json_answer, page_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, urls_of
from app.web.query.matrix import TokenQuery

router = APIRouter(route_class=PatientRoute)


@router.get("/{model}/{layer}/{head}/full", include_in_schema=False)
def show_full(request: Request, model: str, layer: str, head: str, query: Annotated[TokenQuery, Query()]) -> Response:
    """Show the full circuits of a head for one token."""
    where = parse(f"{model}/{layer}/{head}")
    return page_answer(request, full_verb(resources_of(request), where, query.options(), query.token))


@router.get("/api/v1/{model}/{layer}/{head}/full", summary="Full circuits", responses=describe_answers(FullPage))
def full(request: Request, model: Slug, layer: Layer, head: Head, query: Annotated[TokenQuery, Query()]) -> Response:
    """One token's rows of a head's full circuits in vocabulary space: as attended to, as the query, as the key."""
    where = parse(f"{model}/{layer}/{head}")
    found = full_verb(resources_of(request), where, query.options(), query.token)
    return json_answer(request, write_body(found, urls_of(request)))
