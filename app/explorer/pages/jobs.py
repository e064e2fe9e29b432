"""Jobs and how far they are."""

from dataclasses import dataclass

from app.core.address import Address
from app.explorer.view import Processing
from app.store.jobs import Job


@dataclass(frozen=True, slots=True)
class JobPage:
    """A job that imports a model, or computes matrices of it, and how far it is."""

    job: Job
    title: str
    """`demo: OV and QK, folded`, `Importing demo`."""
    progress: str
    """How far it is in a few words, as in the terminal."""
    command: str
    """What does the same in a terminal."""
    seconds: float | None
    """Since it began, or that it took; None before."""
    is_ending: bool
    """Somebody has cancelled it, and it is not at the end of its step yet."""
    may_cancel: bool
    may_start: bool
    """Visitors may start the same again: it goes on where this one was."""
    result: Address | None
    """Where what it computes is shown, if that is one matrix in one weight processing."""


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
    """Only jobs that wait or run."""
    jobs: tuple[JobPage, ...]
    startable: tuple[Startable, ...]
    """Empty where visitors may start nothing."""
