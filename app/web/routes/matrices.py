"""The JSON twins of matrices in each basis and of their directions, below /api/v1: of heads, of layers, of models.

One function for each depth, whatever the matrix is of.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.core.address import Address, parse
from app.core.basis import BASES
from app.explorer.errors import UnknownAddress
from app.explorer.pages.matrices import FitPage
from app.explorer.visits import browse
from app.explorer.visits.compare import compare
from app.explorer.visits.finding.around import around
from app.web.api import schema, twin
from app.web.api.parts import Head, Layer, Slug, describe_answers
from app.web.http.answers import json_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, urls_of
from app.web.http.threads import searching
from app.web.query import AroundQuery, BasisQuery, CompareQuery, TableQuery, TurnQuery
from app.web.urls import AROUND, COMPARE

PREFIX = "/api/v1"
router = APIRouter(prefix=PREFIX, route_class=PatientRoute)

Circuit = Annotated[str, Path(description="ov or qk.", examples=["ov"])]
Part = Annotated[str, Path(description="in, gate or out.", examples=["in"])]
Stack = Annotated[str, Path(description="write or read.", examples=["write"])]
Basis = Annotated[str, Path(description=f"{', '.join(BASES)}: not every matrix has each.", examples=["svd"])]
Index = Annotated[
    str,
    Path(description="0, 1 …; in the neuron basis the number of the neuron, or of the coordinate.", examples=["12"]),
]


async def of_stack(model: Slug, stack: Stack) -> None:
    """What every head's OV writes, or reads, stacked."""


async def of_model(model: Slug) -> None:
    """A matrix of the whole model."""


async def of_layer(model: Slug, layer: Layer, part: Part) -> None:
    """A matrix of a layer's MLP."""


async def of_head(model: Slug, layer: Layer, head: Head, circuit: Circuit) -> None:
    """A matrix of a head."""


async def in_basis(basis: Basis) -> None:
    """The matrix in a basis."""


async def at_index(index: Index) -> None:
    """A direction of it."""


PLACES: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "/{model}/embed": of_model,
    "/{model}/unembed": of_model,
    "/{model}/pos": of_model,
    "/{model}/heads/{stack}": of_stack,
    "/{model}/{layer}/mlp-{part}": of_layer,
    "/{model}/{layer}/{head}/{circuit}": of_head,
}
"""Path of a matrix -> what the parts of that path are."""
UNBANKED = ("/{model}/pos", "/{model}/heads/{stack}")
"""Matrices whose directions are in no bank: those of positions, and those that are heads' own already."""


def matrix(request: Request, query: Annotated[TableQuery, Query()]) -> Response:
    """A matrix and a page of its singular directions."""
    return _answer(request, browse.matrix, twin.matrix_json, query)


def comparison(request: Request, query: Annotated[CompareQuery, Query()]) -> Response:
    """The bases of a matrix side by side: errors, spans, and the nearest partners of one direction."""
    path = str(request.scope["path"]).partition(f"{PREFIX}/")[2].removesuffix("/compare")
    address, how = parse(path), (query.nonzeros, query.first, query.direction, query.wanted())
    if one := browse.one_page(resources_of(request), address, query.options()):
        asked = f"?{request.url.query}" if request.url.query else ""
        url = urls_of(request).api(one, under=COMPARE)
        return RedirectResponse(f"{url}{asked}", 307, {"Cache-Control": "no-cache"})
    page = compare(resources_of(request), address, query.options(), *how)
    return json_answer(request, twin.compare_json(page, urls_of(request)))


def decomposition(request: Request, query: Annotated[TableQuery, Query()]) -> Response:
    """A matrix and a page of its directions in that basis; 404 for a fit that nobody has computed."""
    return _answer(request, browse.matrix, twin.matrix_json, query)


def direction(request: Request, query: Annotated[TurnQuery, Query()]) -> Response:
    """One direction, both rays, up to 50 tokens each."""
    return _answer(request, browse.direction, twin.direction_page_json, query)


@searching
def surroundings(request: Request, query: Annotated[AroundQuery, Query()]) -> Response:
    """What a direction is like, what reads it and what writes it; 404 where the bank was not built."""
    address = parse(str(request.scope["path"]).partition(f"{PREFIX}/")[2].removesuffix(f"/{AROUND}"))
    found = around(resources_of(request), address, query.options(), query.path)
    return json_answer(request, twin.around_json(found, urls_of(request)))


def _answer(request: Request, verb: Callable[..., Any], twin_of: Callable[..., Any], query: BasisQuery) -> Response:
    """What the verb says of the address that the path spells."""
    address = parse(str(request.scope["path"]).partition(f"{PREFIX}/")[2])
    r, urls, options = resources_of(request), urls_of(request), query.options()
    if one := browse.one_page(r, address, options):
        return _elsewhere(request, one)
    page = verb(r, address, options)
    if isinstance(page, FitPage):
        raise UnknownAddress(f"{page.address.label} is not here with these parameters: {page.command} computes it.")
    return json_answer(request, twin_of(page, urls))


def _elsewhere(request: Request, address: Address) -> Response:
    """To the twin of that address, the query kept."""
    asked = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{urls_of(request).api(address)}{asked}", 307, {"Cache-Control": "no-cache"})


@router.get("/{model}/heads", include_in_schema=False)
def heads(request: Request, model: Slug) -> Response:
    """Of the two matrices of all heads, the one of what they write."""
    return _elsewhere(request, parse(model).at("heads/write"))


for _path, _place in PLACES.items():
    router.get(_path, summary="Matrix", responses=describe_answers(schema.MatrixJson), dependencies=[Depends(_place)])(
        matrix
    )
    router.get(
        f"{_path}/compare",
        summary="Bases side by side",
        responses=describe_answers(schema.CompareJson),
        dependencies=[Depends(_place)],
    )(comparison)
    router.get(
        f"{_path}/{{basis}}",
        summary="Decomposition",
        responses=describe_answers(schema.MatrixJson),
        dependencies=[Depends(_place), Depends(in_basis)],
    )(decomposition)
    router.get(
        f"{_path}/{{basis}}/{{index}}",
        summary="Direction",
        responses=describe_answers(schema.DirectionPageJson),
        dependencies=[Depends(_place), Depends(in_basis), Depends(at_index)],
    )(direction)
    router.get(
        f"{_path}/{{basis}}/{{index}}/{AROUND}",
        summary="Around a direction",
        responses=describe_answers(schema.AroundJson),
        dependencies=[Depends(_place), Depends(in_basis), Depends(at_index)],
        include_in_schema=_path not in UNBANKED,
    )(surroundings)
