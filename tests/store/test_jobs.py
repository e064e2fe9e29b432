import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from app.store import jobs
from app.store.jobs import Job, JobStore, Task

HOLD = """
import sys, time
from dataclasses import replace
from pathlib import Path
from app.store.jobs import JobStore
store = JobStore(Path(sys.argv[1]))
job = replace(store.new("tiny"), state="running")
with store.hold_job(job.id):
    store.write(job)
    print(job.id, flush=True)
    sys.stdin.readline()
    store.write(replace(job, state="done", ended=time.time()))
    print("done", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path / "jobs")


def written(store, **changes):
    job = replace(store.new("tiny"), **changes)
    store.write(job)
    return job


def names(store):
    return sorted(path.name for path in store._root.iterdir())


def test_a_folder_that_is_not_there_has_no_jobs(store):
    assert store.is_empty()
    assert store.all() == []
    assert store.get("0123456789ab") is None
    store.cancel("0123456789ab")
    assert list(store.leftovers()) == []
    assert not store._root.exists()


def test_what_is_written_is_read(store):
    job = written(store, state="failed", started=1.5, ended=2.5, message="why", matrices=7, task=Task(("qk",)))
    found = store.get(job.id)
    assert found == replace(job, updated=found.updated)
    assert abs(found.updated - time.time()) < 60
    assert names(store) == [f"{job.id}.json"]
    assert not store.is_empty()


def test_a_job_is_interrupted_once_nobody_looks_after_it(store, start):
    other = start(HOLD, store._root)
    id_ = other.stdout.readline().strip()
    assert store.get(id_).state == "running"
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert store.get(id_).state == "interrupted"
    assert json.loads((store._root / f"{id_}.json").read_text())["state"] == "running"
    with store.hold_job(id_):
        assert store.get(id_).state == "running"


def test_a_waiting_job_too(store):
    job = store.new("tiny")
    with store.hold_job(job.id):
        store.write(job)
        assert store.get(job.id).state == "waiting"
    assert store.get(job.id).state == "interrupted"


def test_a_job_that_ends_while_it_is_looked_at_was_not_interrupted(store, monkeypatch):
    job = written(store, state="running")

    def end_meanwhile(id_):
        written(store, id=id_, state="done", ended=1.0)
        return False

    monkeypatch.setattr(store, "_is_held", end_meanwhile)
    assert store.get(job.id).state == "done"


def test_many_who_ask_do_not_take_each_other_for_its_worker(store):
    job = written(store, state="running")
    (store._root / f"{job.id}.lock").touch()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: store.get(job.id).state, range(400)))
    assert set(found) == {"interrupted"}


def test_whoever_asks_does_not_keep_a_worker_out(store, start):
    other = start(HOLD, store._root)
    id_ = other.stdout.readline().strip()
    with store.hold_job(id_):  # a server and its child at the same time
        other.kill()
        other.wait()
        assert store.get(id_).state == "running"


def test_the_end_takes_lock_and_request_along(store, start):
    other = start(HOLD, store._root)
    id_ = other.stdout.readline().strip()
    store.cancel(id_)
    assert store.is_cancelled(id_)
    assert names(store) == [f"{id_}.cancel", f"{id_}.json", f"{id_}.lock"]
    other.stdin.write("\n")
    other.stdin.flush()
    assert other.stdout.readline() == "done\n"
    assert store.get(id_).state == "done"
    assert names(store) == [f"{id_}.json"]


def test_who_was_asked_to_end_and_is_gone_was_cancelled(store):
    job = store.new("tiny")
    with store.hold_job(job.id):
        store.write(job)
        store.cancel(job.id)
    assert store.get(job.id).state == "cancelled"


def test_nobody_waits_for_a_pipe(store, tmp_path):
    written(store)
    (root,) = {path.parent for path in tmp_path.rglob("*.json")}
    os.mkfifo(root / "aaaaaaaaaaaa.json")
    os.mkfifo(root / "aaaaaaaaaaaa.lock")
    assert len(store.all()) == 1
    assert store.get("aaaaaaaaaaaa") is None
    assert {path.name for path in store.leftovers()} == {"aaaaaaaaaaaa.json", "aaaaaaaaaaaa.lock"}


def test_what_has_ended_cannot_be_cancelled(store):
    job = written(store, state="done", ended=1.0)
    store.cancel(job.id)
    assert not store.is_cancelled(job.id)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"id": "0123456789ab"}',
        b"x" * 10**6,
        {"id": "ffffffffffff"},
        {"slug": "../etc"},
        {"slug": "<script>"},
        {"state": "lost"},
        {"matrices": -1},
        {"matrices": 10**30},
        {"matrices": "many"},
        {"compute_seconds": float("nan")},
        {"created": float("inf")},
        {"created": 1e12},
        {"ended": 253_402_300_800.0},
        {"task": {"matrices": []}},
        {"task": {"matrices": ["../etc"]}},
        {"task": {"matrices": ["ov"], "processings": ["cooked"]}},
        {"task": {"matrices": ["ov"], "basis": "<b>"}},
        {"task": {"matrices": ["ov"], "parameters": [["seed", -1]]}},
        {"part": 2},
        {"message": "x" * 2_000},
    ],
)
def test_a_file_that_is_no_jobs_is_passed_over(store, content):
    good = written(store, state="done")
    other = written(store, id="0123456789ab", state="done")
    path = store._root / f"{other.id}.json"
    path.write_bytes(
        content if isinstance(content, bytes) else json.dumps(json.loads(path.read_text()) | content).encode()
    )
    assert store.get(other.id) is None
    assert [job.id for job in store.all()] == [good.id]


def test_folders_links_and_foreign_names_are_passed_over(store):
    good = written(store, state="done")
    (store._root / "0123456789ab.json").mkdir()
    (store._root / "0123456789ac.json").symlink_to(store._root / "0123456789ac.json")
    for name in ("README.json", "x.lock", "0123456789AB.json", ".0123456789ad.json"):
        (store._root / name).touch()
    assert [job.id for job in store.all()] == [good.id]


@pytest.mark.parametrize("id_", ["", "..", "../jobs/x", "0123456789AB", "0123456789ab\n", "0123456789abc", "²" * 12])
def test_no_name_leads_out_of_the_folder(store, id_):
    written(store)
    assert store.get(id_) is None


def test_newest_first(store):
    for created in (2.0, 3.0, 1.0):
        written(store, created=created)
    assert [job.created for job in store.all()] == [3.0, 2.0, 1.0]


def test_the_oldest_that_ended_make_room_and_no_other(store, monkeypatch):
    monkeypatch.setattr(jobs, "MOST_ENDED", 3)
    live = replace(store.new("tiny"), created=0.5)
    with store.hold_job(live.id):
        store.write(live)
        for created in (1.0, 2.0, 3.0, 4.0, 5.0):
            written(store, created=created, state="done")
        assert [job.created for job in store.all()] == [5.0, 4.0, 3.0, 0.5]
        store.write(store.all()[-1])  # noted again, so nobody has to go
        assert len(store.all()) == 4


def test_leftovers_are_what_no_job_needs(store):
    live, old, recent = (
        store.new("tiny"),
        written(store, state="done", ended=1.0),
        written(store, state="done", ended=4e9),
    )
    for name in ("0123456789ab.lock", "0123456789ac.cancel", f"{recent.id}.cancel", "notes.lock", ".x.0123abcd.tmp"):
        (store._root / name).touch()
    with store.hold_job(live.id):  # about to be written
        left = {path.name for path in store.leftovers()}
    assert left == {f"{old.id}.json", "0123456789ab.lock", "0123456789ac.cancel", ".x.0123abcd.tmp"}


def test_a_full_disk_leaves_what_was_there(store, monkeypatch):
    job = written(store, state="running")

    def refuse(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jobs, "to_json", refuse)
    with pytest.raises(OSError, match="No space"):
        store.write(replace(job, matrices=9))
    monkeypatch.undo()
    assert store.get(job.id).matrices == 0
    assert names(store) == [f"{job.id}.json"]


def job(**changes):
    return replace(Job("0123456789ab", "tiny", "", Task(("ov",), ("raw",)), created=0.0, updated=20.0), **changes)


def test_rate_and_time_left():
    running = job(state="running", started=10.0, matrices_done=50, matrices_found=30, matrices=100)
    assert (running.matrices_per_second, running.seconds_left) == (5.0, 4.0)
    done = replace(running, state="done", ended=15.0, matrices_done=70)
    assert (done.matrices_per_second, done.seconds_left) == (14.0, None)


@pytest.mark.parametrize(
    "unknown",
    [job(), job(state="running", started=10.0, matrices=5), job(state="running", started=20.0, matrices_done=1)],
)
def test_nothing_is_said_before_it_is_known(unknown):
    assert unknown.matrices_per_second is None
    assert unknown.seconds_left is None


def test_the_same_work_is_known_however_it_is_said():
    both, turned = job(task=Task(("ov", "qk"))), job(id="b" * 12, task=Task(("qk", "ov")), state="done")
    assert both.is_same_job(turned)
    assert not job().is_same_job(job(task=Task(("ov",), ("folded",))))
    fits = [Task(("embed",), ("raw",), "nmf", (("components", n), ("seed", 0))) for n in (8, 9)]
    assert not job(task=fits[0]).is_same_job(job(task=fits[1]))
    assert job(task=fits[0]).is_same_job(job(task=replace(fits[0], parameters=fits[0].parameters[::-1])))
    assert not job().is_same_job(job(fingerprint="ab"))


def test_what_a_task_covers():
    fit = Task(("embed", "mlp-in"), ("folded", "raw"), "nmf", (("components", 8), ("seed", 0)))
    one = replace(fit, matrices=("L3/mlp-in",), processings=("raw",))
    assert fit.includes("mlp-in", one)
    assert fit.includes("embed", replace(one, matrices=("embed",)))
    assert not fit.includes("mlp-out", replace(one, matrices=("L3/mlp-out",)))
    assert not fit.includes("mlp-in", replace(one, parameters=(("components", 9), ("seed", 0))))
    assert not fit.includes("mlp-in", replace(one, basis="ica"))
    assert not replace(fit, processings=("folded",)).includes("mlp-in", one)
