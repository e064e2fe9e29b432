import shutil
from dataclasses import replace

import pytest

from app.explorer.asking.agenda import list_tasks
from app.explorer.errors import ComputationFailed, UnknownAddress
from app.explorer.visits import jobs
from app.explorer.visits.jobs import command_of, format_duration, format_rate, progress_of, title_of
from app.store.jobs import Job, Task

JOB = Job("0123456789ab", "tiny", "ab", Task(), created=1.0, updated=20.0)
RUNNING = replace(JOB, state="running", stage="L5, folded", started=10.0, matrices_done=610, matrices=854)


@pytest.fixture
def r(open_explorer, tiny_data, tmp_path):
    return open_explorer(shutil.copytree(tiny_data, tmp_path / "data"))


def written(r, slug="tiny", **changes):
    job = replace(r.jobs.new(slug), **changes)
    r.jobs.write(job)
    return job


def test_jobs_of_other_servers_models_are_not_shown(r):
    ours, theirs = written(r), written(r, slug="secret")
    assert [page.id for page in jobs.visit_jobs(r).jobs] == [ours.id]
    assert jobs.visit_job(r, ours.id).title == "tiny: OV and QK, folded"
    with pytest.raises(UnknownAddress, match="no job"):
        jobs.visit_job(r, theirs.id)
    with pytest.raises(UnknownAddress):
        jobs.cancel_job(r, theirs.id)


def test_a_job_of_every_matrix_is_called_that(r):
    task = list_tasks(r.library.model("tiny"), "raw")[0]
    assert jobs.visit_job(r, written(r, task=task).id).title == "tiny: every matrix, raw"
    assert "more" in jobs.visit_job(r, written(r, task=replace(task, matrices=task.matrices[1:])).id).title


def test_of_one_model_and_only_those_that_go_on(r):
    done, live = written(r, state="done"), r.jobs.new("tiny")
    with r.jobs.hold_job(live.id):
        r.jobs.write(live)
        assert {page.id for page in jobs.visit_jobs(r, "tiny").jobs} == {done.id, live.id}
        assert [page.id for page in jobs.visit_jobs(r, "tiny", live=True).jobs] == [live.id]
    assert jobs.visit_jobs(r, live=True).jobs == ()
    with pytest.raises(UnknownAddress, match="This server has: tiny"):
        jobs.visit_jobs(r, "gpt2")


@pytest.mark.parametrize("state", ["waiting", "running", "done", "cancelled", "failed", "interrupted"])
def test_what_may_be_done_depends_on_the_state_and_the_operator(r, state):
    live = state in {"waiting", "running"}
    job = replace(r.jobs.new("tiny"), state="running" if state == "interrupted" else state)
    if live:
        with r.jobs.hold_job(job.id):
            r.jobs.write(job)
            page, forbidden = jobs.visit_job(r, job.id, allowed=True), jobs.visit_job(r, job.id)
    else:
        r.jobs.write(job)
        page, forbidden = jobs.visit_job(r, job.id, allowed=True), jobs.visit_job(r, job.id)
    assert page.state == state
    assert (page.may_cancel, page.may_start) == (live, not live and state != "done")
    assert (forbidden.may_cancel, forbidden.may_start) == (False, False)


def test_a_cancelled_job_is_ending_until_it_has(r):
    job = r.jobs.new("tiny")
    with r.jobs.hold_job(job.id):
        r.jobs.write(job)
        assert not jobs.visit_job(r, job.id).is_ending
        jobs.cancel_job(r, job.id)
        assert jobs.visit_job(r, job.id).is_ending
        r.jobs.write(replace(job, state="cancelled"))
    assert not jobs.visit_job(r, job.id).is_ending


def test_a_disk_that_takes_no_request_is_told(r, monkeypatch):
    job = written(r)

    def refuse(_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(r.jobs, "cancel", refuse)
    with pytest.raises(ComputationFailed, match="disk"):
        jobs.cancel_job(r, job.id)


@pytest.mark.parametrize(
    ("task", "result"),
    [
        (Task(("embed",), ("raw",), "nmf", (("components", 5),)), "tiny/embed/nmf"),
        (Task(("L1/mlp-in",), ("folded",)), "tiny/L1/mlp-in/svd"),
        (Task(("heads/write",), ("folded",), "dictionary"), "tiny/heads/write/dictionary"),
        (Task(("mlp-in",), ("folded",), "nmf"), None),
        (Task(("ov", "qk"), ("folded",)), None),
        (Task(("embed",), ("folded", "raw"), "nmf"), None),
    ],
)
def test_a_job_of_one_matrix_leads_to_it(r, task, result):
    page = jobs.visit_job(r, written(r, task=task, state="done").id)
    assert (None if page.result is None else str(page.result)) == result


def test_only_who_may_start_is_offered_it(r):
    assert jobs.visit_jobs(r).startable == ()
    ((model),) = jobs.visit_jobs(r, allowed=True).startable
    assert (model.slug, model.processings) == ("tiny", ("folded", "raw"))


def test_a_job_in_words():
    some = replace(JOB, task=Task(("qk",), ("folded", "raw")))
    fit = replace(JOB, task=Task(("embed",), ("raw",), "nmf", (("components", 32), ("seed", 0))))
    assert title_of(some) == "tiny: QK, folded and raw"
    assert title_of(fit) == "tiny: embedding nmf (components 32, seed 0), raw"
    assert (
        title_of(replace(JOB, task=Task(("ov", "qk", "embed", "pos"))))
        == "tiny: OV and QK and embedding and 1 more, folded"
    )
    assert command_of(JOB) == "singular-lens precompute tiny --matrices ov,qk --weights folded"
    assert command_of(some) == "singular-lens precompute tiny --matrices qk --weights folded,raw"
    assert command_of(fit).endswith("--matrices embed --weights raw --basis nmf --components 32 --seed 0")
    assert progress_of(JOB) == "waiting for its turn"
    assert progress_of(RUNNING) == "61 matrices/s, 4 s left (L5, folded)"
    with_layers = replace(RUNNING, layers=12, layers_done=5)
    assert progress_of(with_layers) == "5 of 12 layers, 61 matrices/s, 4 s left (L5, folded)"
    assert progress_of(replace(RUNNING, matrices_done=0)) == "L5, folded"
    half = replace(RUNNING, matrices_done=0, matrices_found=0, matrices=1, part=0.5)
    assert progress_of(half) == "0.05 matrices/s, 10 s left (L5, folded)"
    assert progress_of(replace(RUNNING, state="interrupted", matrices=1_854)) == "interrupted, 610 of 1,854 matrices"
    assert progress_of(replace(JOB, state="failed")) == "failed"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.04, "less than 0.1 s"),
        (0.05, "0.1 s"),
        (0.44, "0.4 s"),
        (4.4, "4 s"),
        (59.4, "59 s"),
        (59.7, "1 min 0 s"),
        (599, "9 min 59 s"),
        (601, "10 min"),
        (3599, "60 min"),
        (4000, "1 h 7 min"),
        (86_400, "24 h 0 min"),
        (200_000, "2 days"),
    ],
)
def test_times_in_words(seconds, words):
    assert format_duration(seconds) == words


@pytest.mark.parametrize(("rate", "words"), [(0.123, "0.12"), (1.26, "1.3"), (9.96, "10"), (1234.5, "1,234")])
def test_rates_in_words(rate, words):
    assert format_rate(rate) == words
