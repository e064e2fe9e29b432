"""A server's own jobs: after the import, one after the other, by one of several servers, and never against a cancellation."""

import logging
import os
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from app.explorer.asking.agenda import list_tasks
from app.explorer.library import Library
from app.explorer.running.imports import Import
from app.jobs import ahead, runner
from app.jobs.ahead import Precomputer
from app.jobs.runner import Runner
from app.models.catalog import Catalog
from app.models.importing.published import SMOLLM2
from app.models.origin import Origin
from app.store.artifacts import ArtifactStore
from app.store.jobs import JobStore
from app.store.locks import claim_file

CHILD = """
steps = (time.sleep(SECONDS) or JobStep("L1", 0, 1, i, 0, 2, 0.0, 0, 0, 0.0, 0.0) for i in range(2))
for _ in run_recorded(store, job, steps):
    pass
"""


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    for module, name in ((ahead, "LOOK_SECONDS"), (ahead, "WAIT_SECONDS"), (runner, "LOOK_SECONDS")):
        monkeypatch.setattr(module, name, 0.01)
    monkeypatch.setattr(ahead, "list_tasks", two_of)


def two_of(model, default):
    """Enough to see one follow the other."""
    return list_tasks(model, default)[:4:3]


@pytest.fixture
def r(fresh_data):
    """What is looked at of a server of `tiny`."""
    return SimpleNamespace(
        data=fresh_data,
        slugs=("tiny",),
        default_weights="folded",
        library=Library(Catalog(fresh_data)),
        imports=SimpleNamespace(of=lambda slug: None),
        store=ArtifactStore(fresh_data / "artifacts", 10**9),
        jobs=JobStore(fresh_data / "jobs"),
        prompts=None,
        computes_for_visits=True,
    )


@pytest.fixture
def begun(own, pretend):
    """Children that do nothing in place of those that compute; begun.last(600): seconds for each of their two steps."""
    own.last = lambda seconds: pretend(CHILD.replace("SECONDS", str(seconds)))
    own.last(0)
    return own


@pytest.fixture
def running(r, begun, request):
    """running(of_all=True): it works, until the test ends or it is closed."""

    def run(of_all=True):
        jobs = Runner(r.jobs, begun, r.data, "cpu")
        one = Precomputer(r, jobs, of_all=of_all)
        request.addfinalizer(jobs.close)
        request.addfinalizer(one.close)
        return one, jobs

    return run


def bases(r):
    return [job.task.basis for job in reversed(r.jobs.all())]


def test_one_job_after_the_other_for_the_operator(r, begun, running, caplog, until):
    caplog.set_level(logging.INFO)
    running()
    until(lambda: "every matrix is there" in caplog.text)
    assert bases(r) == ["svd", "nmf"]
    second, first = r.jobs.all()
    assert first.ended <= second.started
    assert all(words[-1] == "--ahead" for words in begun.words)
    assert "tiny: every matrix is computed now" in caplog.text
    assert "--no-precompute" in caplog.text


def test_without_a_word_every_matrix_of_the_small_model_that_is_known_and_of_others_the_bank(
    r, begun, running, caplog, until
):
    caplog.set_level(logging.INFO)
    one, _ = running(of_all=False)
    one._thread.join(30)
    assert [job.task.matrices for job in r.jobs.all()] == [("bank",)]
    assert "tiny: its bank is there" in caplog.text
    Catalog(r.data).add("tiny", r.library.model("tiny").fingerprint, Origin(sum=SMOLLM2.sha256))
    one, _ = running(of_all=False)
    one._thread.join(60)
    assert bases(r) == ["svd", "svd", "nmf"]
    assert {"bank", "ov"} < set(r.jobs.all()[1].task.matrices)


def test_where_prompts_are_run_statistics_come_behind_the_matrices(r, begun, running):
    r.prompts = SimpleNamespace()
    one, _ = running()
    one._thread.join(60)
    said = [job.task.matrices[-1] for job in reversed(r.jobs.all())]
    assert said == ["bank", "use", "ov", "embed", "unlikely"]


def test_for_the_public_what_pages_lead_to_follows(r, begun, running):
    r.computes_for_visits = False
    one, _ = running()
    one._thread.join(60)
    said = [(job.task.basis, job.task.matrices[-1]) for job in reversed(r.jobs.all())]
    assert said == [("svd", "bank"), ("neuron", "mlp-out"), ("svd", "vectors"), ("nmf", "embed")]


def test_a_large_model_is_run_only_where_every_matrix_of_it_is_computed(r, begun, running, monkeypatch):
    r.prompts = SimpleNamespace()
    monkeypatch.setattr(ahead, "MOST_PARAMETERS", 1)
    one, _ = running(of_all=False)
    one._thread.join(60)
    assert [job.task.matrices for job in r.jobs.all()] == [("bank",)]


def test_it_waits_for_the_import(r, begun, running, until):
    state = [Import("tiny", "tiny")]
    r.imports.of = lambda slug: state[0]
    running()
    time.sleep(0.1)
    assert begun.words == []
    state[0] = replace(state[0], state="done")
    until(lambda: begun.words)


def test_a_model_that_could_not_be_imported_holds_up_no_other(r, begun, running, until):
    r.slugs = ("gone", "tiny")
    failed = Import("gone", "org/gone", "failed", "no network")
    r.imports.of = lambda slug: failed if slug == "gone" else None
    running()
    until(lambda: begun.words)
    assert begun.words[0][1] == "tiny"


def test_what_failed_and_is_imported_after_all_has_its_turn(r, begun, running, until):
    failed = Import("tiny", "tiny", "failed", "no network")
    asked, state = [], [failed]
    r.imports.of = lambda slug: asked.append(slug) or state[0]
    running()
    until(lambda: len(asked) > 2)  # it was seen to have failed
    assert begun.words == []
    state[0] = replace(failed, state="importing")
    asked.clear()
    until(lambda: len(asked) > 2)
    assert begun.words == []
    state[0] = replace(failed, state="done")
    until(lambda: begun.words)


def test_what_is_there_is_not_begun(r, begun, running, monkeypatch):
    monkeypatch.setattr(ahead, "is_done", lambda store, model, task: task.basis != "nmf")
    one, _ = running()
    one._thread.join(30)
    assert bases(r) == ["nmf"]


def test_a_cancelled_job_ends_it(r, begun, running, caplog, until):
    begun.last(0.5)
    one, _ = running()
    job = until(lambda: next((job for job in r.jobs.all() if job.state == "running"), None))
    r.jobs.cancel(job.id)
    one._thread.join(30)
    assert bases(r) == ["svd"]
    assert "cancelled; what is left is not computed" in caplog.text


def test_it_ends_with_the_server_and_goes_on_with_the_next(r, begun, running, until):
    begun.last(600)
    one, jobs = running()
    until(lambda: any(job.state == "running" for job in r.jobs.all()))
    one.close()
    jobs.close()
    assert [job.state for job in r.jobs.all()] == ["interrupted"]
    begun.last(0)
    one, _ = running()
    one._thread.join(60)
    assert bases(r) == ["svd", "svd", "nmf"]


def test_of_several_servers_one_does_it_and_another_goes_on(r, begun, running, monkeypatch, until):
    manifest = r.library.model("tiny").folder / "manifest.json"
    other = claim_file(manifest)
    one, _ = running()
    time.sleep(0.1)
    assert begun.words == []
    os.close(other)
    until(lambda: begun.words)
    assert claim_file(manifest) is None
    one._thread.join(60)
    last = claim_file(manifest)
    assert last is not None
    os.close(last)


def test_a_job_of_the_terminal_that_does_the_same_is_waited_for(r, begun, running):
    model = r.library.model("tiny")
    job = replace(r.jobs.new("tiny", model.fingerprint, list_tasks(model, "folded")[0]), state="running")
    with r.jobs.hold_job(job.id):
        r.jobs.write(job)
        one, _ = running()
        time.sleep(0.2)
        assert begun.words == []
        r.jobs.write(replace(job, state="done", ended=time.time()))
    one._thread.join(60)
    assert bases(r) == ["svd", "nmf"]


def test_a_folder_that_nobody_may_write_to_is_left_as_it_is(r, begun, running, monkeypatch):
    monkeypatch.setattr(ahead.os, "access", lambda path, mode: False)
    one, _ = running()
    one._thread.join(30)
    assert begun.words == []
