import logging
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from app.explorer.errors import Busy, ComputationFailed
from app.jobs import runner
from app.jobs.runner import Runner
from app.store.jobs import JobStore, Task

CHILD = """
import sys, time
from pathlib import Path
from app.explorer.steps import Step
from app.jobs.record import recorded
from app.store.jobs import JobStore

words = dict(zip(sys.argv[2::2], sys.argv[3::2]))
store = JobStore(Path(words["--data"]) / "jobs")

def steps(n, seconds):
    for i in range(1, n + 1):
        yield Step(f"layer {i}", i, n, i, 0, n, 0.0, 0, 0, 0.0, 0.0)
        time.sleep(seconds)

for _ in recorded(store, store.get(words["--job"]), steps(STEPS)):
    pass
"""
OV = Task(("ov",), ("raw",))
RAW = ("raw",)


@pytest.fixture
def pretend(monkeypatch):
    """Replaces the command by a line of Python, given the command's words as sys.argv."""
    start, begun = subprocess.Popen, []

    def replace_by(script):
        def popen(command, **kwargs):
            assert command[:4] == [sys.executable, "-m", "app", "precompute"]
            begun.append(command[4:])
            return start([sys.executable, "-c", script, *command[4:]], **kwargs)

        monkeypatch.setattr(runner.subprocess, "Popen", popen)
        return begun

    return replace_by


@pytest.fixture
def run(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    one = Runner(JobStore(tmp_path / "jobs"), tmp_path, "cpu")
    yield one
    one.close()


def awaited(run, job, *states, seconds=30):
    for _ in range(int(seconds / 0.01)):
        if (now := run._store.get(job.id)).state in states:
            return now
        time.sleep(0.01)
    raise TimeoutError(now)


def test_a_job_is_worked_off_by_the_command(run, pretend, tmp_path):
    begun = pretend(CHILD.replace("STEPS", "3, 0"))
    job = run.start("tiny", "ab", Task(("ov", "qk"), ("folded", "raw")))
    assert job.state == "waiting"
    assert (awaited(run, job, "done").matrices_done, job.slug, job.fingerprint) == (3, "tiny", "ab")
    words = ["tiny", "--matrices", "ov,qk", "--weights", "folded,raw", "--data", str(tmp_path), "--device", "cpu"]
    assert begun == [[*words, "--job", job.id, "--parent", str(os.getpid())]]


def test_one_after_the_other_in_their_order(run, pretend):
    pretend(CHILD.replace("STEPS", "2, 0.2"))
    jobs = [run.start(slug, "", OV) for slug in ("a", "b", "c")]
    awaited(run, jobs[0], "running")
    assert [run._store.get(job.id).state for job in jobs[1:]] == ["waiting", "waiting"]
    ended = [awaited(run, job, "done") for job in jobs]
    assert ended[0].ended <= ended[1].started < ended[1].ended <= ended[2].started


def test_an_equal_job_is_found_and_not_begun_again(run, pretend):
    pretend(CHILD.replace("STEPS", "1, 600"))
    first = run.start("tiny", "", Task(("ov", "qk"), RAW))
    assert run.start("tiny", "", Task(("qk", "ov"), RAW)).id == first.id
    awaited(run, first, "running")
    assert run.start("tiny", "", Task(("ov", "qk"), RAW)).id == first.id
    assert run.start("tiny", "", OV).id != first.id


def test_also_one_that_another_process_runs(run, pretend):
    pretend("")
    other = replace(run._store.new("tiny", "", OV), state="running")
    with run._store.held(other.id):
        run._store.write(other)
        assert run.start("tiny", "", OV).id == other.id
    assert run.start("tiny", "", OV).id != other.id  # interrupted by now


def test_only_so_many_wait(run, pretend, monkeypatch):
    monkeypatch.setattr(runner, "MOST_WAITING", 2)
    pretend(CHILD.replace("STEPS", "1, 600"))
    awaited(run, run.start("a", "", OV), "running")
    for slug in ("b", "c"):
        run.start(slug, "", OV)
    with pytest.raises(Busy, match="2 jobs"):
        run.start("d", "", OV)
    assert len(run._store.all()) == 3


def test_a_cancelled_job_ends_and_the_next_has_its_turn(run, pretend):
    pretend(CHILD.replace("STEPS", "600, 0.05"))
    first, second, third = (run.start(slug, "", OV) for slug in "abc")
    awaited(run, first, "running")
    run._store.cancel(second.id)  # while it waits
    assert awaited(run, second, "cancelled").started is None
    run._store.cancel(first.id)
    awaited(run, first, "cancelled")
    awaited(run, third, "running")


def test_a_step_that_does_not_end_is_interrupted(run, pretend, monkeypatch):
    monkeypatch.setattr(runner, "CANCEL_SECONDS", 0.1)
    pretend(CHILD.replace("STEPS", "1, 600"))
    job = run.start("tiny", "", OV)
    awaited(run, job, "running")
    run._store.cancel(job.id)
    assert awaited(run, job, "cancelled").ended


def test_one_that_does_not_heed_that_is_killed(run, pretend, monkeypatch):
    monkeypatch.setattr(runner, "CANCEL_SECONDS", 0.1)
    monkeypatch.setattr(runner, "STOP_SECONDS", 0.1)
    pretend("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + CHILD.replace("STEPS", "1, 600"))
    job = run.start("tiny", "", OV)
    awaited(run, job, "running")
    run._store.cancel(job.id)
    awaited(run, job, "cancelled")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise RuntimeError('/secret/path')", "status 1"),
        ("import os\nos.kill(os.getpid(), 9)", "memory"),
    ],
)
def test_a_child_that_breaks_keeps_its_reason_out_of_the_page(run, pretend, caplog, script, words):
    pretend(script)
    found = awaited(run, run.start("tiny", "", OV), "failed")
    assert words in found.message
    assert "secret" not in found.message
    assert ("secret" in script) == ("secret" in caplog.text)


def test_a_child_that_refuses_is_quoted(run, pretend):
    pretend("import sys; sys.exit(print('a library\\nsingular-lens: it takes 9 GiB', file=sys.stderr) or 1)")
    job = awaited(run, run.start("tiny", "", OV), "failed")
    assert job.message == "it takes 9 GiB"


def test_a_child_that_cannot_be_started_fails_its_job_alone(run, monkeypatch):
    def refuse(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(runner.subprocess, "Popen", refuse)
    for slug in "ab":
        assert "Cannot allocate memory" in awaited(run, run.start(slug, "", OV), "failed").message


def test_with_the_server_all_that_goes_on_is_interrupted(run, pretend):
    pretend(CHILD.replace("STEPS", "600, 0.05"))
    jobs = [run.start(slug, "", OV) for slug in "ab"]
    awaited(run, jobs[0], "running")
    begun = time.monotonic()
    run.close()
    assert time.monotonic() - begun < 25  # of the thirty that they would go on
    assert [run._store.get(job.id).state for job in jobs] == ["interrupted", "interrupted"]
    assert run._store.get(jobs[0].id).ended is None
    with pytest.raises(Busy):
        run.start("c", "", OV)


def test_a_job_that_cannot_be_noted_is_not_begun(tmp_path, pretend):
    begun = pretend("")
    (tmp_path / "jobs").touch()
    run = Runner(JobStore(tmp_path / "jobs"), tmp_path, "cpu")
    with pytest.raises(ComputationFailed, match="disk"):
        run.start("tiny", "", OV)
    run.close()
    assert begun == []


def test_without_jobs_there_is_no_thread(run):
    assert run._thread is None
    run.close()
