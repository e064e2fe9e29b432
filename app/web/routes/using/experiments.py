"""Experiments: the form, the POST that keeps one, its page, its table as a file, and its JSON twin."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from app.core.address import parse
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.pages.using.experiments import ExperimentPage
from app.explorer.view import PROCESSINGS
from app.explorer.visits.using import experiments as verbs
from app.explorer.visits.using.scripts import write_experiment_script
from app.web.api.body import write_body
from app.web.api.parts import OF_PROMPTS, Key, Slug, describe_answers
from app.web.api.sheet import experiment_sheet
from app.web.http.answers import PRIVATE, file_answer, html_answer, json_answer, page_answer, script_answer
from app.web.http.forms import read_form
from app.web.http.patience import PatientRoute
from app.web.http.site import require_prompter, resources_of, urls_of
from app.web.query.changing import ExperimentFormQuery, ExperimentPageQuery, ExperimentQuery
from app.web.urls.paths import EXPERIMENTS

router = APIRouter(route_class=PatientRoute)


@router.get("/{model}/x", include_in_schema=False)
def show_form(request: Request, model: str, query: Annotated[ExperimentFormQuery, Query()]) -> Response:
    """Show the form that asks for an experiment."""
    require_prompter(request)
    r, where = resources_of(request), parse(model)
    wish = verbs.fill_in(r, where, query.experiment(), query.like, query.first)
    form = verbs.visit_form(r, where, query.options(), wish)
    return page_answer(request, form, PRIVATE)


@router.post("/{model}/x", include_in_schema=False)
async def make(request: Request, model: str) -> Response:
    """Keep the experiment in the form, and redirect to its page, which runs it."""
    fields = read_form(await request.body())
    return await run_in_threadpool(_keep, request, model, fields)


@router.post("/api/v1/{model}/x", include_in_schema=False)
async def make_for_program(request: Request, model: str) -> Response:
    """Keep the experiment in the form, and redirect to its JSON; what is wrong with it is an error."""
    fields = read_form(await request.body())
    return await run_in_threadpool(_keep_for_program, request, model, fields)


@router.get("/{model}/x/{key}", include_in_schema=False)
def show_experiment(request: Request, model: str, key: str, query: Annotated[ExperimentPageQuery, Query()]) -> Response:
    """Show what a change does to many prompts, or send it as a file."""
    require_prompter(request)
    # A file is of all prompts; a page shows those that were run, and grows.
    page = verbs.visit_experiment(resources_of(request), parse(model), key, waits=query.format is not None)
    if query.format == "csv":
        return file_answer(request, experiment_sheet(page).encode(), f"{model}-{key}", "csv")
    return page_answer(request, page, PRIVATE)


@router.get("/{model}/x/{key}/script", include_in_schema=False)
def script_experiment(request: Request, model: str, key: str) -> Response:
    """Send the Python that repeats an experiment."""
    require_prompter(request)
    script = write_experiment_script(resources_of(request), parse(model), key)
    urls = urls_of(request)
    link = f"{urls.origin}{urls.page(parse(model).with_pin(script.model.pin), None, f'{EXPERIMENTS}/{key}')}"
    return script_answer(request, script, f"{script.model.slug}-{key}", link)


@router.post("/{model}/x/{key}/stop", include_in_schema=False)
def stop(request: Request, model: str, key: str) -> Response:
    """Run no more of an experiment's prompts, and go back to its page."""
    require_prompter(request)
    verbs.stop_experiment(resources_of(request), parse(model), key)
    return _go_to(request, model, key)


@router.post("/{model}/x/{key}/delete", include_in_schema=False)
def delete(request: Request, model: str, key: str) -> Response:
    """Delete an experiment, and go to the form that makes another."""
    require_prompter(request)
    verbs.delete_experiment(resources_of(request), parse(model), key)
    return RedirectResponse(urls_of(request).experiment_form(parse(model)), 303, PRIVATE)


@router.post("/{model}/x/{key}/resume", include_in_schema=False)
def resume(request: Request, model: str, key: str) -> Response:
    """Run the prompts that are left, and go back to the experiment's page."""
    require_prompter(request)
    verbs.resume_experiment(resources_of(request), parse(model), key)
    return _go_to(request, model, key)


@router.get("/api/v1/{model}/x/{key}", summary="Experiment", responses=describe_answers(ExperimentPage) | OF_PROMPTS)
def experiment(request: Request, model: Slug, key: Key, query: Annotated[ExperimentQuery, Query()]) -> Response:
    """What a change does to many prompts, each beside random changes, with means and their intervals."""
    require_prompter(request)
    page = verbs.visit_experiment(resources_of(request), parse(model), key)
    return json_answer(request, write_body(page, urls_of(request)), PRIVATE)


def _keep(request: Request, model: str, fields: dict[str, str]) -> Response:
    require_prompter(request)
    address, r = parse(model), resources_of(request)
    options, wish = Options(), _read_wish(fields)
    try:
        options = _read_options(fields)
        key = verbs.keep_experiment(r, address, options, wish)
    except (BadOption, UnknownAddress) as problem:
        form = verbs.visit_form(r, address, options, wish, str(problem))
        status = 404 if isinstance(problem, UnknownAddress) else 422
        return html_answer(request, "experiment_form.html", status, PRIVATE, page=form, layout="base.html")
    return _go_to(request, model, key)


def _keep_for_program(request: Request, model: str, fields: dict[str, str]) -> Response:
    require_prompter(request)
    address = parse(model)
    key = verbs.keep_experiment(resources_of(request), address, _read_options(fields), _read_wish(fields))
    return RedirectResponse(urls_of(request).api(address, None, f"{EXPERIMENTS}/{key}"), 303, PRIVATE)


def _read_wish(fields: dict[str, str]) -> verbs.ExperimentWish:
    boxes = ("prompts", "edit", "of", "layer", "c", "attract", "repel", "rule", "pull", "token", "against")
    said = {name: fields.get(name, "") for name in boxes}
    return verbs.ExperimentWish(**said, draws=8 if fields.get("random") == "8" else 1)


def _read_options(fields: dict[str, str]) -> Options:
    """Read the weights that a form asks for; BadOption where these, or the number of random changes, mean nothing."""
    weights = fields.get("weights", "")
    found = next((one for one in PROCESSINGS if one == weights), None)
    if weights and found is None:
        raise BadOption(f"weights is one of {', '.join(PROCESSINGS)}.")
    if fields.get("random", "1") not in {"1", "8"}:
        raise BadOption("random is 1 or 8: as many random changes beside each.")
    return Options(weights=found)


def _go_to(request: Request, model: str, key: str) -> Response:
    return RedirectResponse(urls_of(request).page(parse(model), None, f"{EXPERIMENTS}/{key}"), 303, PRIVATE)
