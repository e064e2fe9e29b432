"""The JSON twin of every page, below /api/v1."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Request, Response
from fastapi.routing import APIRoute

from app.explorer import browse
from app.explorer import jobs as job_verbs
from app.explorer.places import named
from app.web import schema, twin
from app.web.answers import NO_STORE, json_answer
from app.web.examples import EXAMPLES
from app.web.query import JobsQuery, MapQuery, TableQuery, TurnQuery, ViewQuery
from app.web.site import resources_of, urls_of

router = APIRouter(prefix="/api/v1")

Slug = Annotated[str, Path(description="A model's name, or name@pin.", examples=["demo"])]
Layer = Annotated[str, Path(description="L0, L1 …", examples=["L5"])]
Head = Annotated[str, Path(description="H0, H1 …", examples=["H3"])]
Circuit = Annotated[str, Path(description="ov or qk.", examples=["ov"])]
Basis = Annotated[str, Path(description="svd.", examples=["svd"])]
Index = Annotated[str, Path(description="0, 1 …", examples=["12"])]
Id = Path(alias="id", description="Twelve digits that its page's address ends with.", examples=["0123456789ab"])

FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": schema.ErrorJson, "description": text}
    for status, text in {
        202: "Being computed; ask again in Retry-After seconds.",
        400: "A Host header that is none.",
        404: "Nothing of that name; `detail` has the valid range.",
        413: "A request with a body.",
        414: "An address and query of more than 2,000 bytes.",
        421: "A host name that this server does not answer to.",
        422: "A query value out of its range.",
        431: "Header fields of more than 16 KiB.",
        503: "Too much to do, or this computation failed; ask again in Retry-After seconds.",
    }.items()
}


def install_examples(app: FastAPI) -> None:
    """Show an example of every good answer. FastAPI would drop what is null in it, so they join its finished document."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        document = describe()
        for route in router.routes:
            if isinstance(route, APIRoute):
                good = document["paths"][route.path]["get"]["responses"]["200"]
                good["content"]["application/json"]["example"] = EXAMPLES[route.name]
        return document

    app.openapi = described  # type: ignore[method-assign]


def _passing(answer: Response) -> Response:
    """An answer that is soon no longer true."""
    answer.headers.update(NO_STORE)
    return answer


def _answer(
    request: Request, verb: Callable[..., Any], twin_of: Callable[..., Any], *parts: str, **how: Any
) -> Response:
    """What the verb says of the address, as JSON; a pin names the numbers for ever."""
    address = named(resources_of(request), "/".join(parts))
    page = verb(resources_of(request), address, **how)
    return json_answer(request, twin_of(page, urls_of(request)), keep=address.pin is not None)


@router.get("/", summary="Models", response_model=schema.HomeJson, responses=FAULTS)
def models(request: Request) -> Response:
    """The models of this server."""
    return json_answer(request, twin.home_json(browse.home(resources_of(request)), urls_of(request)))


@router.get("/-/jobs", summary="Jobs", response_model=schema.JobsJson, responses=FAULTS)
def jobs(request: Request, query: Annotated[JobsQuery, Query()]) -> Response:
    """Jobs that compute every head of a model: those that wait or run, and the last that ended, newest first."""
    page = job_verbs.jobs(resources_of(request), query.model, live=query.live)
    return _passing(json_answer(request, twin.jobs_json(page, urls_of(request))))


@router.get("/-/jobs/{id}", summary="Job", response_model=schema.JobJson, responses=FAULTS)
def job(request: Request, id_: Annotated[str, Id]) -> Response:
    """How far a job is."""
    return _passing(json_answer(request, twin.job_json(job_verbs.job(resources_of(request), id_), urls_of(request))))


@router.get("/{model}", summary="Model", response_model=schema.ModelPageJson, responses=FAULTS)
def model(request: Request, model: Slug, query: Annotated[MapQuery, Query()]) -> Response:
    """A model's facts and the map of its heads."""
    return _answer(request, browse.model, twin.model_json, model, options=query.options(), score=query.score)


@router.get("/{model}/notable", summary="Gallery", response_model=schema.NotablePageJson, responses=FAULTS)
def notable(request: Request, model: Slug, query: Annotated[ViewQuery, Query()]) -> Response:
    """Rays of the model whose written tokens are most alike, at most one a head; a first look, no test."""
    return _answer(request, browse.notable, twin.notable_json, model, options=query.options())


@router.get("/{model}/{layer}", summary="Layer", response_model=schema.LayerJson, responses=FAULTS)
def layer(request: Request, model: Slug, layer: Layer, query: Annotated[ViewQuery, Query()]) -> Response:
    """A layer's heads in little."""
    return _answer(request, browse.layer, twin.layer_json, model, layer, options=query.options())


@router.get("/{model}/{layer}/{head}", summary="Head", response_model=schema.HeadJson, responses=FAULTS)
def head(request: Request, model: Slug, layer: Layer, head: Head, query: Annotated[TableQuery, Query()]) -> Response:
    """A head: its OV and its QK."""
    return _answer(request, browse.head, twin.head_json, model, layer, head, options=query.options())


MATRIX = "/{model}/{layer}/{head}/{circuit}"


@router.get(MATRIX, summary="Matrix", response_model=schema.MatrixJson, responses=FAULTS)
def matrix(
    request: Request,
    model: Slug,
    layer: Layer,
    head: Head,
    circuit: Circuit,
    query: Annotated[TableQuery, Query()],
) -> Response:
    """A matrix and a page of its directions, in the basis of its singular vectors."""
    parts = (model, layer, head, circuit)
    return _answer(request, browse.matrix, twin.matrix_json, *parts, options=query.options())


@router.get(MATRIX + "/{basis}", summary="Decomposition", response_model=schema.MatrixJson, responses=FAULTS)
def decomposition(
    request: Request,
    model: Slug,
    layer: Layer,
    head: Head,
    circuit: Circuit,
    basis: Basis,
    query: Annotated[TableQuery, Query()],
) -> Response:
    """A matrix and a page of its directions, in that basis."""
    parts = (model, layer, head, circuit, basis)
    return _answer(request, browse.matrix, twin.matrix_json, *parts, options=query.options())


@router.get(
    MATRIX + "/{basis}/{index}",
    summary="Direction",
    response_model=schema.DirectionPageJson,
    responses=FAULTS,
)
def direction(
    request: Request,
    model: Slug,
    layer: Layer,
    head: Head,
    circuit: Circuit,
    basis: Basis,
    index: Index,
    query: Annotated[TurnQuery, Query()],
) -> Response:
    """One direction, both rays, up to 50 tokens each."""
    parts = (model, layer, head, circuit, basis, index)
    return _answer(request, browse.direction, twin.direction_page_json, *parts, options=query.options())
