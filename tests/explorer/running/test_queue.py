import gc
import itertools
import logging
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from app.core.steps import FindingStep
from app.explorer.errors import BadOption, Busy, ComputationFailed, NotReady
from app.explorer.running import queue as module
from app.explorer.running import worker as worker_module
from app.explorer.running.errand import Preparation
from app.explorer.running.queue import ComputeQueue
from app.explorer.running.visitor import ASKING, VISITOR, VisitorRequest
from app.explorer.running.worker import Maker
from app.store.artifacts import ArtifactStore, Recipe
from tests.workers import start_thread

QUOTA = 10**9


def recipe(subject):
    return Recipe("f" * 16, "scores", subject, "raw", "svd")


class Gate:
    """A step that says when it has begun and ends when it is let go."""

    def __init__(self):
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self):
        self.begun.set()
        assert self.open.wait(30)


class Workshop:
    """Makes what it is told to, in threads, and notes what it was at."""

    def __init__(self, root):
        self.root = root
        self.store = ArtifactStore(root, QUOTA)
        self.works = {}
        """By subject: steps, each called when its turn comes."""
        self.steps = []
        self.tidied = threading.Event()
        self.started = []
        self.queues = []

    def make(self, recipe, slug):
        steps = self.works.get(recipe.subject, [lambda: None])
        for at, step in enumerate(steps):
            self.steps.append((recipe.subject, at))
            step()
            yield at + 1, len(steps)
        return {"numbers": np.arange(3)}, {"subject": recipe.subject}

    def prepare(self, slug, processing):
        self.steps.append((slug, processing))
        yield 1, 1

    def start(self):
        maker = Maker(self.make, self.prepare, self.tidied.set)
        self.started.append(start_thread(maker, ArtifactStore(self.root, QUOTA)))
        return self.started[-1]

    def open(self, start=None, size=64, wait_seconds=30.0, waiters=8, **more):
        self.queues.append(
            ComputeQueue(self.store, start or self.start, size=size, wait_seconds=wait_seconds, waiters=waiters, **more)
        )
        return self.queues[-1]

    def made(self):
        return [subject for subject, at in self.steps if at == 0]


@pytest.fixture
def shop(tmp_path):
    opened = Workshop(tmp_path / "artifacts")
    yield opened
    for queue in opened.queues:
        queue.close()
    assert [thread for worker in opened.started if (thread := worker.thread).is_alive()] == []


def ask(queue, *subjects, cost="cheap"):
    return queue.submit("tiny", [recipe(subject) for subject in subjects], f"{subjects[0]} is being made.", cost)


def get(queue, *subjects, cost="cheap"):
    return [artifact.facts["subject"] for artifact in queue.results(ask(queue, *subjects, cost=cost))[0]]


def until(holds, seconds=30):
    """Wait for it; the time is a guard, not a measure."""
    for _ in range(int(seconds / 0.005)):
        if holds():
            return
        time.sleep(0.005)
    raise TimeoutError


def raising(error):
    def step():
        raise error

    return step


def test_200_at_once_make_it_once(shop):
    queue = shop.open(waiters=200)
    gate, barrier = Gate(), threading.Barrier(200)
    shop.works["head"] = [gate]

    def visit(_):
        barrier.wait(30)
        errand = ask(queue, "head")
        barrier.wait(30)
        gate.open.set()
        return queue.results(errand)[0][0].facts

    with ThreadPoolExecutor(200) as visitors:
        assert list(visitors.map(visit, range(200))) == [{"subject": "head"}] * 200
    assert get(queue, "head") == ["head"]  # and whoever comes later finds it
    assert shop.made() == ["head"]
    assert len(shop.started) == 1


def test_what_is_there_needs_no_worker(shop):
    shop.store.save(recipe("head"), {"numbers": np.arange(3)}, {"subject": "head"})
    queue = shop.open()
    assert get(queue, "head") == ["head"]
    assert (shop.started, queue.state()) == ([], "idle")


def test_what_another_server_has_made_meanwhile_is_not_made_again(shop):
    queue, gate = shop.open(), Gate()
    shop.works["first"] = [gate]
    ask(queue, "first", cost="dear")
    assert gate.begun.wait(30)
    waiting = ask(queue, "second", cost="dear")
    ArtifactStore(shop.root, QUOTA).write(recipe("second"), {"numbers": np.arange(3)}, {"subject": "theirs"})
    gate.open.set()
    assert queue.results(waiting)[0][0].facts == {"subject": "theirs"}
    assert shop.made() == ["first"]


def test_a_failure_is_the_answer_of_its_page_only(shop, caplog):
    queue = shop.open()
    shop.works["bad"] = [raising(RuntimeError("/secret/path is broken"))]
    with pytest.raises(ComputationFailed) as failure:
        get(queue, "bad")
    assert "/secret" not in str(failure.value)
    assert "/secret" in caplog.text
    assert get(queue, "good") == ["good"]
    assert (queue.state(), len(shop.started)) == ("alive", 1)


def test_a_failure_is_remembered_then_tried_again(shop, monkeypatch):
    queue = shop.open()
    errors = iter([ValueError()])

    def fail_once():
        if error := next(errors, None):
            raise error

    shop.works["head"] = [fail_once]
    for _ in range(3):
        with pytest.raises(ComputationFailed):
            get(queue, "head")
    assert len(shop.steps) == 1
    monkeypatch.setattr(module, "FAILURE_SECONDS", 0.0)
    assert get(queue, "head") == ["head"]


def test_what_cannot_be_had_is_no_failure(shop, caplog):
    queue = shop.open()
    shop.works["bad"] = [raising(BadOption("The filter leaves 3 tokens."))]
    for _ in range(2):
        with pytest.raises(BadOption, match="leaves 3 tokens"):
            get(queue, "bad")
    assert len(shop.steps) == 1
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def test_a_full_queue_is_busy_but_lets_people_join_what_is_in_it(shop):
    queue, gate = shop.open(size=2), Gate()
    shop.works["running"] = [gate]
    ask(queue, "running")
    assert gate.begun.wait(30)
    ask(queue, "first")
    ask(queue, "second")
    assert queue.depth() == 2
    with pytest.raises(Busy):
        ask(queue, "third")
    joined = ask(queue, "second")
    gate.open.set()
    assert queue.results(joined)[0][0].facts == {"subject": "second"}
    assert get(queue, "third") == ["third"]


def test_only_so_many_may_wait(shop):
    queue, gate = shop.open(wait_seconds=60.0, waiters=1), Gate()
    shop.works["slow"] = [gate]
    errand = ask(queue, "slow")
    with ThreadPoolExecutor(1) as first:
        patient = first.submit(queue.results, errand)
        assert gate.begun.wait(30)
        until(lambda: not queue._waiters._value)
        with pytest.raises(NotReady, match="slow is being made") as not_ready:
            queue.results(errand)  # at once
        assert not_ready.value.pending == (errand.future,)
        gate.open.set()
        assert len(patient.result()[0]) == 1
    assert len(queue.results(errand)[0]) == 1  # what is done needs no waiting


def patient(event):
    """Steps enough for whatever is asked for meanwhile to get there, which sets the event."""
    return [lambda: event.wait(0.005)] * 2_000


def runs(steps):
    """What was worked at, one after the other."""
    return [subject for subject, _ in itertools.groupby(subject for subject, _ in steps)]


def test_batch_work_is_suspended_between_two_steps_and_goes_on_where_it_was(shop):
    queue, gate, come = shop.open(), Gate(), threading.Event()
    shop.works |= {"batch": [gate, *patient(come)], "visit": [come.set, lambda: None]}
    batch = ask(queue, "batch", cost="batch")
    assert gate.begun.wait(30)
    visit = ask(queue, "visit")
    gate.open.set()
    queue.results(visit, batch)
    assert runs(shop.steps) == ["batch", "visit", "batch"]
    assert [at for subject, at in shop.steps if subject == "batch"] == list(range(2_001))


def test_no_more_than_two_are_begun(shop):
    queue, gate, dear, come = shop.open(), Gate(), Gate(), threading.Event()
    shop.works |= {"batch": [gate, *patient(come)], "dear": [come.set, dear, lambda: None], "cheap": [lambda: None] * 2}
    errands = [ask(queue, "batch", cost="batch")]
    assert gate.begun.wait(30)
    errands.append(ask(queue, "dear", cost="dear"))
    gate.open.set()
    assert dear.begun.wait(30)
    errands.append(ask(queue, "cheap"))
    assert queue.depth() == 1
    dear.open.set()
    queue.results(*errands)
    assert runs(shop.steps) == ["batch", "dear", "cheap", "batch"]


def test_what_is_begun_for_one_is_not_begun_again_for_another(shop):
    queue, gate = shop.open(), Gate()
    shop.works["shared"] = [gate, lambda: None, lambda: None]
    batch = ask(queue, "first", "shared", "last", cost="batch")
    assert gate.begun.wait(30)
    visit = ask(queue, "shared")
    gate.open.set()
    found = queue.results(visit, batch)
    assert [[artifact.facts["subject"] for artifact in each] for each in found] == [
        ["shared"],
        ["first", "shared", "last"],
    ]
    assert shop.made() == ["first", "shared", "last"]


def test_a_visit_to_what_is_suspended_goes_on_with_that(shop):
    queue, gate, other, come = shop.open(), Gate(), Gate(), threading.Event()
    shop.works |= {"shared": [gate, *patient(come)], "other": [come.set, other]}
    batch = ask(queue, "shared", "last", cost="batch")
    assert gate.begun.wait(30)
    dear = ask(queue, "other", cost="dear")
    gate.open.set()
    assert other.begun.wait(30)
    visit = ask(queue, "shared", "more")
    other.open.set()
    queue.results(batch, dear, visit)
    assert runs(shop.steps) == ["shared", "other", "shared", "more", "last"]
    assert [at for subject, at in shop.steps if subject == "shared"] == list(range(2_001))


def test_of_several_in_one_place_one_that_fails_holds_up_none_behind_it(shop):
    queue = shop.open()
    shop.works["second"] = [raising(ValueError("no"))]
    with pytest.raises(ComputationFailed):
        get(queue, "first", "second", "third", cost="batch")
    assert shop.made() == ["first", "second", "third"]
    assert all(shop.store.exists(recipe(subject)) for subject in ("first", "third"))


def test_progress_is_told_from_the_first_moment(shop):
    queue, gate = shop.open(wait_seconds=0.0), Gate()
    shop.works["scores"] = [gate, lambda: None, gate]
    errand = ask(queue, "scores")
    with pytest.raises(NotReady, match="scores") as not_ready:
        queue.results(errand)
    assert (not_ready.value.done, not_ready.value.total) == (0, 100)
    gate.open.set()
    until(lambda: not queue._errands)
    assert errand.done == 100


def test_progress_is_that_of_all_that_is_made_in_one_place_and_only_rises(shop):
    queue, seen = shop.open(), []
    parts = {"control": 2, "first": 4, "second": 1}
    errand = None

    def look():
        until(lambda: errand is not None)
        seen.append(errand.done)

    shop.works |= {subject: [look] * n for subject, n in parts.items()}
    errand = queue.submit("tiny", [recipe("first"), recipe("second")], "", "dear", [recipe("control")])
    queue.results(errand)
    assert seen == sorted(seen)
    # A look may come before the step before it is heard of, but not before the end of another thing.
    assert [seen[0], *seen[2:3], *seen[6:]] == [0, 33, 66]


def test_who_asks_first_is_told_to_come_back_soon(shop):
    queue, gate = shop.open(wait_seconds=0.0), Gate()
    shop.works["long"] = [gate]
    for request in range(3):
        errand = visited(VisitorRequest(), "a", queue, "long")
        with pytest.raises(NotReady) as not_ready:
            queue.results(errand)
        assert not_ready.value.rests == (request == 0)
    gate.open.set()


def test_progress_does_not_fall_when_a_worker_begins_anew(shop, clock):
    queue = shop.open()
    shop.works["long"] = [lambda: None, taking(clock, 3.0), lambda: None, lambda: None]
    errand = visited(VisitorRequest(), "a", queue, "long")
    until(lambda: errand.rests)
    assert errand.done == 50
    shop.started[0].channel.close()
    until(lambda: queue.state() == "idle")
    gate = shop.works["long"][0] = Gate()
    visited(VisitorRequest(), "a", queue, "long")
    assert gate.begun.wait(30)
    assert errand.done == 50
    gate.open.set()
    until(lambda: not queue._errands)


def test_a_model_is_prepared_behind_all_else(shop):
    queue, gate = shop.open(), Gate()
    shop.works["visit"] = [gate]
    visit = ask(queue, "visit")
    assert gate.begun.wait(30)
    prepared = queue.submit("tiny", [Preparation("tiny", "raw")], "Preparing tiny.", "batch")
    second = ask(queue, "second")
    gate.open.set()
    assert queue.results(visit, second, prepared)[2] == []
    assert shop.steps == [("visit", 0), ("second", 0), ("tiny", "raw")]


def test_a_closed_queue_is_stopped_and_takes_nothing(shop):
    queue, gate = shop.open(), Gate()
    shop.works["running"] = [gate, lambda: None]
    running, waiting = ask(queue, "running"), ask(queue, "waiting")
    assert gate.begun.wait(30)
    threading.Timer(0.05, gate.open.set).start()  # the step that runs is ended
    queue.close()
    assert queue.state() == "stopped"
    for errand in (running, waiting):
        with pytest.raises(Busy, match="ending"):
            queue.results(errand)
    with pytest.raises(Busy):
        ask(queue, "late")
    assert shop.steps == [("running", 0)]


def test_a_disk_that_refuses_costs_nothing_but_time(shop, monkeypatch):
    shop.root.write_text("a file where the folder should be")
    queue = shop.open()
    assert get(queue, "head") == ["head"]
    assert shop.store.load(recipe("head")).arrays["numbers"].tolist() == [0, 1, 2]
    assert shop.store.refusal() is not None
    assert get(queue, "head") == ["head"]  # remembered
    assert shop.made() == ["head"]
    shop.root.unlink()
    assert get(queue, "other") == ["other"]
    assert shop.store.refusal() is None


def test_a_lack_of_memory_is_said_and_a_fresh_worker_goes_on(shop):
    queue, gate, come = shop.open(), Gate(), threading.Event()

    def fail():
        come.set()
        raise MemoryError

    shop.works |= {"batch": [gate, *patient(come)], "large": [fail]}
    batch = ask(queue, "batch", cost="batch")
    assert gate.begun.wait(30)
    large = ask(queue, "large")
    gate.open.set()
    with pytest.raises(ComputationFailed, match="not enough free memory"):
        queue.results(large)
    assert queue.results(batch)[0][0].facts == {"subject": "batch"}  # which was suspended
    assert get(queue, "small") == ["small"]
    assert len(shop.started) == 2


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: 9 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
)
def test_a_lack_of_memory_is_known_by_its_words(shop, error):
    queue = shop.open()
    shop.works["large"] = [raising(error)]
    with pytest.raises(ComputationFailed, match="not enough free memory"):
        get(queue, "large")


def test_memory_that_was_too_small_in_a_row_is_told_until_something_is_made_or_for_some_time(shop, monkeypatch):
    monkeypatch.setattr(module, "FAILURE_SECONDS", 0.0)
    monkeypatch.setattr(worker_module.logger, "disabled", True)
    queue = shop.open()
    for name in ("largest", "second", "third"):
        shop.works[name] = [raising(MemoryError())]
    shop.works["other"] = [raising(ValueError())]

    def is_short_after(name):
        errand = ask(queue, name)
        with suppress(ComputationFailed):
            queue.results(errand)
        return queue.is_short_of_memory()

    for _ in range(5):  # whoever asks for the one matrix that never fits stops nobody else
        assert not is_short_after("largest")
    assert not is_short_after("second")
    assert not is_short_after("other")
    assert is_short_after("third")
    assert is_short_after("other")
    assert not is_short_after("good")
    assert not is_short_after("largest")
    assert not is_short_after("second")
    assert is_short_after("third")
    monkeypatch.setattr(module, "SHORT_OF_MEMORY_SECONDS", 0.0)
    assert not queue.is_short_of_memory()


def test_nothing_of_what_failed_or_ended_is_kept(shop, monkeypatch):
    monkeypatch.setattr(module, "FAILURE_SECONDS", 0.0)
    monkeypatch.setattr(worker_module.logger, "disabled", True)  # pytest would keep its records
    queue, kept = shop.open(), []

    class Large:
        pass

    def fail():
        large = Large()
        kept.append(weakref.ref(large))
        raise ValueError(large)

    def succeed():
        large = Large()
        kept.append(weakref.ref(large))

    shop.works |= {"fails": [fail], "succeeds": [succeed]}
    with pytest.raises(ComputationFailed):
        get(queue, "fails")
    get(queue, "succeeds")
    gc.collect()
    assert [one() for one in kept] == [None, None]
    assert (queue._errands, queue._failures, queue._held, queue._line.list_begun()) == ({}, {}, set(), ())


def test_a_worker_with_nothing_to_do_tidies_up_once_each_time(shop, monkeypatch):
    monkeypatch.setattr(worker_module, "TIDY_AFTER_SECONDS", 0.01)
    queue = shop.open()
    for subject in ("first", "second"):
        shop.tidied.clear()
        assert get(queue, subject) == [subject]
        assert shop.tidied.wait(30)


def test_an_idle_worker_ends_and_the_next_visit_starts_another(shop, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    queue = shop.open(idle_seconds=0.05)
    assert queue.state() == "idle"
    assert get(queue, "first") == ["first"]
    until(lambda: queue.state() == "idle")
    until(lambda: not shop.started[0].thread.is_alive())
    assert get(queue, "second") == ["second"]
    assert len(shop.started) == 2


def test_a_worker_that_is_busy_for_long_is_not_idle(shop, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    queue, gate = shop.open(idle_seconds=0.05), Gate()
    shop.works["long"] = [gate]
    errand = ask(queue, "long")
    assert gate.begun.wait(30)
    time.sleep(0.2)
    assert queue.state() == "alive"
    gate.open.set()
    assert len(queue.results(errand)[0]) == 1
    assert len(shop.started) == 1


def test_a_worker_that_cannot_be_started_is_said_and_tried_again(shop, monkeypatch, caplog):
    refusals = iter([OSError(12, "Cannot allocate memory"), RuntimeError("can't start new thread"), OSError(2, "gone")])

    def start():
        if error := next(refusals, None):
            raise error
        return shop.start()

    queue = shop.open(start)
    for subject, words in (("a", "free memory"), ("b", "free memory"), ("c", "could not start")):
        with pytest.raises(ComputationFailed, match=words):
            get(queue, subject)
        assert queue.state() == "stopped"
    assert get(queue, "d") == ["d"]
    monkeypatch.setattr(module, "FAILURE_SECONDS", 0.0)
    assert get(queue, "a") == ["a"]
    assert queue.state() == "alive"


def test_what_fails_in_the_queue_itself_costs_an_answer_and_no_more(shop, monkeypatch, caplog):
    queue = shop.open()
    load = shop.store.load
    monkeypatch.setattr(shop.store, "load", lambda recipe: raising(MemoryError())())
    with pytest.raises(ComputationFailed, match="started anew"):
        get(queue, "head")
    monkeypatch.setattr(shop.store, "load", load)
    assert get(queue, "head") == ["head"]
    assert "begins anew" in caplog.text


def test_visitors_stand_in_line_by_who_they_are(shop):
    queue, gate = shop.open(), Gate()
    shop.works["running"] = [gate]
    ask(queue, "running", cost="dear")
    assert gate.begun.wait(30)
    errands = []
    for visitor, subjects in (("greedy", "abc"), ("modest", "d")):
        token = VISITOR.set(visitor)
        errands += [ask(queue, subject) for subject in subjects]
        VISITOR.reset(token)
    gate.open.set()
    queue.results(*errands)
    assert shop.made()[1:3] == ["a", "d"]


def visited(asking, client, queue, *subjects, cost="dear"):
    """What that request of that visitor is given."""
    tokens = VISITOR.set(client), ASKING.set(asking)
    try:
        return ask(queue, *subjects, cost=cost)
    finally:
        VISITOR.reset(tokens[0])
        ASKING.reset(tokens[1])


@pytest.fixture
def clock(monkeypatch):
    """Seconds computed, which a step adds to."""
    seconds = [0.0]
    monkeypatch.setattr(worker_module, "read_clocks", lambda: (seconds[0], 0.0))
    return seconds


def taking(clock, seconds):
    def step():
        clock[0] += seconds

    return step


def test_what_a_request_causes_rests_until_another_asks_for_it(shop, clock, monkeypatch):
    monkeypatch.setattr(module, "WAITED_SECONDS", 0.0)
    queue = shop.open()
    shop.works["long"] = [taking(clock, 0.9)] * 7
    errand = visited(VisitorRequest(), "a", queue, "long")
    with pytest.raises(NotReady) as rested:
        queue.results(errand)
    assert (rested.value.done, rested.value.total, rested.value.pending) == (100 * 3 // 7, 100, ())
    assert rested.value.rests
    assert len(shop.steps) == 3
    again = visited(VisitorRequest(), "b", queue, "long")
    assert again is errand
    until(lambda: len(shop.steps) == 6 and errand.rests)
    visited(VisitorRequest(), "a", queue, "long")
    until(lambda: not queue._errands)
    assert shop.steps == [("long", at) for at in range(7)]
    assert shop.store.exists(recipe("long"))


def test_what_somebody_came_back_for_rests_no_more_while_nobody_wants_anything_else(shop, clock):
    queue, gate = shop.open(), Gate()
    shop.works["long"] = [taking(clock, 3.0)] * 4 + [gate] + [taking(clock, 3.0)] * 2
    errand = visited(VisitorRequest(), "a", queue, "long")
    until(lambda: errand.rests)
    assert len(shop.steps) == 1
    visited(VisitorRequest(), "a", queue, "long")
    assert gate.begun.wait(30)
    other = visited(VisitorRequest(), "b", queue, "other")  # no cheaper: it waits until the first one rests
    gate.open.set()
    queue.results(other)
    until(lambda: not queue._errands)
    assert shop.steps[-3:] == [("long", 5), ("other", 0), ("long", 6)]


def test_who_came_back_and_left_is_not_waited_for(shop, clock, monkeypatch):
    queue, here, now = shop.open(), Gate(), time.monotonic
    shop.works["long"] = [taking(clock, 3.0), here, *[taking(clock, 3.0)] * 3]
    errand = visited(VisitorRequest(), "a", queue, "long")
    until(lambda: errand.rests)
    visited(VisitorRequest(), "a", queue, "long")
    assert here.begun.wait(30)
    monkeypatch.setattr(module.time, "monotonic", lambda: now() + module.WAITED_SECONDS)
    here.open.set()
    until(lambda: errand.rests)
    assert shop.steps == [("long", at) for at in range(3)]


def test_a_visitor_who_goes_elsewhere_does_not_wait_for_what_he_left(shop, clock):
    queue = shop.open()
    shop.works["long"] = [taking(clock, 3.0), lambda: None]
    left = visited(VisitorRequest(), "a", queue, "long")
    until(lambda: left.rests)
    assert len(queue.results(visited(VisitorRequest(), "a", queue, "other"))[0]) == 1
    assert left.rests


def test_the_same_request_may_look_for_it_as_often_as_it_likes(shop, clock):
    queue, asking = shop.open(), VisitorRequest()
    shop.works["long"] = [taking(clock, 3.0)] * 2
    errand = visited(asking, "a", queue, "long")
    until(lambda: errand.rests)
    for _ in range(3):
        with pytest.raises(NotReady):
            queue.results(visited(asking, "a", queue, "long"))
    assert get(queue, "other") == ["other"]  # meanwhile nothing has gone on
    assert shop.steps == [("long", 0), ("other", 0)]


def test_seconds_are_those_of_all_that_stands_in_one_place(shop, clock):
    queue = shop.open()
    shop.works |= {name: [taking(clock, 0.0), taking(clock, 1.5)] for name in ("first", "second", "third")}
    errand = visited(VisitorRequest(), "a", queue, "first", "second", "third")
    until(lambda: errand.rests)
    assert shop.made() == ["first", "second"]
    visited(VisitorRequest(), "a", queue, "first", "second", "third")
    until(lambda: not queue._errands)
    assert shop.made() == ["first", "second", "third"]


def test_what_the_server_does_by_itself_never_rests(shop, clock):
    queue = shop.open()
    shop.works |= {"own": [taking(clock, 100.0)] * 3, "shared": [taking(clock, 100.0)] * 3}
    assert get(queue, "own", cost="batch") == ["own"]
    errand = visited(VisitorRequest(), "a", queue, "shared")
    until(lambda: errand.rests)
    assert get(queue, "shared", cost="batch") == ["shared"]


def test_what_the_server_asked_for_is_no_visitors_to_leave_or_to_pay_for(shop, clock, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "FORGOTTEN_SECONDS", 0.0)
    queue, gate, asking = shop.open(), Gate(), VisitorRequest()
    shop.works |= {"running": [gate], "own": [taking(clock, 5.0)]}
    ask(queue, "running", cost="dear")
    assert gate.begun.wait(30)
    own = ask(queue, "own", cost="batch")
    assert visited(asking, "a", queue, "own", cost="batch") is own
    gate.open.set()
    assert own.future.result(30)
    assert asking.left == VisitorRequest().left


def test_a_request_begins_one_thing_at_a_time_that_is_not_cheap(shop):
    queue, asking, gate = shop.open(), VisitorRequest(), Gate()
    shop.works["first"] = [gate]
    first = visited(asking, "a", queue, "first")
    cheap = visited(asking, "a", queue, "cheap", cost="cheap")
    with pytest.raises(NotReady, match="first is being made") as refused:
        visited(asking, "a", queue, "second")
    assert refused.value.pending == (first.future,)
    gate.open.set()
    queue.results(first, cheap)
    assert len(queue.results(visited(asking, "a", queue, "second"))) == 1


def test_a_request_that_has_had_its_seconds_begins_nothing_more(shop, clock):
    queue, asking = shop.open(), VisitorRequest()
    shop.works["first"] = [taking(clock, 1.5)]
    queue.results(visited(asking, "a", queue, "first"))
    shop.works["second"] = [taking(clock, 0.75)]
    errand = visited(asking, "a", queue, "second")
    until(lambda: errand.rests)
    with pytest.raises(NotReady, match="third is being made") as refused:
        visited(asking, "a", queue, "third")
    assert refused.value.pending == ()
    assert len(queue.results(visited(VisitorRequest(), "a", queue, "third"))) == 1


def test_two_requests_that_wait_for_one_thing_leave_nothing_that_hangs(shop, clock, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "WAITED_SECONDS", 0.0)
    queue, requests = shop.open(), (VisitorRequest(), VisitorRequest())
    shop.works["long"] = [taking(clock, 1.0)] * 20
    errand = visited(requests[0], "a", queue, "long")
    for _ in range(4):  # as a route does, which asks again whenever what it waits for has been answered
        for asking in requests:
            visited(asking, "a", queue, "long")
        until(lambda: errand.rests)
    with pytest.raises(NotReady) as rested:
        queue.results(visited(requests[1], "a", queue, "long"))
    assert rested.value.pending == ()
    assert len(shop.steps) <= 5  # two seconds for each request, until the end of a step
    assert len(queue.results(visited(VisitorRequest(), "a", queue, "other"))[0]) == 1
    monkeypatch.setattr(module, "FORGOTTEN_SECONDS", 0.0)
    until(lambda: not queue._errands)


def test_a_request_that_has_had_its_seconds_takes_none_from_another(shop, clock):
    queue, spent = shop.open(), VisitorRequest(left=0.0)
    shop.works["long"] = [taking(clock, 3.0), taking(clock, 1.0)]
    errand = visited(VisitorRequest(), "a", queue, "long")
    until(lambda: errand.rests)
    fresh = VisitorRequest()
    visited(fresh, "a", queue, "long")
    visited(spent, "b", queue, "long")
    until(lambda: not queue._errands)
    assert fresh.left == 1.0


def test_room_that_comes_free_is_taken_though_nobody_asks(shop, clock, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    queue = shop.open()
    shop.works |= {name: [taking(clock, 3.0), lambda: None] for name in ("first", "second")}
    resting = [visited(VisitorRequest(), name, queue, name) for name in ("first", "second")]
    until(lambda: all(errand.rests for errand in resting))
    third = visited(VisitorRequest(), "c", queue, "third")
    monkeypatch.setattr(module, "SPARED_SECONDS", 0.0)
    assert third.future.result(30)


def test_what_a_visitor_has_left_in_line_makes_room_for_what_he_wants_now(shop, clock, monkeypatch):
    queue, gate = shop.open(), Gate()
    shop.works["running"] = [gate]
    ask(queue, "running", cost="dear")
    assert gate.begun.wait(30)
    left = [visited(VisitorRequest(), "a", queue, name) for name in "bcde"]
    with pytest.raises(Busy, match="4 computations"):
        visited(VisitorRequest(), "a", queue, "wanted")
    monkeypatch.setattr(module, "SPARED_SECONDS", 0.0)
    wanted = visited(VisitorRequest(), "a", queue, "wanted")
    assert all(isinstance(errand.future.exception(30), NotReady) for errand in left)
    gate.open.set()
    assert len(wanted.future.result(30)) == 1
    assert shop.made() == ["running", "wanted"]


def test_what_is_asked_for_again_goes_before_batch_work_that_runs(shop, clock):
    queue, gate = shop.open(), Gate()
    shop.works |= {"dear": [taking(clock, 3.0), lambda: None], "batch": [gate, lambda: None, lambda: None]}
    dear = visited(VisitorRequest(), "a", queue, "dear")
    until(lambda: dear.rests)
    batch = ask(queue, "batch", cost="batch")
    assert gate.begun.wait(30)
    again = visited(VisitorRequest(), "a", queue, "dear")
    until(lambda: queue._running is again)
    gate.open.set()
    queue.results(again, batch)
    assert shop.steps[-3:-1] == [("dear", 1), ("batch", 1)]


def test_what_rests_and_is_not_asked_for_is_forgotten_and_begun_anew(shop, clock, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    queue = shop.open()
    shop.works["long"] = [taking(clock, 3.0), lambda: None]
    errand = visited(VisitorRequest(), "a", queue, "long")
    until(lambda: errand.rests)
    monkeypatch.setattr(module, "FORGOTTEN_SECONDS", 0.0)
    until(lambda: not queue._errands)
    monkeypatch.setattr(module, "FORGOTTEN_SECONDS", 60.0)
    with pytest.raises(NotReady):
        errand.future.result(30)
    assert get(queue, "long") == ["long"]
    assert [at for _, at in shop.steps] == [0, 0, 1]


def test_two_that_rest_leave_room_for_a_cheap_one_and_one_of_them_for_others_once_nobody_asks(shop, clock, monkeypatch):
    queue = shop.open()
    shop.works |= {name: [taking(clock, 3.0), lambda: None] for name in ("first", "second")}
    resting = [visited(VisitorRequest(), name, queue, name) for name in ("first", "second")]
    until(lambda: all(errand.rests for errand in resting))
    cheap = visited(VisitorRequest(), "c", queue, "cheap", cost="cheap")
    assert len(queue.results(cheap)[0]) == 1
    third = visited(VisitorRequest(), "c", queue, "third")
    assert get(queue, "cheaper") == ["cheaper"]
    assert queue.depth() == 1
    monkeypatch.setattr(module, "SPARED_SECONDS", 0.0)
    assert len(queue.results(visited(VisitorRequest(), "d", queue, "third"))[0]) == 1
    assert third.future.done()
    assert [errand.key in queue._errands for errand in resting] == [False, True]
    visited(VisitorRequest(), "a", queue, "second")
    until(lambda: not queue._errands)
    assert [step for step in shop.steps if step[0] == "second"] == [("second", 0), ("second", 1)]


def test_a_worker_that_ends_while_something_rests_has_it_begun_anew(shop, clock):
    queue = shop.open()
    shop.works["long"] = [taking(clock, 3.0), lambda: None]
    errand = visited(VisitorRequest(), "a", queue, "long")
    until(lambda: errand.rests)
    shop.started[0].channel.close()
    until(lambda: queue.state() == "idle")
    visited(VisitorRequest(), "a", queue, "long")
    until(lambda: not queue._errands)
    assert shop.steps == [("long", 0), ("long", 0), ("long", 1)]
    assert len(shop.started) == 2


class Asking:
    """A request of a visitor's that looks again and again, as a stream does."""

    def __init__(self, queue, visitor="one"):
        self.queue, self.visitor = queue, visitor

    def look(self, *subjects, cost="dear"):
        self.request = VisitorRequest()
        asked, visited = ASKING.set(self.request), VISITOR.set(self.visitor)
        try:
            return ask(self.queue, *subjects, cost=cost)
        finally:
            ASKING.reset(asked)
            VISITOR.reset(visited)


def test_what_is_abandoned_while_it_runs_ends_after_its_step(shop):
    queue, gate = shop.open(), Gate()
    shop.works["text"] = [gate, lambda: None, lambda: None]
    visitor = Asking(queue)
    errand = visitor.look("text")
    assert gate.begun.wait(30)
    queue.abandon(errand, visitor.request)
    until(errand.future.done)
    gate.open.set()
    assert get(queue, "head", cost="dear") == ["head"]
    with pytest.raises(NotReady):
        errand.future.result(0)
    assert [at for subject, at in shop.steps if subject == "text"] == [0]
    assert get(queue, "text") == ["text"]  # and whoever asks later has it begun anew
    assert [at for subject, at in shop.steps if subject == "text"] == [0, 0, 1, 2]


def test_what_is_abandoned_in_line_is_never_begun(shop):
    queue, gate = shop.open(size=2), Gate()
    shop.works["first"] = [gate]
    first, visitor = ask(queue, "first"), Asking(queue)
    assert gate.begun.wait(30)
    for _ in range(50):  # more than the line has places for
        queue.abandon(visitor.look("text"), visitor.request)
        until(lambda: queue.depth() == 0)
    gate.open.set()
    queue.results(first)
    assert get(queue, "head") == ["head"]
    assert shop.made() == ["first", "head"]


def test_what_another_asks_for_meanwhile_is_not_abandoned(shop):
    queue, gate = shop.open(), Gate()
    shop.works["text"] = [gate, lambda: None]
    one, other = Asking(queue), Asking(queue, "other")
    errand = one.look("text")
    assert gate.begun.wait(30)
    assert other.look("text") is errand
    queue.abandon(errand, one.request)
    gate.open.set()
    assert queue.results(errand)[0][0].facts == {"subject": "text"}
    queue.abandon(errand, other.request)  # which is over
    assert get(queue, "text") == ["text"]
    assert [at for subject, at in shop.steps if subject == "text"] == [0, 1]


def test_a_hundred_abandoned_ones_leave_nothing(shop):
    queue = shop.open()
    visitor = Asking(queue)
    for n in range(100):
        shop.works[f"text {n}"] = [lambda: time.sleep(0.001)] * 5
        errand = visitor.look(f"text {n}")
        if n % 3:
            until(lambda number=n: any(subject == f"text {number}" for subject, _ in shop.steps))
        queue.abandon(errand, visitor.request)
    until(lambda: not queue._errands and not queue._held and not queue._abandoned)
    assert queue.depth() == 0
    assert get(queue, "head") == ["head"]
    assert len(shop.started) == 1


def test_what_a_step_has_found_is_known_while_it_goes_on(shop):
    queue, gate = shop.open(), Gate()

    def make(recipe, slug):
        yield FindingStep(0, 2, (7, 8))
        yield 1, 2
        gate()
        return {"numbers": np.arange(3)}, {"subject": recipe.subject}

    shop.make = make
    errand = ask(queue, "text")
    assert gate.begun.wait(30)
    until(lambda: errand.so_far == (7, 8))
    gate.open.set()
    queue.results(errand)
