"""Jobs that compute every head of a model: what is known of them, and what may be asked for.

Runs none of them, and knows no HTTP.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from app.core.address import CIRCUITS, Circuit
from app.explorer.errors import BadOption, ComputationFailed, UnknownAddress
from app.explorer.library import OpenModel
from app.explorer.pages import PROCESSINGS, JobPage, JobsPage, Processing, Startable
from app.explorer.places import served
from app.explorer.resources import Resources
from app.store.jobs import Job

Word = TypeVar("Word", bound=str)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a job is to compute."""

    slug: str
    fingerprint: str
    circuits: tuple[Circuit, ...]
    processings: tuple[Processing, ...]


def jobs(r: Resources, slug: str | None = None, *, allowed: bool = False, live: bool = False) -> JobsPage:
    """The jobs of this server's models, or of one, or those that go on; with `allowed`, visitors may start more."""
    if slug is not None:
        served(r, slug)
    shown = [job for job in r.jobs.all() if job.slug in r.slugs and slug in {None, job.slug}]
    shown = [job for job in shown if job.is_live] if live else shown
    models = (r.library.model(each) for each in r.slugs if slug in {None, each})
    return JobsPage(
        slug,
        live,
        tuple(_page(r, job, allowed) for job in shown),
        tuple(Startable(model.header.slug, model.header.processings) for model in models if model) if allowed else (),
    )


def is_live(r: Resources, slug: str) -> bool:
    """Whether a job computes heads of that model, or waits to."""
    return any(job.is_live and job.slug == slug for job in r.jobs.all())


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


def wish(model: OpenModel, default: Processing, circuits: str | None = None, weights: str | None = None) -> Wish:
    """What is asked for, held against the model; what is not said is both circuits, and the default where it is sound.

    Example: wish(model, "folded", "ov", "folded,raw")
    """
    slug = model.header.slug
    chosen = _choice("weights", weights, PROCESSINGS) or (model.shown_first(default),)
    if not set(chosen) <= set(model.header.processings):
        raise BadOption(f"{slug} has weights=raw only. {model.header.unfoldable}")
    return Wish(slug, model.fingerprint, _choice("circuits", circuits, CIRCUITS) or CIRCUITS, chosen)


def title_of(job: Job) -> str:
    """What a job computes.

    Example: "demo: OV and QK, folded"
    """
    circuits = " and ".join(circuit.upper() for circuit in job.circuits)
    return f"{job.slug}: {circuits}, {' and '.join(job.processings)}"


def progress_of(job: Job) -> str:
    """How far a job is, in a few words for a page or a terminal.

    Example: "5 of 12 layers, 31 heads/s, 4 s left (L5, folded)"
    """
    if job.state == "waiting":
        return job.stage
    if job.state == "running":
        parts = [f"{job.layers_done} of {job.layers} layers"] if job.layers else []
        parts += [] if job.heads_per_second is None else [f"{rate_words(job.heads_per_second)} heads/s"]
        parts += [] if job.seconds_left is None else [f"{duration_words(job.seconds_left)} left"]
        return f"{', '.join(parts)} ({job.stage})" if parts else job.stage
    here = job.matrices_done + job.matrices_found
    return f"{job.state}, {here:,} of {job.matrices:,} matrices" if job.matrices else job.state


def command_of(job: Job) -> str:
    """What to type into a terminal for the same.

    Example: "singular-lens precompute demo --weights folded"
    """
    circuits = "" if set(job.circuits) == set(CIRCUITS) else f" --circuits {','.join(job.circuits)}"
    return f"singular-lens precompute {job.slug}{circuits} --weights {','.join(job.processings)}"


def rate_words(rate: float) -> str:
    """Heads a second, in two or three digits.

    Example: rate_words(61.3) -> "61"; rate_words(0.123) -> "0.12"
    """
    return f"{rate:,.0f}" if rate >= 9.95 else f"{rate:.1f}" if rate >= 0.95 else f"{rate:.2f}"


def duration_words(seconds: float) -> str:
    """A time as people say it, in at most two units.

    Example: duration_words(4) -> "4 s"; duration_words(4000) -> "1 h 7 min"
    """
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if 0.05 <= seconds < 0.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{round(whole / 60)} min"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{round(hours / 24)} days"


def _page(r: Resources, job: Job, allowed: bool) -> JobPage:
    return JobPage(
        job=job,
        title=title_of(job),
        progress=progress_of(job),
        command=command_of(job),
        seconds=_seconds(job),
        is_ending=job.is_live and r.jobs.is_cancelled(job.id),
        may_cancel=allowed and job.is_live,
        may_start=allowed and not job.is_live and job.state != "done",
    )


def _seconds(job: Job) -> float | None:
    if job.started is None:
        return None
    return max(0.0, (job.ended or (time.time() if job.is_live else job.updated)) - job.started)


def _choice(name: str, said: str | None, choices: Sequence[Word]) -> tuple[Word, ...]:
    """Those of the choices that were said, in their usual order; BadOption where anything else was."""
    words = [] if said is None else said.split(",")
    if not set(words) <= set(choices):
        raise BadOption(f"{name} must be one of {', '.join(choices)}, or both with a comma between them.")
    return tuple(choice for choice in choices if choice in words)
