"""Jobs, which import a model or compute matrices of it: what is known of them, and what may be asked for.

Runs none of them, and knows no HTTP.
"""

import time

from app.core.address import LABELS, Address, AddressError, parse
from app.explorer.asking import agenda
from app.explorer.asking.places import here, served
from app.explorer.asking.tasks import Wish, words_of
from app.explorer.errors import ComputationFailed, NotBuilt, UnknownAddress
from app.explorer.library import OpenModel
from app.explorer.pages.jobs import JobPage, JobsPage, Startable
from app.explorer.pages.search import Unbuilt
from app.explorer.resources import Resources
from app.explorer.view import Processing
from app.models.importing.source import KNOWN
from app.store.jobs import Job

SLOW = 0.01
"""Matrices a second that are not worth a word."""


def jobs(r: Resources, slug: str | None = None, *, allowed: bool = False, live: bool = False) -> JobsPage:
    """The jobs of this server's models, or of one, or those that go on; with `allowed`, visitors may start more."""
    if slug is not None:
        served(r, slug)
    shown = [job for job in r.jobs.all() if job.slug in r.slugs and slug in {None, job.slug}]
    shown = [job for job in shown if job.is_live] if live else shown
    models = (here(r, each) for each in r.slugs if slug in {None, each})
    return JobsPage(
        slug,
        live,
        tuple(_page(r, job, allowed) for job in shown),
        tuple(Startable(model.header.slug, model.header.processings) for model in models if model) if allowed else (),
    )


def live_one(r: Resources, slug: str) -> Job | None:
    """A job that computes matrices of that model, or waits to, one that runs first; None where there is none."""
    live = [job for job in r.jobs.all() if job.is_live and job.slug == slug and job.task is not None]
    return min(live, key=lambda job: job.state != "running", default=None)


def is_live(r: Resources, slug: str) -> bool:
    """Whether a job computes matrices of that model, or waits to."""
    return live_one(r, slug) is not None


def unbuilt(r: Resources, slug: str, error: NotBuilt) -> Unbuilt:
    """What a page of that model says in place of what is not built."""
    job = live_one(r, slug)
    return Unbuilt(str(error), error.command, None if job is None else job.id)


def fills_gallery(r: Resources, model: OpenModel, processing: Processing) -> bool:
    """Whether a job that runs, or waits to, brings the notable rays of every layer."""
    tasks = (job.task for job in r.jobs.all() if job.is_live and job.fingerprint == model.fingerprint)
    return any(agenda.fills_gallery(model, task, processing) for task in tasks if task is not None)


def job(r: Resources, id_: str, *, allowed: bool = False) -> JobPage:
    """One job; UnknownAddress where there is none of a model of this server."""
    found = r.jobs.get(id_)
    if found is None or found.slug not in r.slugs:
        raise UnknownAddress("There is no job of that name here, or it is so old that it was forgotten.")
    return _page(r, found, allowed)


def cancel(r: Resources, id_: str) -> None:
    """Ask one job to end, if it has not; UnknownAddress as for `job`."""
    job(r, id_)
    try:
        r.jobs.cancel(id_)
    except OSError as error:
        raise ComputationFailed("The job could not be cancelled: the server's disk takes no note of it.") from error


def last_one(r: Resources, asked: Wish, kind: str) -> Job | None:
    """The newest job that computes, or was to compute, that single matrix, which is of that kind."""
    same = (job for job in r.jobs.all() if (job.slug, job.fingerprint) == (asked.slug, asked.fingerprint))
    return next((job for job in same if job.task is not None and job.task.covers(kind, asked.task)), None)


def title_of(job: Job, model: OpenModel | None = None) -> str:
    """What a job does; of what it computes, if the model is here, whether that is all.

    Example: "demo: OV and QK, folded"; "demo: embedding nmf (components 32, seed 0), raw"; "demo: every matrix, folded"
    """
    task = job.task
    if task is None:
        return f"Importing {job.slug}"
    matrices = " and ".join(LABELS.get(word, word) for word in task.matrices[:3])
    matrices += f" and {len(task.matrices) - 3} more" if len(task.matrices) > 3 else ""
    if model is not None and any(agenda.fills_gallery(model, task, processing) for processing in task.processings):
        matrices = "every matrix"
    basis = "" if task.basis == "svd" else f" {task.basis}"
    parameters = ", ".join(f"{name} {value}" for name, value in task.parameters)
    basis += f" ({parameters})" if parameters else ""
    return f"{job.slug}: {matrices}{basis}, {' and '.join(task.processings)}"


def progress_of(job: Job) -> str:
    """How far a job is, in a few words for a page or a terminal.

    Example: "5 of 12 layers, 62 matrices/s, 4 s left (L5, folded)"
    """
    if job.state == "waiting":
        return job.stage
    if job.state == "running" and job.task is None:
        return f"{job.stage}, {job.done:,} of {job.total:,}" if job.total else job.stage
    if job.state == "running":
        parts = [f"{job.layers_done} of {job.layers} layers"] if job.layers else []
        rate = job.matrices_per_second
        parts += [f"{rate_words(rate)} matrices/s"] if rate is not None and rate >= SLOW else []
        parts += [] if job.seconds_left is None else [f"{duration_words(job.seconds_left)} left"]
        return f"{', '.join(parts)} ({job.stage})" if parts else job.stage
    here = job.matrices_done + job.matrices_found
    return f"{job.state}, {here:,} of {job.matrices:,} matrices" if job.matrices else job.state


def import_command(slug: str, model: OpenModel | None) -> str:
    """What to type into a terminal to import the model; from where, as far as visitors may know.

    Example: "singular-lens import demo"; "singular-lens import openai-community/gpt2 --name gpt2"
    """
    if slug in KNOWN:
        return f"singular-lens import {slug}"
    return f"singular-lens import {(model and model.header.hub) or 'MODEL'} --name {slug}"


def command_of(asked: Wish) -> str:
    """What to type into a terminal for the same.

    Example: "singular-lens precompute demo --matrices embed --weights folded"
    """
    return " ".join(["singular-lens precompute", asked.slug, *words_of(asked.task)])


def rate_words(rate: float) -> str:
    """Matrices a second, in two or three digits.

    Example: rate_words(61.3) -> "61"; rate_words(0.123) -> "0.12"
    """
    return f"{rate:,.0f}" if rate >= 9.95 else f"{rate:.1f}" if rate >= 0.95 else f"{rate:.2f}"


def duration_words(seconds: float) -> str:
    """A time as people say it, in at most two units.

    Example: duration_words(4) -> "4 s"; duration_words(4000) -> "1 h 7 min"
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


def _page(r: Resources, job: Job, allowed: bool) -> JobPage:
    model = here(r, job.slug)
    again = not job.is_live and job.state != "done" and (job.task is not None or _failed_here(r, job))
    return JobPage(
        job=job,
        title=title_of(job, model),
        progress=progress_of(job),
        command=_command(job, model),
        seconds=_seconds(job),
        is_ending=job.is_live and r.jobs.is_cancelled(job.id),
        may_cancel=allowed and job.is_live,
        may_start=allowed and again,
        result=_result(job),
    )


def _command(job: Job, model: OpenModel | None) -> str:
    if job.task is None:
        return import_command(job.slug, model)
    return command_of(Wish(job.slug, job.fingerprint, job.task))


def _failed_here(r: Resources, ended: Job) -> bool:
    """Whether this server was to import the model, and could not: by that job's notes, or as it was told since."""
    known = r.imports.of(ended.slug)
    return known is not None and (known.state == "failed" or (known.state == "importing" and known.job == ended.id))


def _result(job: Job) -> Address | None:
    task = job.task
    if task is None or (len(task.matrices), len(task.processings)) != (1, 1):
        return None
    try:
        place = parse(f"{job.slug}/{task.matrices[0]}")
    except AddressError:  # a kind that every layer or head has
        return None
    return place.in_basis(task.basis)


def _seconds(job: Job) -> float | None:
    if job.started is None:
        return None
    return max(0.0, (job.ended or (time.time() if job.is_live else job.updated)) - job.started)
