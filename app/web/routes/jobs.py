"""The jobs: a page for each and one for all, events of progress, and the only requests that change something.

Those are POSTs without a body; the gate lets through only what a page of this server sends.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from app.explorer.asking.places import require_model
from app.explorer.asking.tasks import read_wish
from app.explorer.visits import jobs
from app.jobs.arrivals import start_import
from app.jobs.runner import Runner
from app.web.http.answers import NO_STORE, page_answer, render
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, runner_of, site_of, streams_of, urls_of
from app.web.http.streams import News, NewsStream
from app.web.query.jobs import JobsQuery, WishQuery
from app.web.view.templating import PAGE_TEMPLATES

router = APIRouter(include_in_schema=False, prefix="/-/jobs", route_class=PatientRoute)


def _require_runner(request: Request) -> Runner:
    """Refuse visitors where they may start nothing, before what they ask for is read."""
    runner = runner_of(request)
    if runner is None:
        raise HTTPException(
            403,
            "Visitors start and cancel nothing on this server. "
            + (
                "It is for the public, and shows what was computed beforehand."
                if site_of(request).settings.public
                else "Whoever runs it can allow it with --allow-jobs, or precompute in a terminal."
            ),
        )
    return runner


@router.get("")
def show_jobs(request: Request, query: Annotated[JobsQuery, Query()]) -> Response:
    """Show the jobs of this server's models, or of one of them."""
    page = jobs.visit_jobs(resources_of(request), query.model, allowed=_are_jobs_allowed(request), live=query.live)
    return page_answer(request, page, NO_STORE)


@router.post("")
def start_job(
    request: Request, runner: Annotated[Runner, Depends(_require_runner)], query: Annotated[WishQuery, Query()]
) -> Response:
    """Start a job, or find the one that computes the same already, and redirect to its page."""
    r = resources_of(request)
    if query.kind == "import":
        return RedirectResponse(urls_of(request).job(start_import(r, runner, query.model).id), 303, NO_STORE)
    asked = read_wish(
        require_model(r, query.model),
        r.default_weights,
        matrices=query.matrices,
        weights=query.weights,
        basis=query.basis,
        parameters=query.parameters(),
    )
    begun = runner.start(asked.slug, asked.fingerprint, asked.task)
    return RedirectResponse(urls_of(request).job(begun.id), 303, NO_STORE)


@router.get("/{id_}")
def show_job(request: Request, id_: str) -> Response:
    """Show the progress of one job."""
    return page_answer(
        request, jobs.visit_job(resources_of(request), id_, allowed=_are_jobs_allowed(request)), NO_STORE
    )


@router.get("/{id_}/events")
async def stream_job(request: Request, id_: str) -> Response:
    """Stream the changing part of a job's page, each time it changes."""
    streams = streams_of(request)

    def look() -> News:
        page = jobs.visit_job(resources_of(request), id_, allowed=_are_jobs_allowed(request))
        template = PAGE_TEMPLATES[type(page)].fragment
        assert template is not None
        return News(render(request, template, page=page), not page.is_live)

    await streams.look(look)  # raises for an unknown job before the stream begins
    return NewsStream(streams, look)


@router.post("/{id_}/cancel", dependencies=[Depends(_require_runner)])
def cancel_job(request: Request, id_: str) -> Response:
    """Ask a job to end; one that has ended stays as it is."""
    jobs.cancel_job(resources_of(request), id_)
    return RedirectResponse(urls_of(request).job(id_), 303, NO_STORE)


def _are_jobs_allowed(request: Request) -> bool:
    return site_of(request).settings.allow_jobs
