"""The store of jobs: the state of long computations, one small file each, readable by every process that uses the
folder.

The owner of a job holds a lock; a job that is noted as waiting or running and has no owner was interrupted, however
that came about. A request to cancel is a file too, so that any process may ask. Knows nothing of what is computed.
"""

import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import to_json

from app.core.address import CIRCUITS, SLUG, BasisName
from app.store.grounds import note_jobs, note_now
from app.store.locks import hold_lock, try_lock
from app.store.shelf import UNFINISHED, remove_abandoned, write_unfinished

JobState = Literal["waiting", "running", "done", "cancelled", "failed", "interrupted"]
ENDED: tuple[JobState, ...] = ("done", "cancelled", "failed")
"""The states that the owner of a job can write when it ends; nobody writes `interrupted`, it is found out."""

MOST_ENDED = 100
"""Jobs without an owner that are kept; the oldest are deleted when a new one is noted."""
OLD_SECONDS = 30 * 86_400
"""Seconds after which tidying up deletes them."""
LARGEST_FILE = 16 * 1024
SUFFIX, LOCK, CANCEL = ".json", ".lock", ".cancel"
ID = re.compile(r"[0-9a-f]{12}")

Count = Annotated[int, Field(ge=0, le=10**15)]
LATEST_TIME = 250_000_000_000
"""The year 9892: times after the year 9999 have no date that can be printed."""
Seconds = Annotated[float, Field(ge=0, le=LATEST_TIME, allow_inf_nan=False)]
Words = Annotated[str, StringConstraints(max_length=1_000)]
Processing = Literal["folded", "raw"]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9/-]{1,40}$")]


@dataclass(frozen=True, slots=True)
class Task:
    """The task of a job: each of the matrices under each of the processings."""

    matrices: Annotated[tuple[Word, ...], Field(min_length=1, max_length=16)] = CIRCUITS
    """Kinds of matrices, all of the model's, or single ones: `ov`, `embed`, `L5/mlp-in`."""
    processings: Annotated[tuple[Processing, ...], Field(min_length=1, max_length=2)] = ("folded",)
    basis: BasisName = "svd"
    parameters: Annotated[tuple[tuple[Word, Count], ...], Field(max_length=8)] = ()
    """All parameters of the basis."""

    def includes(self, kind: str, one: "Task") -> bool:
        """Return whether this task includes one of a single matrix of that kind."""
        how = (self.basis, dict(self.parameters)) == (one.basis, dict(one.parameters))
        return (
            how and set(one.processings) <= set(self.processings) and bool({kind, *one.matrices} & set(self.matrices))
        )

    def is_same_task(self, other: "Task") -> bool:
        """Return whether the other task is done when this one is."""
        return self._parts == other._parts

    @property
    def _parts(self) -> tuple[object, ...]:
        return set(self.matrices), set(self.processings), self.basis, dict(self.parameters)


@dataclass(frozen=True, slots=True)
class Job:
    """The state and progress of one job."""

    id: Annotated[str, StringConstraints(pattern=rf"^{ID.pattern}$")]
    slug: Annotated[str, StringConstraints(pattern=rf"^{SLUG.pattern}$")]
    """The slug of the model."""
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,64}$")]
    """The fingerprint of its weights; empty while it is not known."""
    task: Task | None
    """The task to compute; None for a job that imports the model with that slug."""
    created: Seconds
    """When the job was created; this and the other times are in seconds since 1970."""
    updated: Seconds
    """When the job was last noted."""
    started: Seconds | None = None
    ended: Seconds | None = None
    state: JobState = "waiting"
    stage: Words = "waiting for its turn"
    """The current stage, for people."""
    message: Words = ""
    """The reason of a failure, fit for visitors."""
    done: Count = 0
    """For an import: how much of its `total` the stage has done, in layers or whatever it counts."""
    total: Count = 0
    """The total of the stage; 0 where nothing is counted."""
    layers_done: Count = 0
    layers: Count = 0
    matrices_done: Count = 0
    """Matrices computed by this job."""
    matrices_found: Count = 0
    """Matrices that were stored already."""
    matrices: Count = 0
    """Matrices that were asked for; 0 until it is known."""
    part: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of the next matrix that is done, where that takes long."""
    unsettled: Count = 0
    """Rays whose order the fast pass could not settle."""
    rays: Count = 0
    first: Seconds | None = None
    """When the first matrices were computed; `first_done` of them."""
    first_done: Count = 0
    compute_seconds: Seconds = 0.0
    write_seconds: Seconds = 0.0

    @property
    def is_live(self) -> bool:
        """Whether a process owns the job."""
        return self.state in {"waiting", "running"}

    @property
    def seconds_left(self) -> float | None:
        """Seconds left at the current rate; None where there is none, or nothing is left to be done."""
        rate = self.matrices_per_second
        if self.state != "running" or rate is None or not self.matrices:
            return None
        return max(self.matrices - self.matrices_done - self.matrices_found - self.part, 0) / rate

    def is_same_job(self, other: "Job") -> bool:
        """Return whether the other job would compute the same; False for imports, whose source nobody else knows."""
        if self.task is None or other.task is None:
            return False
        return (self.slug, self.fingerprint) == (other.slug, other.fingerprint) and self.task.is_same_task(other.task)

    @property
    def matrices_per_second(self) -> float | None:
        """The rate as of the last note; None until a matrix was computed."""
        since, before = self.started, 0
        if self.first is not None and self.matrices_done > self.first_done:
            since, before = self.first, self.first_done  # preparation says nothing of the later rate
        seconds = 0.0 if since is None else (self.ended or self.updated) - since
        done = self.matrices_done + self.part - before
        return done / seconds if done and seconds > 0 else None


JOB_FORM = TypeAdapter(Job)


def is_id(text: str) -> bool:
    """Return whether a job can have that id: then it is safe as the name of a file."""
    return ID.fullmatch(text) is not None


class JobStore:
    """The jobs of one folder, which need not exist yet. One job is written by one process at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._probing = Lock()

    def new(self, slug: str, fingerprint: str = "", task: Task | None = None) -> Job:
        """Create a job that nobody knows of until whoever holds its lock writes it; without a task, it computes every
        head.
        """
        now = time.time()
        return Job(secrets.token_hex(6), slug, fingerprint, task or Task(), created=now, updated=now)

    def new_import(self, slug: str) -> Job:
        """Create a job that imports the model with that slug."""
        return replace(self.new(slug), task=None)

    def write(self, job: Job) -> None:
        """Write the job's state, whole or not at all; a new job deletes the oldest ones. OSError."""
        path = self._path(job.id, SUFFIX)
        if not path.exists():
            self._make_room()
        with write_unfinished(path) as (temporary, file):
            file.write(to_json(asdict(replace(job, updated=time.time()))))
            file.flush()
            if job.state in ENDED:  # earlier states are soon written again
                os.fsync(file.fileno())
            temporary.replace(path)
        if job.state in ENDED:
            for suffix in (LOCK, CANCEL):
                with suppress(OSError):
                    self._path(job.id, suffix).unlink(missing_ok=True)

    def get(self, id_: str) -> Job | None:
        """Return the job as it is now; None if there is none with that id, or its file is no job's."""
        note_now()
        if not is_id(id_) or (job := self._read(id_)) is None:
            return None
        if not job.is_live or self._is_held(id_):
            return job
        # It may have ended, or begun, between the two looks.
        job = self._read(id_)
        if job is None or not job.is_live:
            return job
        return replace(job, state="cancelled" if self.is_cancelled(id_) else "interrupted")

    def all(self) -> list[Job]:
        """Return every job as it is now, newest first."""
        note_now()
        found = (self.get(id_) for id_ in self._ids())
        return sorted((job for job in found if job is not None), key=lambda job: (job.created, job.id), reverse=True)

    def is_empty(self) -> bool:
        """Return whether there is no job to show."""
        is_empty = next(self._ids(), None) is None
        note_jobs(is_empty=is_empty)
        return is_empty

    @contextmanager
    def hold_job(self, id_: str) -> Iterator[None]:
        """Hold the job's lock inside the block, in this process and perhaps in others too; OSError."""
        self._root.mkdir(parents=True, exist_ok=True)
        # Shared: a server keeps it while its child works. A probe wants it alone, for a moment.
        with hold_lock(self._path(id_, LOCK), fcntl.LOCK_SH):
            yield

    def cancel(self, id_: str) -> None:
        """Ask the owner of the job to end it; OSError."""
        if (job := self.get(id_)) is not None and job.is_live:
            self._path(id_, CANCEL).touch()

    def is_cancelled(self, id_: str) -> bool:
        """Return whether somebody asked for the job's end."""
        return self._path(id_, CANCEL).exists()

    def leftovers(self) -> Iterator[Path]:
        """Yield the files of jobs that ended long ago or do not exist, and unfinished ones."""
        old = time.time() - OLD_SECONDS
        kept = {job.id for job in self.all() if job.is_live or (job.ended or job.updated) >= old}
        for path in sorted(self._root.glob("*")):
            if path.suffix == UNFINISHED and path.name.startswith("."):
                if remove_abandoned(path):
                    yield path
            elif self._is_ours(path) and path.stem not in kept and not self._is_held(path.stem):
                yield path

    def _is_ours(self, path: Path) -> bool:
        return path.suffix in {SUFFIX, LOCK, CANCEL} and is_id(path.stem)

    def _make_room(self) -> None:
        """Delete the oldest jobs without an owner, so that with one more there are as many as are kept."""
        idle = [job for job in self.all() if not job.is_live]
        for job in idle[MOST_ENDED - 1 :]:
            for suffix in (SUFFIX, LOCK, CANCEL):
                self._path(job.id, suffix).unlink(missing_ok=True)

    def _read(self, id_: str) -> Job | None:
        try:
            # Do not wait for whatever has that name, a pipe perhaps.
            with os.fdopen(os.open(self._path(id_, SUFFIX), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                job = JOB_FORM.validate_json(file.read(LARGEST_FILE) or b"")
        except (OSError, ValidationError):
            return None
        return job if job.id == id_ else None

    def _is_held(self, id_: str) -> bool:
        """Return whether a process owns the job."""
        with self._probing:  # two probes at the same time would take each other for an owner
            try:
                handle = os.open(self._path(id_, LOCK), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                return False
            try:
                return not try_lock(handle)
            finally:
                os.close(handle)

    def _ids(self) -> Iterator[str]:
        with suppress(OSError), os.scandir(self._root) as entries:
            for entry in entries:
                stem, _, suffix = entry.name.partition(".")
                if f".{suffix}" == SUFFIX and is_id(stem):
                    yield stem

    def _path(self, id_: str, suffix: str) -> Path:
        return self._root / f"{id_}{suffix}"
