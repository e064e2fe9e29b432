"""How far a model is on its way: what its job says, and how it ended."""

from dataclasses import replace

import pytest

from app.explorer.running.imports import Import, Imports
from app.store.jobs import JobStore


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path / "jobs")


@pytest.fixture
def imports(store):
    return Imports(store, {"tiny": "org/tiny", "other": "org/other"})


@pytest.fixture
def running(store):
    job = replace(store.new_import("tiny"), state="running", stage="writing", done=3, total=4)
    with store.hold_job(job.id):
        store.write(job)
        yield job


def test_what_was_here_is_none_of_them(imports):
    assert imports.of("gpt2") is None
    assert imports.slugs == ("tiny", "other")


def test_before_its_job_is_noted_it_waits_for_its_turn(imports):
    assert imports.of("tiny") == Import("tiny", "org/tiny", "importing", "waiting for its turn", 0, 0, None)


def test_while_it_is_under_way_its_job_is_quoted(imports, store, running):
    imports.begin(running)
    assert imports.of("tiny") == Import("tiny", "org/tiny", "importing", "writing", 3, 4, running.id)
    store.write(replace(running, stage="checking", done=0, total=0))
    assert (imports.of("tiny").message, imports.of("tiny").total) == ("checking", 0)
    assert imports.of("other").job is None


@pytest.mark.parametrize(
    ("state", "message", "seen", "words"),
    [
        ("done", "", "done", ""),
        ("failed", "no network", "failed", "no network"),
        ("cancelled", "", "failed", "its import was cancelled"),
    ],
)
def test_how_it_ended_is_known_whatever_becomes_of_its_file(imports, store, running, state, message, seen, words):
    imports.begin(running)
    imports.end(replace(running, state=state, message=message))
    for path in store._root.iterdir():
        path.unlink()
    now = imports.of("tiny")
    assert (now.state, now.message, now.job) == (seen, words, running.id)


def test_begun_again_it_waits_again(imports, store):
    imports.refuse("tiny", "files could not be read or written: Read-only file system")
    assert imports.of("tiny").state == "failed"
    again = store.new_import("tiny")
    imports.begin(again)
    assert imports.of("tiny") == Import("tiny", "org/tiny", job=again.id)


def test_a_file_that_is_gone_meanwhile_ends_nothing(imports, store, running):
    imports.begin(running)
    for path in store._root.iterdir():
        path.unlink()
    assert imports.of("tiny").state == "importing"
