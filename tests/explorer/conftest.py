"""Resources over a copy of the tiny model, and a way to ask until an answer is ready."""

import shutil
import time

import pytest

from app.explorer.errors import NotReady
from app.explorer.resources import close_resources, open_resources

SETTINGS = {
    "models": ("tiny",),
    "device": "cpu",
    "weights": "folded",
    "quota_bytes": 10**9,
    "queue_size": 64,
    "wait_seconds": 30.0,
    "waiters": 8,
}


@pytest.fixture(scope="session")
def open_explorer():
    """open_explorer(data, queue_size=1, …) -> resources, closed at the end of the session if not before."""
    opened = []

    def build(data, **settings):
        opened.append(open_resources(data=data, **(SETTINGS | settings)))
        return opened[-1]

    yield build
    for r in opened:
        close_resources(r)


@pytest.fixture(scope="session")
def explorer(open_explorer, tiny_data, tmp_path_factory):
    """One explorer for all tests that only look."""
    return open_explorer(shutil.copytree(tiny_data, tmp_path_factory.mktemp("explorer") / "data"))


@pytest.fixture(scope="session")
def relatives(open_explorer, families_data, families, tmp_path_factory):
    """One explorer of all families, for tests that only look."""
    data = shutil.copytree(families_data, tmp_path_factory.mktemp("relatives") / "data")
    return open_explorer(data, models=families)


@pytest.fixture(scope="session")
def patiently():
    """patiently(verb, *words): the verb's answer, asked for until it is ready, as a browser would."""

    def ask(verb, *words, seconds=60):
        for _ in range(int(seconds / 0.01)):
            try:
                return verb(*words)
            except NotReady:
                time.sleep(0.01)
        raise TimeoutError

    return ask
