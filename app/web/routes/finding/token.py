"""One token of a model: the page and its JSON twin, by its id or by its text."""

import re
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.core.address import Address, parse
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.pages.circuitry import TokenPage
from app.explorer.visits.finding import token as verbs
from app.web.api.body import write_body
from app.web.api.parts import Slug, describe_answers
from app.web.http.answers import json_answer, page_answer, part_of
from app.web.http.embedding import EMBED, is_embedded
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, urls_of
from app.web.http.threads import answer_in_search_thread
from app.web.query.finding import HeadOfQuery, TextQuery
from app.web.query.form import ViewQuery
from app.web.urls.paths import TOKEN

router = APIRouter(route_class=PatientRoute)

HEAD = re.compile(r"L(0|[1-9][0-9]{0,4})[ ./]?H(0|[1-9][0-9]{0,4})", re.IGNORECASE)
ID = re.compile(r"0|[1-9][0-9]{0,8}")
Id = Annotated[str, Path(alias="id", description="0, 1 …: the number of the token.", examples=["6342"])]


@router.get("/{model}/token", include_in_schema=False)
def redirect_by_text(request: Request, model: str, query: Annotated[TextQuery, Query()]) -> Response:
    """Redirect to the page of the token that a text names."""
    address = parse(model)
    id_ = verbs.find_token(resources_of(request), address, query.options(), query.text)
    return _redirect_to(request, urls_of(request).page(address, under=f"{TOKEN}/{id_}"), query.weights)


@router.get("/{model}/token/{id}", include_in_schema=False)
@answer_in_search_thread
def show_token(request: Request, model: str, id_: Id, query: Annotated[HeadOfQuery, Query()]) -> Response:
    """Show one token; with `head`, redirect to its full circuits there."""
    address = parse(model)
    if query.head:
        url = urls_of(request).full(_parse_head(address, query.head), token=f"#{_parse_id(model, id_)}")
        return _redirect_to(request, url, query.weights)
    id_number, of_groups = _parse_id(model, id_), part_of(request) == "groups"
    found = verbs.visit_token(
        resources_of(request), address, query.options(), id_number, whole=query.all, with_near=not of_groups
    )
    return page_answer(request, found)


@router.get(
    "/api/v1/{model}/token",
    summary="Token by text",
    responses=describe_answers(TokenPage) | {303: {"description": "The token of that text: follow Location."}},
)
def found(request: Request, model: Slug, query: Annotated[TextQuery, Query()]) -> Response:
    """To the token that a text names: its exact text, a space in front included, or with `·` for the space."""
    address = parse(model)
    id_ = verbs.find_token(resources_of(request), address, query.options(), query.text)
    return _redirect_to(request, urls_of(request).api(address, under=f"{TOKEN}/{id_}"), query.weights)


@router.get("/api/v1/{model}/token/{id}", summary="Token", responses=describe_answers(TokenPage))
@answer_in_search_thread
def token(request: Request, model: Slug, id_: Id, query: Annotated[ViewQuery, Query()]) -> Response:
    """What writes a token, what reads it, what it looks for with and whose key it is, beside chance; 404 where the bank was not built."""
    shown = verbs.visit_token(resources_of(request), parse(model), query.options(), _parse_id(model, id_))
    return json_answer(request, write_body(shown, urls_of(request)))


def _parse_id(model: str, id_: str) -> int:
    if not ID.fullmatch(id_):
        raise UnknownAddress(f"{id_[:40]!r} is no id of a token: expected {model}/token/0, {model}/token/1 …")
    return int(id_)


def _parse_head(address: Address, text: str) -> Address:
    found = HEAD.fullmatch(text.strip())
    if found is None:
        raise BadOption("head is one such as L5H3.")
    return address.at_layer(int(found[1])).at_head(int(found[2]))


def _redirect_to(request: Request, url: str, weights: str | None) -> Response:
    kept = ({"weights": weights} if weights else {}) | ({EMBED: "1"} if is_embedded(request.query_params) else {})
    joint = "&" if "?" in url else "?"
    return RedirectResponse(f"{url}{joint if kept else ''}{urlencode(kept)}", 303, {"Cache-Control": "no-cache"})
