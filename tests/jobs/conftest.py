"""Fixtures of stand-ins for the commands' child processes, with a record of their arguments."""

import sys

import pytest

from app.explorer.running import children
from app.explorer.running.children import Children

WORD = """
import sys, time
from pathlib import Path
from app.jobs.steps import ImportStep, JobStep
from app.jobs.record import note_job, run_recorded
from app.store.jobs import JobStore

def word(name):
    return sys.argv[sys.argv.index(name) + 1]

store = JobStore(Path(word("--data")) / "jobs")
job = store.get(word("--job"))
"""


class Recording(Children):
    """Children that record the arguments of each start, without the parent's id, and the niceness."""

    def __init__(self):
        super().__init__()
        self.words, self.niceness = [], []

    def start(self, words, *, pass_fds=(), niceness=0):
        self.words.append(list(words))
        self.niceness.append(niceness)
        return super().start(words, pass_fds=pass_fds, niceness=niceness)


@pytest.fixture
def own():
    """Make the children of one server."""
    those = Recording()
    yield those
    those.close()


@pytest.fixture
def pretend(monkeypatch):
    """Return pretend(script), which runs a script, with `word("--job")`, `store` and `job`, in place of the program."""

    def replace_by(script):
        monkeypatch.setattr(children, "PROGRAM", (sys.executable, "-c", WORD + script))

    return replace_by
