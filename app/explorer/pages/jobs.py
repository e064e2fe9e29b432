"""The pages of jobs and their progress."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import PlainSerializer, computed_field

from app.core.address import Address, BasisName
from app.explorer.pages.shared import LinkedToItself, PageLink
from app.explorer.serial import ForPeople
from app.explorer.view import Processing
from app.store.jobs import JobState, Task


@dataclass(frozen=True, slots=True)
class JobPage(LinkedToItself):
    """A job that imports a model, or computes matrices of it under each weight processing, and its progress."""

    id: str
    kind: Literal["matrices", "import"]
    """What the job does; of an import all that is of matrices, layers and rays is empty, null or 0."""
    model: str
    """The name of the model in links."""
    fingerprint: str
    """The fingerprint of its weights; empty while it is not known."""
    matrices: tuple[str, ...]
    """Kinds of matrices, all of the model's, or single ones: `ov`, `embed`, `L5/mlp-in`; `bank`: all that a search needs."""
    basis: BasisName | None
    parameters: Annotated[tuple[tuple[str, int], ...], PlainSerializer(dict, return_type=dict[str, int])]
    """Parameters of the basis."""
    weights: tuple[Processing, ...]
    """Weight processings."""
    state: JobState
    stage: str
    """The current stage, for people."""
    message: str
    """The reason of a failure."""
    done: int
    """For an import: how much of its `total` the stage has done, in layers, megabytes or whatever it counts."""
    total: int
    """The total of the stage; 0 where nothing is counted."""
    layers_done: int
    layers: int
    matrices_done: int
    """Matrices computed by this job."""
    matrices_found: int
    """Matrices that were stored already."""
    matrices_asked: int
    """Matrices that were asked for; 0 until it is known."""
    part: float
    """The share of the next matrix that is done, where that takes long."""
    matrices_per_second: float | None
    seconds_left: float | None
    """Seconds left at the current rate; None where there is none."""
    unsettled: int
    """Rays whose order the fast pass could not settle."""
    rays: int
    compute_seconds: float
    write_seconds: float
    created: float
    """When the job was created; this and the other times are in seconds since 1970."""
    started: float | None
    updated: float
    """When the job was last noted."""
    ended: float | None
    task: ForPeople[Task | None]
    """The task; None for an import."""
    title: ForPeople[str]
    """`demo: OV and QK, folded`, `Importing demo`."""
    progress: ForPeople[str]
    """Progress in a few words, as in the terminal."""
    command: ForPeople[str]
    """The command that does the same in a terminal."""
    seconds: ForPeople[float | None]
    """Seconds since it began, or that it took; None before."""
    is_live: ForPeople[bool]
    """True if a process owns the job: it waits or runs."""
    is_ending: ForPeople[bool]
    """True if it was cancelled and has not reached the end of its step yet."""
    may_cancel: ForPeople[bool]
    may_start: ForPeople[bool]
    """True if visitors may start the same again: it continues where this one stopped."""
    result: ForPeople[Address | None]
    """Address of the matrix that it computes, if that is one matrix in one weight processing."""


@dataclass(frozen=True, slots=True)
class Startable:
    """A model for which visitors may start jobs."""

    slug: str
    processings: tuple[Processing, ...]


@dataclass(frozen=True, slots=True)
class JobsPage:
    """The jobs of this server's models, newest first."""

    model: ForPeople[str | None]
    """Only the jobs of this model; None for all."""
    live: ForPeople[bool]
    """True if only jobs that wait or run are listed."""
    jobs: tuple[JobPage, ...]
    startable: ForPeople[tuple[Startable, ...]]
    """Models that visitors may start jobs for; empty where they may start none."""

    @computed_field
    @property
    def page(self) -> PageLink["JobsPage"]:
        """The same page for people."""
        return self
