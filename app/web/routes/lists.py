"""A list of places as a page, and its card; and the page of what a visitor noted, which is kept in the browser alone."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.explorer.visits.lists import visit_list
from app.web.http.answers import html_answer, page_answer, picture_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, site_of
from app.web.http.threads import answer_in_long_thread
from app.web.pictures.card import draw_card
from app.web.pictures.drawing import draw_png
from app.web.query.sharing import ListQuery
from app.web.urls.paths import CARD, LIST, NOTES

router = APIRouter(include_in_schema=False, route_class=PatientRoute)


@router.get(f"/-/{LIST}")
@answer_in_long_thread
def show_list(request: Request, query: Annotated[ListQuery, Query()]) -> Response:
    """Show the places that the link names, in its order."""
    return page_answer(request, visit_list(resources_of(request), query.title, query.of))


@router.get(f"/-/{LIST}/{CARD}")
@answer_in_long_thread
def show_list_card(request: Request, query: Annotated[ListQuery, Query()]) -> Response:
    """Show the card of a list."""
    page = visit_list(resources_of(request), query.title, query.of)
    whole = all(place.is_here for place in page.places)
    return picture_answer(request, draw_png(site_of(request).templates, draw_card(page)), is_final=whole)


@router.get(f"/-/{NOTES}")
def show_notes(request: Request) -> Response:
    """Show the page that the visitor's own browser fills in with stars and notes."""
    return html_answer(request, "notes.html")
