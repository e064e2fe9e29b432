import logging
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from app.explorer.errors import Busy, ComputationFailed
from app.explorer.running import children
from app.jobs import runner
from app.jobs.runner import Runner
from app.store.jobs import JobStore, Task

CHILD = """
def steps(n, seconds):
    for i in range(1, n + 1):
        yield JobStep(f"layer {i}", i, n, i, 0, n, 0.0, 0, 0, 0.0, 0.0)
        time.sleep(seconds)

for _ in run_recorded(store, job, steps(STEPS)):
    pass
"""
IMPORT = """
with note_job(store, job) as notes:
    for i in range(1, STEPS + 1):
        notes.follow(ImportStep("writing", i, STEPS))
        time.sleep(PAUSE)
        notes.check()
"""
OV = Task(("ov",), ("raw",))
RAW = ("raw",)


class Told:
    """What the models on their way are told."""

    def __init__(self):
        self.begun, self.ended = [], []
        self.begin, self.end = self.begun.append, self.ended.append


@pytest.fixture
def run(tmp_path, caplog, own, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.02)
    one = Runner(JobStore(tmp_path / "jobs"), own, tmp_path, "cpu")
    yield one
    one.close()


def awaited(run, job, *states, seconds=30):
    for _ in range(int(seconds / 0.01)):
        if (now := run._store.get(job.id)).state in states:
            return now
        time.sleep(0.01)
    raise TimeoutError(now)


def test_a_job_is_worked_off_by_the_command(run, own, pretend, tmp_path):
    pretend(CHILD.replace("STEPS", "3, 0"))
    job = run.start("tiny", "ab", Task(("ov", "qk"), ("folded", "raw")))
    assert job.state == "waiting"
    assert (awaited(run, job, "done").matrices_done, job.slug, job.fingerprint) == (3, "tiny", "ab")
    words = ["precompute", "tiny", "--matrices", "ov,qk", "--weights", "folded,raw", "--data", str(tmp_path)]
    assert own.words == [[*words, "--device", "cpu", "--job", job.id]]


def test_who_asks_for_it_decides_how_far_it_stands_back(run, own, pretend, until):
    pretend("")
    run.start("tiny", "", OV)
    run.start("tiny", "", Task(("qk",), RAW), "operator")
    until(lambda: len(own.words) == 2)
    assert own.niceness == [10, 19]
    assert [words[-1] == "--ahead" for words in own.words] == [False, True]


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
    with run._store.hold_job(other.id):
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
    monkeypatch.setattr(children, "STOP_SECONDS", 0.1)
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
    pretend("sys.exit(print('a library\\nsingular-lens: it takes 9 GiB', file=sys.stderr) or 1)")
    job = awaited(run, run.start("tiny", "", OV), "failed")
    assert job.message == "it takes 9 GiB"


def test_a_child_that_cannot_be_started_fails_its_job_alone(run, own, monkeypatch):
    def refuse(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(own, "start", refuse)
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


def test_a_job_that_cannot_be_noted_is_not_begun(tmp_path, own, pretend):
    pretend("")
    (tmp_path / "jobs").touch()
    run = Runner(JobStore(tmp_path / "jobs"), own, tmp_path, "cpu")
    with pytest.raises(ComputationFailed, match="disk"):
        run.start("tiny", "", OV)
    with pytest.raises(OSError, match="jobs"):
        run.start_import("tiny", "org/tiny", Told())
    run.close()
    assert own.words == []


def test_an_import_is_worked_off_by_the_command(run, own, pretend, tmp_path, until, caplog):
    pretend(IMPORT.replace("STEPS", "3").replace("PAUSE", "0.2"))
    told = Told()
    job = run.start_import("tiny", "org/tiny", told)
    assert (job.task, job.slug) == (None, "tiny")
    until(lambda: told.ended)
    assert [(end.id, end.state, end.done, end.total) for end in told.ended] == [(job.id, "done", 3, 3)]
    assert told.begun == [job]
    assert run._store.get(job.id) == told.ended[0]
    assert own.words == [["import", "--name", "tiny", "--data", str(tmp_path), "--job", job.id, "--", "org/tiny"]]
    assert own.niceness == [5]
    assert "Importing tiny: writing, " in caplog.text


@pytest.mark.parametrize("source", ["--help", "-", "", "a\nb", "\x1b[31mred", "\udcff", "../..", "$(reboot)"])
def test_whatever_a_source_is_called_it_is_one_word_and_noted_nowhere(run, own, pretend, until, source):
    pretend("sys.exit(print('singular-lens: it is', ascii(sys.argv[-1]), len(sys.argv), file=sys.stderr) or 1)")
    told = Told()
    job = run.start_import("tiny", source, told)
    until(lambda: told.ended)
    assert told.ended[0].message == f"it is {source!a} 12"
    noted = replace(told.ended[0], message="")
    assert source in {"", "-"} or source not in repr(noted)
    assert run._store.get(job.id).message == told.ended[0].message


def test_a_source_that_no_command_line_can_hold_fails_its_job_alone(run, pretend, until):
    pretend("")
    told = Told()
    for slug, source in (("a", "nul\x00"), ("b", "\ud800"), ("c", "good")):
        run.start_import(slug, source, told)
    until(lambda: len(told.ended) == 3)
    assert [job.state for job in told.ended] == ["failed", "failed", "done"]
    assert "could not be started" in told.ended[0].message


def test_a_child_that_there_is_no_memory_for_fails_its_job_alone(run, pretend, until, monkeypatch):
    pretend("")
    told, start = Told(), run._children.start
    refusals = iter([MemoryError()])

    def start_once_refused(*words, **named):
        if refusal := next(refusals, None):
            raise refusal
        return start(*words, **named)

    monkeypatch.setattr(run._children, "start", start_once_refused)
    for slug in ("a", "b"):
        run.start_import(slug, "good", told)
    until(lambda: len(told.ended) == 2)
    assert [job.state for job in told.ended] == ["failed", "done"]


def test_imports_come_before_what_is_computed_in_their_order(run, own, pretend, until):
    pretend("time.sleep(0.2)")
    told = Told()
    first = run.start("tiny", "", OV)
    until(lambda: own.words)
    run.start("other", "", OV)
    for slug in "ab":
        run.start_import(slug, f"org/{slug}", told)
    run.start("another", "", OV)
    until(lambda: len(own.words) == 5)
    assert [words[-1] if words[0] == "import" else words[1] for words in own.words] == [
        "tiny",
        "org/a",
        "org/b",
        "other",
        "another",
    ]
    assert awaited(run, first, "done")


def test_of_one_model_one_import_is_in_line(run, own, pretend, until):
    pretend("time.sleep(600)")
    first = run.start_import("tiny", "org/tiny", Told())
    assert run.start_import("tiny", "org/tiny", Told()) == first
    until(lambda: own.words)
    assert run.start_import("tiny", "org/tiny", Told()) == first
    assert run.start_import("other", "org/other", Told()).id != first.id


def test_imports_are_taken_however_many_wait(run, pretend, monkeypatch):
    monkeypatch.setattr(runner, "MOST_WAITING", 1)
    pretend("time.sleep(600)")
    for slug in "abcd":
        run.start_import(slug, slug, Told())
    with pytest.raises(Busy):
        run.start("a", "", OV)


@pytest.mark.parametrize("is_running", [True, False])
def test_a_cancelled_import_is_told_to_whoever_waits_for_it(run, pretend, until, is_running):
    pretend(IMPORT.replace("STEPS", "600").replace("PAUSE", "0.02"))
    told = Told()
    other = None if is_running else run.start_import("other", "other", Told())
    job = run.start_import("tiny", "org/tiny", told)
    awaited(run, job if is_running else other, "running")
    run._store.cancel(job.id)
    until(lambda: told.ended)
    assert (told.ended[0].id, told.ended[0].state) == (job.id, "cancelled")


def test_a_killed_import_is_failed_and_says_what_that_often_means(run, own, pretend, until):
    pretend(IMPORT.replace("STEPS", "600").replace("PAUSE", "1"))
    told = Told()
    job = run.start_import("tiny", "org/tiny", told)
    until(lambda: run._store.get(job.id).done)
    (child,) = own._children
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: told.ended)
    assert (told.ended[0].state, told.ended[0].done > 0) == ("failed", True)
    assert "memory" in told.ended[0].message
    until(lambda: not own._children)
    assert not Path(f"/proc/{child.pid}").exists()


def test_an_end_that_cannot_be_noted_is_told_all_the_same(run, pretend, until, monkeypatch, tmp_path):
    pretend("time.sleep(0.3)")
    told = Told()
    job = run.start_import("tiny", "org/tiny", told)
    awaited(run, job, "running")

    def refuse(job):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run._store, "write", refuse)
    until(lambda: told.ended)
    assert (told.ended[0].id, told.ended[0].state) == (job.id, "done")


def test_without_jobs_there_is_no_thread(run):
    assert run._thread is None
    run.close()
