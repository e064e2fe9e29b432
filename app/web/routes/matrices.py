"""The JSON twins of matrices, decompositions and directions, below /api/v1: of heads, layers and models.

One function for each depth, whether the matrix belongs to a head, a layer or the model.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.core.address import Address, parse
from app.core.basis import BASES
from app.explorer.errors import UnknownAddress
from app.explorer.pages.circuitry import AroundPage
from app.explorer.pages.compare import ComparePage
from app.explorer.pages.directions import DirectionPage
from app.explorer.pages.matrices import FitPage, MatrixPage
from app.explorer.visits import browse
from app.explorer.visits.compare import visit_comparison
from app.explorer.visits.finding.around import visit_around
from app.web.api.body import write_body
from app.web.api.parts import Head, Layer, Slug, describe_answers
from app.web.http.answers import json_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, urls_of
from app.web.http.threads import answer_in_search_thread
from app.web.query.finding import AroundQuery
from app.web.query.matrix import BasisQuery, CompareQuery, DirectionQuery, TableQuery
from app.web.urls.paths import AROUND, COMPARE

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


async def declare_stack(model: Slug, stack: Stack) -> None:
    """Declare the path's parameters of the matrix of all heads' OV, stacked on the write or the read side."""


async def declare_model(model: Slug) -> None:
    """Declare the path's parameters of a matrix of the whole model."""


async def declare_mlp(model: Slug, layer: Layer, part: Part) -> None:
    """Declare the path's parameters of a matrix of a layer's MLP."""


async def declare_head(model: Slug, layer: Layer, head: Head, circuit: Circuit) -> None:
    """Declare the path's parameters of a matrix of a head."""


async def declare_basis(basis: Basis) -> None:
    """Declare the path's parameter of the basis."""


async def declare_index(index: Index) -> None:
    """Declare the path's parameter of the direction."""


PLACES: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "/{model}/embed": declare_model,
    "/{model}/unembed": declare_model,
    "/{model}/pos": declare_model,
    "/{model}/heads/{stack}": declare_stack,
    "/{model}/{layer}/mlp-{part}": declare_mlp,
    "/{model}/{layer}/{head}/{circuit}": declare_head,
}
"""Path of a matrix -> the dependency that declares its parameters."""
UNBANKED = ("/{model}/pos", "/{model}/heads/{stack}")
"""Matrices whose directions are in no bank: those of positions, and those that are heads' own already."""


def matrix(request: Request, query: Annotated[TableQuery, Query()]) -> Response:
    """A matrix and a page of its singular directions."""
    return _answer_json(request, browse.visit_matrix, query)


def comparison(request: Request, query: Annotated[CompareQuery, Query()]) -> Response:
    """The bases of a matrix side by side: errors, spans, and the nearest partners of one direction."""
    path = str(request.scope["path"]).partition(f"{PREFIX}/")[2].removesuffix("/compare")
    address, how = parse(path), (query.nonzeros, query.first, query.direction, query.wanted_fits())
    if one := browse.find_double(resources_of(request), address, query.options()):
        asked = f"?{request.url.query}" if request.url.query else ""
        url = urls_of(request).api(one, under=COMPARE)
        return RedirectResponse(f"{url}{asked}", 307, {"Cache-Control": "no-cache"})
    page = visit_comparison(resources_of(request), address, query.options(), *how)
    return json_answer(request, write_body(page, urls_of(request)))


def decomposition(request: Request, query: Annotated[TableQuery, Query()]) -> Response:
    """A matrix and a page of its directions in that basis; 404 for a fit that nobody has computed."""
    return _answer_json(request, browse.visit_matrix, query)


def direction(request: Request, query: Annotated[DirectionQuery, Query()]) -> Response:
    """One direction, both rays, up to 50 tokens each."""
    return _answer_json(request, browse.visit_direction, query)


@answer_in_search_thread
def surroundings(request: Request, query: Annotated[AroundQuery, Query()]) -> Response:
    """What a direction is like, what reads it and what writes it; 404 where the bank was not built."""
    address = parse(str(request.scope["path"]).partition(f"{PREFIX}/")[2].removesuffix(f"/{AROUND}"))
    found = visit_around(resources_of(request), address, query.options(), query.path)
    return json_answer(request, write_body(found, urls_of(request)))


def _answer_json(request: Request, verb: Callable[..., Any], query: BasisQuery) -> Response:
    """Answer with the JSON twin of the page that the verb makes of the path's address."""
    address = parse(str(request.scope["path"]).partition(f"{PREFIX}/")[2])
    r, options = resources_of(request), query.options()
    if one := browse.find_double(r, address, options):
        return _redirect_to_twin(request, one)
    page = verb(r, address, options)
    if isinstance(page, FitPage):
        raise UnknownAddress(f"{page.address.label} is not here with these parameters: {page.command} computes it.")
    return json_answer(request, write_body(page, urls_of(request)))


def _redirect_to_twin(request: Request, address: Address) -> Response:
    """Redirect to the JSON twin of an address, the query kept."""
    asked = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{urls_of(request).api(address)}{asked}", 307, {"Cache-Control": "no-cache"})


@router.get("/{model}/heads", include_in_schema=False)
def redirect_heads(request: Request, model: Slug) -> Response:
    """Redirect to the write side, one of the two matrices of all heads."""
    return _redirect_to_twin(request, parse(model).at("heads/write"))


for _path, _place in PLACES.items():
    router.get(_path, summary="Matrix", responses=describe_answers(MatrixPage), dependencies=[Depends(_place)])(matrix)
    router.get(
        f"{_path}/compare",
        summary="Bases side by side",
        responses=describe_answers(ComparePage),
        dependencies=[Depends(_place)],
    )(comparison)
    router.get(
        f"{_path}/{{basis}}",
        summary="Decomposition",
        responses=describe_answers(MatrixPage),
        dependencies=[Depends(_place), Depends(declare_basis)],
    )(decomposition)
    router.get(
        f"{_path}/{{basis}}/{{index}}",
        summary="Direction",
        responses=describe_answers(DirectionPage),
        dependencies=[Depends(_place), Depends(declare_basis), Depends(declare_index)],
    )(direction)
    router.get(
        f"{_path}/{{basis}}/{{index}}/{AROUND}",
        summary="Around a direction",
        responses=describe_answers(AroundPage),
        dependencies=[Depends(_place), Depends(declare_basis), Depends(declare_index)],
        include_in_schema=_path not in UNBANKED,
    )(surroundings)
