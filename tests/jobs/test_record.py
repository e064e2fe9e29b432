import time
from dataclasses import fields, replace

import pytest

from app.explorer.errors import ComputationFailed
from app.jobs import record
from app.jobs.record import JobCancelled, note_job, run_recorded
from app.jobs.steps import ImportStep, JobStep
from app.models.refusal import ImportRefused
from app.store.jobs import Job, JobStore


def step(n, of=4):
    return JobStep(f"layer {n} of {of}", n, of, 8 * n, 1, 8 * of + 1, 0.0, n, 100 * n, 0.5 * n, 0.25 * n)


class Steps:
    """Four steps, and whether somebody has closed them."""

    def __init__(self, error=None):
        self.error, self.is_closed = error, False

    def __iter__(self):
        return self.run()

    def run(self):
        try:
            for n in range(1, 5):
                yield step(n)
                if self.error and n == 2:
                    raise self.error
        finally:
            self.is_closed = True


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "NOTE_SECONDS", 0.0)
    return JobStore(tmp_path / "jobs")


@pytest.mark.parametrize("kind", [JobStep, ImportStep])
def test_a_job_has_all_that_a_step_says(kind):
    assert {field.name for field in fields(kind)} <= {field.name for field in fields(Job)}


def test_every_step_is_noted_and_handed_on(store):
    job = store.new("tiny")
    seen = []
    for now in run_recorded(store, job, Steps().run()):
        noted = store.get(job.id)
        assert (noted.state, noted.stage, noted.matrices_done) == ("running", now.stage, now.matrices_done)
        seen.append(now.layers_done)
    assert seen == [1, 2, 3, 4]
    done = store.get(job.id)
    assert (done.state, done.matrices_done, done.matrices_found, done.rays, done.write_seconds) == (
        "done",
        32,
        1,
        400,
        1.0,
    )
    assert job.created <= done.started <= done.ended


def test_a_job_that_a_server_has_started_runs_since_then(store):
    job = replace(store.new("tiny"), state="running", stage="loading the libraries", started=1.5)
    with note_job(store, job):
        assert store.get(job.id).started == 1.5
    assert store.get(job.id).started == 1.5


def test_notes_are_taken_now_and_then_and_at_the_end(store, monkeypatch):
    monkeypatch.setattr(record, "NOTE_SECONDS", 60.0)
    job = store.new("tiny")
    steps = run_recorded(store, job, Steps().run())
    for _ in range(3):
        next(steps)
    assert store.get(job.id).layers_done == 0
    assert [now.layers_done for now in steps] == [4]
    assert store.get(job.id).layers_done == 4


def test_a_cancelled_job_ends_after_its_step(store):
    job, steps = store.new("tiny"), Steps()
    notes = run_recorded(store, job, steps.run())
    next(notes)
    store.cancel(job.id)
    with pytest.raises(JobCancelled):
        next(notes)
    assert steps.is_closed
    found = store.get(job.id)
    assert (found.state, found.layers_done, found.message) == ("cancelled", 1, "")
    assert not store.is_cancelled(job.id)


def test_what_is_cancelled_while_it_waits_does_not_begin(store):
    job = store.new("tiny")
    with store.hold_job(job.id):
        store.write(job)
        store.cancel(job.id)
    with pytest.raises(JobCancelled):
        next(run_recorded(store, job, (pytest.fail("begun") for _ in range(1))))
    assert store.get(job.id).state == "cancelled"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ComputationFailed("layer-001 is damaged."), "layer-001 is damaged."),
        (RuntimeError("/secret/path"), "RuntimeError"),
    ],
)
def test_a_failure_is_noted_in_words_for_visitors_and_raised(store, error, words):
    job = store.new("tiny")
    with pytest.raises(type(error)):
        list(run_recorded(store, job, Steps(error).run()))
    found = store.get(job.id)
    assert (found.state, found.layers_done) == ("failed", 2)
    assert words in found.message
    assert "secret" not in found.message


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_whoever_is_interrupted_leaves_it_interrupted(store, error):
    job = store.new("tiny")
    with pytest.raises(error):
        list(run_recorded(store, job, Steps(error()).run()))
    found = store.get(job.id)
    assert (found.state, found.layers_done, found.ended) == ("interrupted", 2, None)


def test_so_does_who_asks_for_no_further_step(store):
    job, steps = store.new("tiny"), Steps()
    notes = run_recorded(store, job, steps.run())
    next(notes)
    assert store.get(job.id).state == "running"
    notes.close()
    assert steps.is_closed
    assert store.get(job.id).state == "interrupted"


def test_a_disk_that_takes_no_notes_does_not_end_the_work(tmp_path, caplog):
    (tmp_path / "jobs").touch()  # no folder can be made there
    store = JobStore(tmp_path / "jobs")
    begun = time.monotonic()
    assert [now.layers_done for now in run_recorded(store, store.new("tiny"), Steps().run())] == [1, 2, 3, 4]
    assert time.monotonic() - begun < 5
    assert len(caplog.records) == 1


def test_what_a_library_makes_of_an_interruption_is_one(store, monkeypatch):
    job = store.new("tiny")

    def steps():
        yield step(1)
        raise ImportError("cannot import")

    monkeypatch.setattr("app.jobs.record.is_interrupted", lambda: True)
    with pytest.raises(ImportError):
        list(run_recorded(store, job, steps()))
    assert store.get(job.id).state == "interrupted"


def test_what_an_import_says_is_noted_with_each_of_its_stages(store, monkeypatch):
    monkeypatch.setattr(record, "NOTE_SECONDS", 60.0)
    job = store.new_import("tiny")
    with note_job(store, job) as notes:
        for stage, done in (("finding tiny", 0), ("writing", 1), ("writing", 2)):
            notes.follow(ImportStep(stage, done, 2))
        now = store.get(job.id)
        assert (now.state, now.stage, now.done, now.total) == ("running", "writing", 1, 2)
    assert (store.get(job.id).state, store.get(job.id).done) == ("done", 2)


def test_why_an_import_was_refused_is_noted_and_nothing_that_does_not_print(store):
    job = store.new_import("tiny")
    said = "the folder \x1b[31mred\n\u202e\udcff " + "x" * 100_000

    def refuse():
        with note_job(store, job) as notes:
            notes.follow(ImportStep(said, 0, 0))
            raise ImportRefused(said)

    with pytest.raises(ImportRefused):
        refuse()
    now = store.get(job.id)
    assert now.state == "failed"
    for words in (now.stage, now.message):
        assert words.startswith("the folder \\x1b[31mred\\n\\u202e\\udcff ")
        assert words.isprintable()


def test_an_import_that_was_cancelled_before_it_began_does_nothing(store):
    job = store.new_import("tiny")
    with store.hold_job(job.id):
        store.write(job)
        store.cancel(job.id)
        with pytest.raises(JobCancelled), note_job(store, job):
            raise AssertionError("it was begun")
    assert store.get(job.id).state == "cancelled"
