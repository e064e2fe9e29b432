"""The visits to jobs, which import a model or compute matrices of it: their state, and how to cancel or repeat one.

Runs none of them, and knows no HTTP.
"""

import time

from app.core.address import LABELS, Address, AddressError, parse
from app.explorer.asking import agenda
from app.explorer.asking.places import find_model, require_served
from app.explorer.asking.streams import parse_map
from app.explorer.asking.tasks import Wish, command_words
from app.explorer.errors import ComputationFailed, NotBuilt, UnknownAddress
from app.explorer.library import OpenModel
from app.explorer.pages.jobs import JobPage, JobsPage, Startable
from app.explorer.pages.search import Unbuilt
from app.explorer.resources import Resources
from app.explorer.view import Processing
from app.models.importing.source import KNOWN
from app.store.jobs import Job

LEAST_RATE = 0.01
"""Matrices a second below which no rate is shown."""


def visit_jobs(r: Resources, slug: str | None = None, *, allowed: bool = False, live: bool = False) -> JobsPage:
    """List the jobs of this server's models, of one model, or live ones; with `allowed`, visitors may start more."""
    if slug is not None:
        require_served(r, slug)
    shown = [job for job in r.jobs.all() if job.slug in r.slugs and slug in {None, job.slug}]
    shown = [job for job in shown if job.is_live] if live else shown
    models = (find_model(r, each) for each in r.slugs if slug in {None, each})
    return JobsPage(
        slug,
        live,
        tuple(_make_page(r, job, allowed) for job in shown),
        tuple(Startable(model.header.slug, model.header.processings) for model in models if model) if allowed else (),
    )


def find_live_job(r: Resources, slug: str) -> Job | None:
    """Find a job that computes matrices of the model or waits to, a running one first; None if there is none."""
    live = [job for job in r.jobs.all() if job.is_live and job.slug == slug and job.task is not None]
    return min(live, key=lambda job: job.state != "running", default=None)


def has_live_job(r: Resources, slug: str) -> bool:
    """True if a job computes matrices of the model, or waits to."""
    return find_live_job(r, slug) is not None


def describe_unbuilt(r: Resources, slug: str, error: NotBuilt) -> Unbuilt:
    """Describe what is not built, for a page of the model: the reason, the command, and a job that may build it."""
    job = find_live_job(r, slug)
    return Unbuilt(str(error), error.command, None if job is None else job.id)


def has_gallery_job(r: Resources, model: OpenModel, processing: Processing) -> bool:
    """True if a live job computes the notable rays of every layer."""
    tasks = (job.task for job in r.jobs.all() if job.is_live and job.fingerprint == model.fingerprint)
    return any(agenda.fills_gallery(model, task, processing) for task in tasks if task is not None)


def visit_job(r: Resources, id_: str, *, allowed: bool = False) -> JobPage:
    """Make the page of one job; UnknownAddress where this server's models have no such job."""
    found = r.jobs.get(id_)
    if found is None or found.slug not in r.slugs:
        raise UnknownAddress("There is no job of that name here, or it is so old that it was forgotten.")
    return _make_page(r, found, allowed)


def cancel_job(r: Resources, id_: str) -> None:
    """Cancel a job, unless it has ended; UnknownAddress as for `visit_job`."""
    visit_job(r, id_)
    try:
        r.jobs.cancel(id_)
    except OSError as error:
        raise ComputationFailed("The job could not be cancelled: the server's disk takes no note of it.") from error


def find_last_job(r: Resources, asked: Wish, kind: str) -> Job | None:
    """Find the newest job that computes, or was to compute, a single matrix of this kind."""
    same = (job for job in r.jobs.all() if (job.slug, job.fingerprint) == (asked.slug, asked.fingerprint))
    return next((job for job in same if job.task is not None and job.task.includes(kind, asked.task)), None)


def title_of(job: Job, model: OpenModel | None = None) -> str:
    """Name what a job does; "every matrix" if the model is here and the job computes all of it.

    Example: "demo: OV and QK, folded"; "demo: embedding nmf (components 32, seed 0), raw"; "demo: every matrix, folded"
    """
    task = job.task
    if task is None:
        return f"Importing {job.slug}"
    matrices = " and ".join(_name_word(word) for word in task.matrices[:3])
    matrices += f" and {len(task.matrices) - 3} more" if len(task.matrices) > 3 else ""
    if model is not None and any(agenda.fills_gallery(model, task, processing) for processing in task.processings):
        matrices = "every matrix"
    basis = "" if task.basis == "svd" else f" {task.basis}"
    parameters = ", ".join(f"{name} {value}" for name, value in task.parameters)
    basis += f" ({parameters})" if parameters else ""
    return f"{job.slug}: {matrices}{basis}, {' and '.join(task.processings)}"


def progress_of(job: Job) -> str:
    """Describe a job's progress in a few words, for a page or a terminal.

    Example: "5 of 12 layers, 62 matrices/s, 4 s left (L5, folded)"
    """
    if job.state == "waiting":
        return job.stage
    if job.state == "running" and job.task is None:
        return f"{job.stage}, {job.done:,} of {job.total:,}" if job.total else job.stage
    if job.state == "running":
        parts = [f"{job.layers_done} of {job.layers} layers"] if job.layers else []
        rate = job.matrices_per_second
        parts += [f"{format_rate(rate)} matrices/s"] if rate is not None and rate >= LEAST_RATE else []
        parts += [] if job.seconds_left is None else [f"{format_duration(job.seconds_left)} left"]
        return f"{', '.join(parts)} ({job.stage})" if parts else job.stage
    here = job.matrices_done + job.matrices_found
    return f"{job.state}, {here:,} of {job.matrices:,} matrices" if job.matrices else job.state


def import_command_of(slug: str, model: OpenModel | None) -> str:
    """Return the command that imports the model, with its source on the hub where visitors may know it.

    Example: "singular-lens import demo"; "singular-lens import openai-community/gpt2 --name gpt2"
    """
    if slug in KNOWN:
        return f"singular-lens import {slug}"
    return f"singular-lens import {(model and model.header.hub) or 'MODEL'} --name {slug}"


def command_of(asked: Wish) -> str:
    """Return the command that computes what was asked for.

    Example: "singular-lens precompute demo --matrices embed --weights folded"
    """
    return " ".join(["singular-lens precompute", asked.slug, *command_words(asked.task)])


def format_rate(rate: float) -> str:
    """Format a rate in two or three digits.

    Example: format_rate(61.3) -> "61"; format_rate(0.123) -> "0.12"
    """
    return f"{rate:,.0f}" if rate >= 9.95 else f"{rate:.1f}" if rate >= 0.95 else f"{rate:.2f}"


def format_duration(seconds: float) -> str:
    """Format a duration in at most two units.

    Example: format_duration(4) -> "4 s"; format_duration(4000) -> "1 h 7 min"
    """
    whole = round(seconds)
    if 0 < seconds < 0.05:
        return "less than 0.1 s"
    if whole < 60:
        return f"{seconds:.1f} s" if 0.05 <= seconds < 0.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{round(whole / 60)} min"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{round(hours / 24)} days"


def _name_word(word: str) -> str:
    """Name a word of a task for people.

    Example: "OV"; "linear map 12 → 30"
    """
    streams = parse_map(word)
    return f"linear map {streams[0]} → {streams[1]}" if streams else LABELS.get(word, word)


def _make_page(r: Resources, job: Job, allowed: bool) -> JobPage:
    model = find_model(r, job.slug)
    can_repeat = not job.is_live and job.state != "done" and (job.task is not None or _has_failed_here(r, job))
    task = job.task
    return JobPage(
        id=job.id,
        kind="import" if task is None else "matrices",
        model=job.slug,
        fingerprint=job.fingerprint,
        matrices=() if task is None else task.matrices,
        basis=None if task is None else task.basis,
        parameters=() if task is None else task.parameters,
        weights=() if task is None else task.processings,
        state=job.state,
        stage=job.stage,
        message=job.message,
        done=job.done,
        total=job.total,
        layers_done=job.layers_done,
        layers=job.layers,
        matrices_done=job.matrices_done,
        matrices_found=job.matrices_found,
        matrices_asked=job.matrices,
        part=job.part,
        matrices_per_second=job.matrices_per_second,
        seconds_left=job.seconds_left,
        unsettled=job.unsettled,
        rays=job.rays,
        compute_seconds=job.compute_seconds,
        write_seconds=job.write_seconds,
        created=job.created,
        started=job.started,
        updated=job.updated,
        ended=job.ended,
        task=task,
        title=title_of(job, model),
        progress=progress_of(job),
        command=_command_of_job(job, model),
        seconds=_count_seconds(job),
        is_live=job.is_live,
        is_ending=job.is_live and r.jobs.is_cancelled(job.id),
        may_cancel=allowed and job.is_live,
        may_start=allowed and can_repeat,
        result=_find_result(job),
    )


def _command_of_job(job: Job, model: OpenModel | None) -> str:
    if job.task is None:
        return import_command_of(job.slug, model)
    return command_of(Wish(job.slug, job.fingerprint, job.task))


def _has_failed_here(r: Resources, ended: Job) -> bool:
    """True if this server's import of the model failed, or is still recorded as this ended job's."""
    known = r.imports.of(ended.slug)
    return known is not None and (known.state == "failed" or (known.state == "importing" and known.job == ended.id))


def _find_result(job: Job) -> Address | None:
    task = job.task
    if task is None or (len(task.matrices), len(task.processings)) != (1, 1):
        return None
    try:
        place = parse(f"{job.slug}/{task.matrices[0]}")
    except AddressError:  # a kind of matrix, as `ov`, is no address
        return None
    return place.in_basis(task.basis)


def _count_seconds(job: Job) -> float | None:
    if job.started is None:
        return None
    return max(0.0, (job.ended or (time.time() if job.is_live else job.updated)) - job.started)
