"""The JSON twin of every page, below /api/v1."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from app.core.address import parse
from app.explorer.pages.census import CensusPage
from app.explorer.pages.gallery import NotablePage
from app.explorer.pages.jobs import JobPage, JobsPage
from app.explorer.pages.maps import HomePage, LayerPage, ModelPage
from app.explorer.pages.matrices import HeadPage
from app.explorer.visits import browse
from app.explorer.visits import jobs as job_verbs
from app.explorer.visits.census import visit_census
from app.web.api.body import write_body
from app.web.api.parts import Head, Layer, Slug, describe_answers
from app.web.http.answers import NO_STORE, json_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, urls_of
from app.web.http.threads import answer_in_long_thread
from app.web.query.form import ViewQuery
from app.web.query.jobs import JobsQuery
from app.web.query.matrix import TableQuery
from app.web.query.model import MapQuery, NotableQuery

router = APIRouter(prefix="/api/v1", route_class=PatientRoute)

Id = Path(alias="id", description="Twelve digits that its page's address ends with.", examples=["0123456789ab"])


def _forbid_storing(answer: Response) -> Response:
    """Forbid caches to store an answer that will soon change."""
    answer.headers.update(NO_STORE)
    return answer


def _answer_json(request: Request, verb: Callable[..., Any], *parts: str, **how: Any) -> Response:
    """Answer with the JSON twin of the page that the verb makes of the address."""
    page = verb(resources_of(request), parse("/".join(parts)), **how)
    return json_answer(request, write_body(page, urls_of(request)))


@router.get("/", summary="Models", responses=describe_answers(HomePage))
def models(request: Request) -> Response:
    """The models of this server."""
    return json_answer(request, write_body(browse.visit_home(resources_of(request)), urls_of(request)))


@router.get("/-/jobs", summary="Jobs", responses=describe_answers(JobsPage))
def jobs(request: Request, query: Annotated[JobsQuery, Query()]) -> Response:
    """Jobs that import a model or compute its matrices: those that wait or run, and the last that ended, newest first."""
    page = job_verbs.visit_jobs(resources_of(request), query.model, live=query.live)
    return _forbid_storing(json_answer(request, write_body(page, urls_of(request))))


@router.get("/-/jobs/{id}", summary="Job", responses=describe_answers(JobPage))
def job(request: Request, id_: Annotated[str, Id]) -> Response:
    """How far a job is."""
    return _forbid_storing(
        json_answer(request, write_body(job_verbs.visit_job(resources_of(request), id_), urls_of(request)))
    )


@router.get("/{model}", summary="Model", responses=describe_answers(ModelPage))
def model(request: Request, model: Slug, query: Annotated[MapQuery, Query()]) -> Response:
    """A model's facts and the map of its heads."""
    return _answer_json(request, browse.visit_model, model, options=query.options(), score=query.score)


@router.get("/{model}/notable", summary="Gallery", responses=describe_answers(NotablePage))
def notable(request: Request, model: Slug, query: Annotated[NotableQuery, Query()]) -> Response:
    """The readable rays of the model, page by page; of the layers that were read so far, as `whole` says."""
    page = browse.visit_gallery(resources_of(request), parse(model), query.options(), query.as_sought())
    answer = json_answer(request, write_body(page, urls_of(request)))
    return answer if page.whole else _forbid_storing(answer)


@router.get("/{model}/census", summary="Census", responses=describe_answers(CensusPage))
@answer_in_long_thread
def census(request: Request, model: Slug, query: Annotated[ViewQuery, Query()]) -> Response:
    """How readable the rays of every kind of matrix are beside random directions; layers join as they are read."""
    page = visit_census(resources_of(request), parse(model), query.options())
    return json_answer(request, write_body(page, urls_of(request)))


@router.get("/{model}/{layer}", summary="Layer", responses=describe_answers(LayerPage))
def layer(request: Request, model: Slug, layer: Layer, query: Annotated[ViewQuery, Query()]) -> Response:
    """A layer's heads in little."""
    return _answer_json(request, browse.visit_layer, model, layer, options=query.options())


@router.get("/{model}/{layer}/{head}", summary="Head", responses=describe_answers(HeadPage))
def head(request: Request, model: Slug, layer: Layer, head: Head, query: Annotated[TableQuery, Query()]) -> Response:
    """A head: its OV and its QK."""
    return _answer_json(request, browse.visit_head, model, layer, head, options=query.options())
