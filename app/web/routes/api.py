"""The JSON twin of every page, below /api/v1."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from app.core.address import parse
from app.explorer.visits import browse
from app.explorer.visits import jobs as job_verbs
from app.explorer.visits.census import census_page
from app.web.api import schema, twin
from app.web.api.parts import Head, Layer, Slug, describe_answers
from app.web.http.answers import NO_STORE, json_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, urls_of
from app.web.http.threads import aside
from app.web.query import JobsQuery, MapQuery, NotableQuery, TableQuery, ViewQuery

router = APIRouter(prefix="/api/v1", route_class=PatientRoute)

Id = Path(alias="id", description="Twelve digits that its page's address ends with.", examples=["0123456789ab"])


def _passing(answer: Response) -> Response:
    """An answer that is soon no longer true."""
    answer.headers.update(NO_STORE)
    return answer


def _answer(
    request: Request, verb: Callable[..., Any], twin_of: Callable[..., Any], *parts: str, **how: Any
) -> Response:
    """What the verb says of the address, as JSON."""
    page = verb(resources_of(request), parse("/".join(parts)), **how)
    return json_answer(request, twin_of(page, urls_of(request)))


@router.get("/", summary="Models", responses=describe_answers(schema.HomeJson))
def models(request: Request) -> Response:
    """The models of this server."""
    return json_answer(request, twin.home_json(browse.home(resources_of(request)), urls_of(request)))


@router.get("/-/jobs", summary="Jobs", responses=describe_answers(schema.JobsJson))
def jobs(request: Request, query: Annotated[JobsQuery, Query()]) -> Response:
    """Jobs that import a model or compute its matrices: those that wait or run, and the last that ended, newest first."""
    page = job_verbs.jobs(resources_of(request), query.model, live=query.live)
    return _passing(json_answer(request, twin.jobs_json(page, urls_of(request))))


@router.get("/-/jobs/{id}", summary="Job", responses=describe_answers(schema.JobJson))
def job(request: Request, id_: Annotated[str, Id]) -> Response:
    """How far a job is."""
    return _passing(json_answer(request, twin.job_json(job_verbs.job(resources_of(request), id_), urls_of(request))))


@router.get("/{model}", summary="Model", responses=describe_answers(schema.ModelPageJson))
def model(request: Request, model: Slug, query: Annotated[MapQuery, Query()]) -> Response:
    """A model's facts and the map of its heads."""
    return _answer(request, browse.model, twin.model_json, model, options=query.options(), score=query.score)


@router.get("/{model}/notable", summary="Gallery", responses=describe_answers(schema.NotablePageJson))
def notable(request: Request, model: Slug, query: Annotated[NotableQuery, Query()]) -> Response:
    """The readable rays of the model, page by page; of the layers that were read so far, as `whole` says."""
    page = browse.notable(resources_of(request), parse(model), query.options(), query.sought())
    answer = json_answer(request, twin.notable_json(page, urls_of(request)))
    return answer if page.is_whole else _passing(answer)


@router.get("/{model}/census", summary="Census", responses=describe_answers(schema.CensusJson))
@aside
def census(request: Request, model: Slug, query: Annotated[ViewQuery, Query()]) -> Response:
    """How readable the rays of every kind of matrix are beside random directions; layers join as they are read."""
    page = census_page(resources_of(request), parse(model), query.options())
    return json_answer(request, twin.census_json(page, urls_of(request)))


@router.get("/{model}/{layer}", summary="Layer", responses=describe_answers(schema.LayerJson))
def layer(request: Request, model: Slug, layer: Layer, query: Annotated[ViewQuery, Query()]) -> Response:
    """A layer's heads in little."""
    return _answer(request, browse.layer, twin.layer_json, model, layer, options=query.options())


@router.get("/{model}/{layer}/{head}", summary="Head", responses=describe_answers(schema.HeadJson))
def head(request: Request, model: Slug, layer: Layer, head: Head, query: Annotated[TableQuery, Query()]) -> Response:
    """A head: its OV and its QK."""
    return _answer(request, browse.head, twin.head_json, model, layer, head, options=query.options())
