"""The jobs: a page for each and one for all, news of them, and the only requests that change something here.

Those are sent with POST and without a body; the gate has seen to it that a page of this server sends them.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from app.explorer.asking.places import opened
from app.explorer.asking.tasks import wish
from app.explorer.visits import jobs
from app.jobs.arrivals import bring
from app.jobs.runner import Runner
from app.web.http.answers import NO_STORE, page_answer, rendered
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, runner_of, site_of, streams_of, urls_of
from app.web.http.streams import Live, News
from app.web.query import JobsQuery, WishQuery
from app.web.view.templating import PICTURES

router = APIRouter(include_in_schema=False, prefix="/-/jobs", route_class=PatientRoute)


@router.get("")
def all_jobs(request: Request, query: Annotated[JobsQuery, Query()]) -> Response:
    """The jobs of this server's models, or of one of them."""
    page = jobs.jobs(resources_of(request), query.model, allowed=_allowed(request), live=query.live)
    return page_answer(request, page, NO_STORE)


@router.post("")
def start(request: Request, query: Annotated[WishQuery, Query()]) -> Response:
    """Begin a job, or find the one that computes the same already."""
    runner = _runner(request)
    r = resources_of(request)
    if query.kind == "import":
        return RedirectResponse(urls_of(request).job(bring(r, runner, query.model).id), 303, NO_STORE)
    asked = wish(
        opened(r, query.model),
        r.default_weights,
        matrices=query.matrices,
        weights=query.weights,
        basis=query.basis,
        parameters=query.parameters(),
    )
    begun = runner.start(asked.slug, asked.fingerprint, asked.task)
    return RedirectResponse(urls_of(request).job(begun.id), 303, NO_STORE)


@router.get("/{id_}")
def job(request: Request, id_: str) -> Response:
    """How far one job is."""
    return page_answer(request, jobs.job(resources_of(request), id_, allowed=_allowed(request)), NO_STORE)


@router.get("/{id_}/events")
async def events(request: Request, id_: str) -> Response:
    """The same while it changes: the part of the page that does, as often as it does."""
    streams = streams_of(request)

    def look() -> News:
        page = jobs.job(resources_of(request), id_, allowed=_allowed(request))
        template = PICTURES[type(page)].fragment
        assert template is not None
        return News(rendered(request, template, page=page), not page.job.is_live)

    await streams.news(look)  # a job that is not here is told before the stream begins
    return Live(streams, look)


@router.post("/{id_}/cancel")
def cancel(request: Request, id_: str) -> Response:
    """Ask a job to end; one that has ended stays as it is."""
    _runner(request)
    jobs.cancel(resources_of(request), id_)
    return RedirectResponse(urls_of(request).job(id_), 303, NO_STORE)


def _allowed(request: Request) -> bool:
    return site_of(request).settings.allow_jobs


def _runner(request: Request) -> Runner:
    runner = runner_of(request)
    if runner is None:
        raise HTTPException(
            403,
            "Visitors start and cancel nothing on this server. Whoever runs it can allow it with --allow-jobs, or "
            "precompute in a terminal.",
        )
    return runner
