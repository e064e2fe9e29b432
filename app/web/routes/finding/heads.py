"""Comparisons of heads: composition, similar heads, two places side by side; the pages and their JSON twins."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.core.address import parse
from app.explorer.pages.composition import AlikePage, CompositionPage
from app.explorer.pages.contrast import ContrastPage
from app.explorer.visits.finding.alike import visit_alike as alike_verb
from app.explorer.visits.finding.composition import collect_composition_rows
from app.explorer.visits.finding.composition import visit_composition as composition_verb
from app.explorer.visits.finding.contrast import visit_contrast as contrast_verb
from app.web.api.body import write_body
from app.web.api.parts import Head, Layer, Slug, describe_answers
from app.web.api.sheet import composition_sheet
from app.web.http.answers import csv_stream, json_answer, page_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, urls_of
from app.web.http.threads import answer_in_search_thread, make_in_long_thread
from app.web.query.finding import CompositionPageQuery, CompositionQuery, ContrastQuery
from app.web.query.form import ViewQuery

router = APIRouter(route_class=PatientRoute)


@router.get("/{model}/composition", include_in_schema=False)
async def show_composition(request: Request, model: str, query: Annotated[CompositionPageQuery, Query()]) -> Response:
    """Show which heads compose with which; as a file every pair, which takes long."""
    if query.format is None:
        return await run_in_threadpool(_answer_composition, request, model, query)
    return await make_in_long_thread(request, partial(_answer_composition_file, request, model, query))


def _answer_composition(request: Request, model: str, query: CompositionPageQuery) -> Response:
    r, where, options = resources_of(request), parse(model), query.options()
    return page_answer(request, composition_verb(r, where, options, query.kind, *query.layers(), query.n))


def _answer_composition_file(request: Request, model: str, query: CompositionPageQuery) -> Response:
    r, where, options = resources_of(request), parse(model), query.options()
    found = collect_composition_rows(r, where, options, query.kind, *query.layers())
    layers = [
        f"{name}-L{layer}"
        for name, layer in (("writer", found.page.writer), ("reader", found.page.reader))
        if layer is not None
    ]
    words = (found.page.model.slug, "composition", query.kind, *layers, found.page.view.weights, found.page.model.pin)
    return csv_stream(request, composition_sheet(found.parts), found.content, "-".join(words))


@router.get("/api/v1/{model}/composition", summary="Composition", responses=describe_answers(CompositionPage))
def composition(request: Request, model: Slug, query: Annotated[CompositionQuery, Query()]) -> Response:
    """Which heads read what which others write, from weights alone; 404 where it was not precomputed."""
    page = composition_verb(resources_of(request), parse(model), query.options(), query.kind, *query.layers(), query.n)
    return json_answer(request, write_body(page, urls_of(request)))


@router.get("/{model}/{layer}/{head}/alike", include_in_schema=False)
def show_alike(request: Request, model: str, layer: str, head: str, query: Annotated[ViewQuery, Query()]) -> Response:
    """Show the heads that are like one."""
    return page_answer(request, alike_verb(resources_of(request), parse(f"{model}/{layer}/{head}"), query.options()))


@router.get("/api/v1/{model}/{layer}/{head}/alike", summary="Heads like one", responses=describe_answers(AlikePage))
def alike(request: Request, model: Slug, layer: Layer, head: Head, query: Annotated[ViewQuery, Query()]) -> Response:
    """The heads whose subspaces share most with this one's; 404 where it was not precomputed."""
    page = alike_verb(resources_of(request), parse(f"{model}/{layer}/{head}"), query.options())
    return json_answer(request, write_body(page, urls_of(request)))


@router.get("/-/compare", include_in_schema=False)
@answer_in_search_thread
def show_contrast(request: Request, query: Annotated[ContrastQuery, Query()]) -> Response:
    """Show two places side by side."""
    return page_answer(request, contrast_verb(resources_of(request), query.a, query.b))


@router.get("/api/v1/-/compare", summary="Side by side", responses=describe_answers(ContrastPage))
@answer_in_search_thread
def contrast(request: Request, query: Annotated[ContrastQuery, Query()]) -> Response:
    """Two heads, matrices or directions of one kind: spectra, angles between spans, partners, tokens in common."""
    page = contrast_verb(resources_of(request), query.a, query.b)
    return json_answer(request, write_body(page, urls_of(request)))
