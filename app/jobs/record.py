"""The record of long work: it notes its progress where every process can read it, and ends when somebody asks for that.

The command and a server's child both run their steps through it. Knows nothing of what the steps do.
"""

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace

from app.core.plain_text import spell_out
from app.explorer.errors import ExplorerError
from app.interruption import is_interrupted
from app.jobs.steps import ImportStep, JobStep
from app.models.refusal import ImportRefused
from app.store.jobs import Job, JobState, JobStore

NOTE_SECONDS = 0.25
"""The shortest time between two notes of the same job."""
LONGEST_NOTE = 1_000
"""Characters of a noted text, as many as the store reads."""

logger = logging.getLogger(__name__)


class JobCancelled(ExplorerError):
    """Somebody asked for this job to end."""


def run_recorded(store: JobStore, job: Job, steps: Iterator[JobStep]) -> Iterator[Job]:
    """Yield the job after each of the steps, and note it; errors and ends as for `note_job`.

    A caller that asks for no further step leaves the job interrupted.
    """
    with ExitStack() as stack:
        if isinstance(steps, Generator):
            stack.callback(steps.close)  # however this ends, the steps free what they hold
        notes = stack.enter_context(note_job(store, job))
        for step in steps:
            yield notes.follow(step)
            notes.check()


@contextmanager
def note_job(store: JobStore, job: Job) -> Iterator["Notes"]:
    """Note the job as running in the block, its progress meanwhile, and its end afterwards.

    JobCancelled, before the block or at a check in it, once somebody has asked for that on the job's page. Other errors
    are noted and raised again; an interruption leaves the job interrupted. A disk that refuses the notes does not end
    the work.
    """
    # A server has started it, and its libraries, before: visitors see one start time, which never goes back.
    started = job.started or time.time()
    notes = Notes(store, replace(job, state="running", stage="starting", started=started))
    with ExitStack() as stack:
        notes.hold(stack)
        notes.write()
        try:
            notes.check()
            yield notes
        except JobCancelled:
            notes.end("cancelled")
            raise
        except Exception as error:
            if is_interrupted():
                notes.write()
            else:
                notes.end("failed", _explain_to_visitors(error))
            raise
        except BaseException:
            notes.write()  # as far as it came, for whoever goes on
            raise
        notes.end("done")


class Notes:
    """The notes of one job."""

    def __init__(self, store: JobStore, job: Job) -> None:
        self._store, self._job = store, job
        self._written = 0.0
        self._refused = False

    def hold(self, stack: ExitStack) -> None:
        """Hold the job's lock until the stack ends, where the folder allows it."""
        try:
            stack.enter_context(self._store.hold_job(self._job.id))
        except OSError as error:
            self._refuse(error)

    def follow(self, step: JobStep | ImportStep) -> Job:
        """Return the job after the step, noted if the last note was not just now, or of another stage of an import."""
        is_new = isinstance(step, ImportStep) and step.stage != self._job.stage  # some last for minutes
        said = asdict(step) | {"stage": shorten_note(step.stage)}
        self._job = replace(self._job, updated=time.time(), **said)
        if self._job.first is None and self._job.matrices_done:
            self._job = replace(self._job, first=self._job.updated, first_done=self._job.matrices_done)
        if is_new or time.monotonic() - self._written >= NOTE_SECONDS:
            self.write()
        return self._job

    def check(self) -> None:
        """Raise JobCancelled if somebody has asked for the end."""
        if self._store.is_cancelled(self._job.id):
            raise JobCancelled("cancelled on its page")

    def end(self, state: JobState, message: str = "") -> None:
        """Note how the job ended."""
        self._job = replace(self._job, state=state, ended=time.time(), message=shorten_note(message))
        self.write()

    def write(self) -> None:
        """Note the progress, where the disk allows it."""
        self._written = time.monotonic()
        try:
            self._store.write(self._job)
        except OSError as error:
            self._refuse(error)

    def _refuse(self, error: OSError) -> None:
        if not self._refused:
            logger.warning("the progress of this job cannot be shown on its page: %s", error)
        self._refused = True


def _explain_to_visitors(error: Exception) -> str:
    """Return the words of an error for visitors; for any other error its type, since its words may say too much of the
    machine.
    """
    if isinstance(error, ExplorerError | ImportRefused):
        return str(error)
    return f"it stopped with {type(error).__name__}; whoever runs this server finds more in its log"


def shorten_note(words: str) -> str:
    """Shorten the text to what the store reads, without unprintable characters, such as folders' names may have."""
    return spell_out(words)[:LONGEST_NOTE]
