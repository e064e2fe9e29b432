"""Children that do next to nothing in place of the commands, and what they were told."""

import sys

import pytest

from app.explorer.running import children
from app.explorer.running.children import Children

WORD = """
import sys, time
from pathlib import Path
from app.jobs.steps import ImportStep, JobStep
from app.jobs.record import noted, recorded
from app.store.jobs import JobStore

def word(name):
    return sys.argv[sys.argv.index(name) + 1]

store = JobStore(Path(word("--data")) / "jobs")
job = store.get(word("--job"))
"""


class Recording(Children):
    """Keeps the words of those that were started, without their parent's number, and how kind they are."""

    def __init__(self):
        super().__init__()
        self.words, self.niceness = [], []

    def start(self, words, *, pass_fds=(), niceness=0):
        self.words.append(list(words))
        self.niceness.append(niceness)
        return super().start(words, pass_fds=pass_fds, niceness=niceness)


@pytest.fixture
def own():
    """The children of one server."""
    those = Recording()
    yield those
    those.close()


@pytest.fixture
def pretend(monkeypatch):
    """pretend(script): what is run in place of the program; it has `word("--job")`, `store` and its `job`."""

    def replace_by(script):
        monkeypatch.setattr(children, "PROGRAM", (sys.executable, "-c", WORD + script))

    return replace_by
