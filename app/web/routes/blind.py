"""The blind round of a model: the page and its JSON twin."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.core.address import parse
from app.explorer.pages.blind import BlindPage
from app.explorer.visits.blind import visit_blind as blind_verb
from app.web.api.body import write_body
from app.web.api.parts import Slug, describe_answers
from app.web.http.answers import json_answer, page_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, urls_of
from app.web.query.model import BlindQuery

router = APIRouter(route_class=PatientRoute)


@router.get("/{model}/blind", include_in_schema=False)
def show_round(request: Request, model: str, query: Annotated[BlindQuery, Query()]) -> Response:
    """Show the next question of the round, or the score."""
    return page_answer(request, _play_round(request, model, query))


@router.get("/api/v1/{model}/blind", summary="Blind round", responses=describe_answers(BlindPage))
def blind(request: Request, model: Slug, query: Annotated[BlindQuery, Query()]) -> Response:
    """Two columns of tokens, one read out of a ray of the model, one of a random direction; after ten, the score."""
    found = _play_round(request, model, query)
    return json_answer(request, write_body(found, urls_of(request)))


def _play_round(request: Request, model: str, query: BlindQuery) -> BlindPage:
    return blind_verb(resources_of(request), parse(model), query.options(), query.seed, query.answers, query.of)
