"""The pages of jobs and their progress."""

from dataclasses import dataclass

from app.core.address import Address
from app.explorer.view import Processing
from app.store.jobs import Job


@dataclass(frozen=True, slots=True)
class JobPage:
    """A job that imports a model, or computes matrices of it, and its progress."""

    job: Job
    title: str
    """`demo: OV and QK, folded`, `Importing demo`."""
    progress: str
    """Progress in a few words, as in the terminal."""
    command: str
    """The command that does the same in a terminal."""
    seconds: float | None
    """Seconds since it began, or that it took; None before."""
    is_ending: bool
    """True if it was cancelled and has not reached the end of its step yet."""
    may_cancel: bool
    may_start: bool
    """True if visitors may start the same again: it continues where this one stopped."""
    result: Address | None
    """Address of the matrix that it computes, if that is one matrix in one weight processing."""


@dataclass(frozen=True, slots=True)
class Startable:
    """A model for which visitors may start jobs."""

    slug: str
    processings: tuple[Processing, ...]


@dataclass(frozen=True, slots=True)
class JobsPage:
    """The jobs of this server's models, newest first."""

    model: str | None
    """Only the jobs of this model; None for all."""
    live: bool
    """True if only jobs that wait or run are listed."""
    jobs: tuple[JobPage, ...]
    startable: tuple[Startable, ...]
    """Models that visitors may start jobs for; empty where they may start none."""
