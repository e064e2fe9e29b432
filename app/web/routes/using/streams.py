"""The streams of a model's reference text: the linear map between two, unlikely tokens in them; pages and JSON twins."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.core.address import parse
from app.explorer.pages.using.streams import LinearPage, UnlikelyPage
from app.explorer.visits.using import streams as verbs
from app.web.api.body import write_body
from app.web.api.parts import Slug, describe_answers
from app.web.http.answers import json_answer, page_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, urls_of
from app.web.query.form import ViewQuery
from app.web.query.using import LinearQuery

router = APIRouter(route_class=PatientRoute)


@router.get("/{model}/linear", include_in_schema=False)
def show_linear(request: Request, model: str, query: Annotated[LinearQuery, Query()]) -> Response:
    """Show the linear map between two streams in a basis."""
    return page_answer(request, _visit_linear(request, model, query))


@router.get("/api/v1/{model}/linear", summary="Linear map", responses=describe_answers(LinearPage))
def linear(request: Request, model: Slug, query: Annotated[LinearQuery, Query()]) -> Response:
    """The linear map between two layers' streams on the reference text, in bases; 404 where it was not computed."""
    return json_answer(request, write_body(_visit_linear(request, model, query), urls_of(request)))


@router.get("/{model}/unlikely", include_in_schema=False)
def show_unlikely(request: Request, model: str, query: Annotated[ViewQuery, Query()]) -> Response:
    """Show what streams hold of unlikely tokens."""
    return page_answer(request, verbs.visit_unlikely(resources_of(request), parse(model), query.options()))


@router.get("/api/v1/{model}/unlikely", summary="Unlikely tokens", responses=describe_answers(UnlikelyPage))
def unlikely(request: Request, model: Slug, query: Annotated[ViewQuery, Query()]) -> Response:
    """What streams hold of the vectors of unlikely next tokens, beside a control; 404 where it was not computed."""
    page = verbs.visit_unlikely(resources_of(request), parse(model), query.options())
    return json_answer(request, write_body(page, urls_of(request)))


def _visit_linear(request: Request, model: str, query: LinearQuery) -> LinearPage:
    r, options = resources_of(request), query.options()
    return verbs.visit_linear(r, parse(model), options, query.start, query.to, query.basis)
