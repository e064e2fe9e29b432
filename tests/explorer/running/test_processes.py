"""A worker as a process of its own, killed, stopped and left alone: what it makes is a file's word, so that it costs nothing."""

import logging
import os
import signal
import sys
import time

import pytest

from app.explorer.errors import ComputationFailed
from app.explorer.running import children, processes
from app.explorer.running import queue as module
from app.explorer.running.children import Children
from app.explorer.running.processes import start_process
from app.explorer.running.queue import ComputeQueue
from app.store.artifacts import ArtifactStore, Recipe

WORKER = """
import argparse, logging, os, time
from pathlib import Path
import numpy as np
from app.explorer.running.processes import LAST_WORDS, run_worker
from app.explorer.running.worker import Maker
from app.interruption import exit_on_interrupt
from app.store.artifacts import ArtifactStore

words = argparse.ArgumentParser()
words.add_argument("what")
for name in ("channel", "data", "device", "quota", "parent"):
    words.add_argument(f"--{name}")
asked = words.parse_args()
data = Path(asked.data)

def make(recipe, slug):
    is_batch = recipe.subject == "batch"
    for at in range(1_000 if is_batch else 3):
        with (data / "log").open("a") as log:
            log.write(f"{recipe.subject} {at}\\n")
        while (data / f"{recipe.subject}-{at}").exists():  # held up
            time.sleep(0.002)
        time.sleep(0.005 * is_batch)  # until whatever is asked for meanwhile has come
        yield at, 3
    logging.getLogger("app.maker").warning("made %s", recipe.subject)
    return {"numbers": np.arange(3)}, {"pid": os.getpid()}

def prepare(slug, processing):
    yield 0, 1

if (data / "broken").exists():
    raise SystemExit("singular-lens: there is nothing to work with")
store = ArtifactStore(data / "artifacts", int(asked.quota))
with exit_on_interrupt(LAST_WORDS):
    run_worker(int(asked.channel), int(asked.parent), Maker(make, prepare), store)
"""


def recipe(subject):
    return Recipe("f" * 16, "scores", subject, "raw", "svd")


class Shop:
    """A queue with workers in processes."""

    def __init__(self, data, **settings):
        self.data = data
        self.children = Children()
        self.store = ArtifactStore(data / "artifacts", 10**9)
        settings = {"size": 64, "wait_seconds": 30.0, "waiters": 8} | settings
        self.queue = ComputeQueue(self.store, self._start, **settings)
        self.pids = []

    def _start(self):
        worker = start_process(self.children, self.data, "cpu", 10**9)
        self.pids.append(worker.child.pid)
        return worker

    def ask(self, subject, cost="cheap"):
        return self.queue.submit("tiny", [recipe(subject)], f"{subject} is being made.", cost)

    def get(self, subject):
        return self.queue.results(self.ask(subject))[0][0].facts["pid"]

    def hold(self, subject, step):
        (self.data / f"{subject}-{step}").touch()

    def let_go(self, subject, step):
        (self.data / f"{subject}-{step}").unlink()

    def steps(self):
        log = self.data / "log"
        return log.read_text().splitlines() if log.exists() else []

    def close(self):
        self.queue.close()
        self.children.close()


@pytest.fixture
def open_shop(tmp_path, monkeypatch):
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    monkeypatch.setattr(children, "PROGRAM", (sys.executable, str(script)))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    opened = []

    def build(**settings):
        data = tmp_path / "data"
        data.mkdir(exist_ok=True)
        opened.append(Shop(data, **settings))
        return opened[-1]

    yield build
    for shop in opened:
        shop.close()
        assert [pid for pid in shop.pids if is_there(pid)] == []
        assert list(shop.data.rglob("*.tmp")) == []


def is_there(pid):
    """Also as a zombie."""
    return os.path.exists(f"/proc/{pid}")


def until(holds, seconds=30):
    """Wait for it; the time is a guard, not a measure."""
    for _ in range(int(seconds / 0.005)):
        if holds():
            return
        time.sleep(0.005)
    raise TimeoutError


def open_files():
    return sorted(
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if fd.isdigit() and os.path.exists(f"/proc/self/fd/{fd}")
    )


def test_things_are_made_elsewhere_and_found_in_the_store(open_shop, caplog):
    caplog.set_level(logging.INFO)
    shop = open_shop()
    pid = shop.get("head")
    assert pid != os.getpid()
    assert shop.get("other") == pid
    assert os.getpriority(os.PRIO_PROCESS, pid) >= processes.WORKER_NICENESS
    until(lambda: "made other" in caplog.text)  # what it logs is in the server's log
    shop.close()
    assert not is_there(pid)


def test_one_that_is_killed_costs_an_answer_each_and_the_next_visit_is_good(open_shop, caplog, long):
    shop = open_shop()
    shop.get("before")
    before = open_files()
    for round_ in range(20 if long else 2):
        subject = f"head{round_}"
        shop.hold(subject, 1)
        visits = [shop.ask(subject), shop.ask(subject)]
        until(lambda subject=subject: f"{subject} 1" in shop.steps())
        os.kill(shop.pids[-1], signal.SIGKILL)
        for visit in visits:
            with pytest.raises(ComputationFailed, match="started anew"):
                shop.queue.results(visit)
        shop.let_go(subject, 1)
        assert shop.get(subject) == shop.pids[-1]  # a fresh one, at once
        assert shop.steps().count(f"{subject} 2") == 1
        assert len(shop.pids) == round_ + 2
    assert [pid for pid in shop.pids[:-1] if is_there(pid)] == []
    assert len(open_files()) <= len(before)
    assert list(shop.data.rglob("*.tmp")) == []


def test_what_waited_in_line_is_made_by_the_next_one(open_shop):
    shop = open_shop()
    shop.hold("deadly", 1)
    deadly, waiting = shop.ask("deadly", "dear"), shop.ask("waiting", "dear")
    until(lambda: "deadly 1" in shop.steps())
    os.kill(shop.pids[-1], signal.SIGKILL)
    assert shop.queue.results(waiting)[0][0].facts["pid"] == shop.pids[1]
    with pytest.raises(ComputationFailed):
        shop.queue.results(deadly)


def test_what_was_suspended_when_one_was_killed_begins_anew_once(open_shop):
    shop = open_shop()
    shop.hold("batch", 1)
    batch = shop.ask("batch", "batch")
    for at, name in enumerate(("first", "second")):
        until(lambda at=at: shop.steps().count("batch 1") == at + 1)
        shop.hold(name, 1)
        visit = shop.ask(name)
        shop.let_go("batch", 1)
        until(lambda name=name: f"{name} 1" in shop.steps())
        shop.hold("batch", 1)
        os.kill(shop.pids[-1], signal.SIGKILL)
        with pytest.raises(ComputationFailed):
            shop.queue.results(visit)
    with pytest.raises(ComputationFailed):
        shop.queue.results(batch)


def test_what_kills_every_worker_is_not_tried_for_ever(open_shop):
    shop = open_shop()
    shop.hold("deadly", 0)
    for attempt in (1, 2):
        visit = shop.ask("deadly")
        until(lambda attempt=attempt: shop.steps().count("deadly 0") == attempt)
        os.kill(shop.pids[-1], signal.SIGKILL)
        with pytest.raises(ComputationFailed):
            shop.queue.results(visit)
    for _ in range(3):
        with pytest.raises(ComputationFailed):
            shop.ask("deadly")
    assert len(shop.pids) == 2
    assert shop.get("other") == shop.pids[2]


def test_one_that_is_killed_at_one_thing_after_the_other_has_no_memory(open_shop):
    shop = open_shop()
    for at, subject in enumerate("abc"):
        assert not shop.queue.is_short_of_memory()
        shop.hold(subject, 0)
        visit = shop.ask(subject)
        until(lambda subject=subject: f"{subject} 0" in shop.steps())
        os.kill(shop.pids[at], signal.SIGKILL)
        with pytest.raises(ComputationFailed):
            shop.queue.results(visit)
        until(lambda at=at: not is_there(shop.pids[at]))
    until(shop.queue.is_short_of_memory)
    shop.get("good")
    assert not shop.queue.is_short_of_memory()


def test_one_whose_step_takes_too_long_is_ended(open_shop, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.02)
    shop = open_shop(stalled_seconds=1.0)
    shop.get("before")
    shop.hold("hangs", 1)
    hanging = shop.ask("hangs")
    with pytest.raises(ComputationFailed, match="started anew"):
        shop.queue.results(hanging)
    shop.let_go("hangs", 1)
    until(lambda: not is_there(shop.pids[0]))
    assert shop.get("hangs") == shop.pids[1]
    assert not shop.queue.is_short_of_memory()


def test_one_that_says_nothing_at_all_is_ended(open_shop, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.1)
    shop = open_shop()
    pid = shop.get("before")
    os.kill(pid, signal.SIGSTOP)
    with monkeypatch.context() as patience:  # the next one has as long to start as ever
        patience.setattr(module, "SILENT_SECONDS", 1.5)
        visit = shop.ask("head")
        with pytest.raises(ComputationFailed, match="started anew"):
            shop.queue.results(visit)
    until(lambda: not is_there(pid))
    assert shop.get("head") == shop.pids[1]


def test_one_that_cannot_even_begin_is_said(open_shop, caplog):
    shop = open_shop()
    (shop.data / "broken").touch()
    with pytest.raises(ComputationFailed, match="could not start"):
        shop.get("head")
    assert shop.queue.state() == "stopped"
    until(lambda: "nothing to work with" in caplog.text)
    (shop.data / "broken").unlink()
    assert shop.get("head") == shop.pids[-1]


def test_an_idle_one_ends_and_leaves_nothing(open_shop, monkeypatch, caplog):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.02)
    shop = open_shop(idle_seconds=0.2)
    before = open_files()
    first = shop.get("first")
    until(lambda: shop.queue.state() == "idle" and not is_there(first))
    until(lambda: open_files() == before)
    assert shop.get("second") != first
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_the_server_ends_in_the_middle_of_a_step(open_shop):
    shop = open_shop()
    shop.hold("long", 1)
    shop.ask("long")
    until(lambda: "long 1" in shop.steps())
    shop.close()
    assert not is_there(shop.pids[0])
    assert shop.queue.state() == "stopped"
