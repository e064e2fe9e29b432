import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.explorer.compute import ComputeQueue
from app.explorer.errors import BadOption, Busy, ComputationFailed, NotReady


@pytest.fixture
def open_queue():
    opened = []

    def build(size=64, wait_seconds=10.0, waiters=8, **more):
        opened.append(ComputeQueue(size, wait_seconds, waiters, **more))
        return opened[-1]

    yield build
    for queue in opened:
        queue.close()


class Gate:
    """Work that says when it has begun and ends when it is let go."""

    def __init__(self):
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self):
        self.begun.set()
        assert self.open.wait(10)
        return "through"


def test_200_at_once_compute_once(open_queue):
    queue = open_queue(waiters=200)
    calls, all_there = [], threading.Event()

    def work():
        assert all_there.wait(10)
        calls.append(threading.current_thread().name)
        return 42

    barrier = threading.Barrier(200)

    def visit(_):
        barrier.wait(10)
        job = queue.submit("head", work, "a head")
        barrier.wait(10)
        all_there.set()
        return queue.results(job)

    with ThreadPoolExecutor(200) as visitors:
        assert list(visitors.map(visit, range(200))) == [[42]] * 200
    # A visitor who comes after the end starts anew: remembering results is the store's part, not the queue's.
    assert calls == ["compute"]


def test_a_failure_is_the_answer_of_its_page_only(open_queue, caplog):
    queue = open_queue()

    def fail():
        raise RuntimeError("/secret/path is broken")

    with pytest.raises(ComputationFailed) as failure:
        queue.get("bad", fail, "a bad head")
    assert "/secret" not in str(failure.value)
    assert "/secret" in caplog.text
    assert queue.get("good", lambda: 1, "a good head") == 1
    assert queue.alive()


@pytest.mark.parametrize("error", [SystemExit(3), MemoryError(), KeyboardInterrupt(), StopIteration()])
def test_the_worker_survives_whatever_is_raised(open_queue, error):
    queue = open_queue()

    def fail():
        raise error

    if not isinstance(error, StopIteration):
        with pytest.raises(ComputationFailed):
            queue.get("bad", fail, "bad")
    else:
        queue.submit("bad", fail, "bad")
    assert queue.get("good", lambda: 1, "good") == 1


def test_a_failure_is_remembered_then_tried_again(open_queue, monkeypatch):
    queue = open_queue()
    attempts = []

    def fail_once():
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError
        return "second time lucky"

    for _ in range(3):
        with pytest.raises(ComputationFailed):
            queue.get("head", fail_once, "a head")
    assert len(attempts) == 1
    monkeypatch.setattr("app.explorer.compute.FAILURE_SECONDS", 0.0)
    assert queue.get("head", fail_once, "a head") == "second time lucky"


def test_a_full_queue_is_busy_but_lets_people_join_what_is_in_it(open_queue):
    queue = open_queue(size=2)
    running = Gate()
    queue.submit("running", running, "running")
    assert running.begun.wait(10)
    queue.submit("first", lambda: 1, "first")
    queue.submit("second", lambda: 2, "second")
    assert queue.depth() == 2
    with pytest.raises(Busy):
        queue.submit("third", lambda: 3, "third")
    joined = queue.submit("second", lambda: "another", "second")
    running.open.set()
    assert queue.results(joined) == [2]
    assert queue.get("third", lambda: 3, "third") == 3


def test_only_so_many_may_wait(open_queue):
    queue = open_queue(wait_seconds=60.0, waiters=1)
    gate = Gate()
    job = queue.submit("slow", gate, "L5H3 OV is being decomposed")
    with ThreadPoolExecutor(1) as first:
        patient = first.submit(queue.results, job)
        assert gate.begun.wait(10)
        while queue._waiters._value:
            time.sleep(0.001)
        started = time.monotonic()
        with pytest.raises(NotReady, match="L5H3 OV"):
            queue.results(job)
        assert time.monotonic() - started < 50  # at once
        gate.open.set()
        assert patient.result() == ["through"]
    assert queue.results(job) == ["through"]  # what is done needs no waiting


def test_the_budget_is_for_all_results_together(open_queue):
    queue = open_queue(wait_seconds=2.0)
    gate = Gate()
    jobs = [queue.submit(name, gate, name) for name in ("ov", "qk", *map(str, range(18)))]
    started = time.monotonic()
    with pytest.raises(NotReady):
        queue.results(*jobs)
    assert time.monotonic() - started < 30  # of forty, were it for each
    gate.open.set()


def test_interactive_goes_before_batch_and_between_its_steps(open_queue):
    queue = open_queue()
    order = []
    gate = Gate()
    queue.submit("gate", gate, "gate")

    def batch():
        for i in range(3):
            order.append(f"step {i}")
            if i == 0:
                queue.submit("visitor", lambda: order.append("visitor"), "a visitor")
            yield i + 1, 3
        return "batched"

    job = queue.submit("batch", batch, "batch", "batch")
    other = queue.submit("first", lambda: order.append("first"), "a visitor")
    gate.open.set()
    assert queue.results(other, job) == [None, "batched"]
    assert order == ["first", "step 0", "visitor", "step 1", "step 2"]


def test_progress_is_told(open_queue):
    queue = open_queue(wait_seconds=0.0)
    gate = Gate()

    def steps():
        yield 3, 12
        gate()

    job = queue.submit("scores", steps, "The map is being computed")
    assert gate.begun.wait(10)
    with pytest.raises(NotReady, match="The map") as not_ready:
        queue.results(job)
    assert (not_ready.value.done, not_ready.value.total) == (3, 12)
    gate.open.set()


def test_a_step_that_fails_fails_its_work(open_queue):
    queue = open_queue()

    def steps():
        yield 1, 2
        raise ValueError("no")

    with pytest.raises(ComputationFailed):
        queue.get("steps", steps, "steps")
    assert queue.get("good", lambda: 1, "good") == 1


def test_a_closed_queue_is_not_alive_and_takes_nothing(open_queue):
    queue = open_queue()
    assert queue.alive()
    queue.close()
    assert not queue.alive()
    with pytest.raises(Busy):
        queue.get("late", lambda: 1, "late")


def test_a_step_that_hangs_shows_until_it_ends(open_queue):
    queue = open_queue(stalled_seconds=0.2)
    gate = Gate()
    job = queue.submit("hangs", gate, "hangs")
    until(lambda: not queue.alive())
    gate.open.set()
    assert queue.results(job) == ["through"]
    # An idle worker is heard of every second, which this queue takes for a stall in between.
    until(queue.alive)


@pytest.fixture
def dying_once(monkeypatch):
    """A queue's worker that ends when it gets to the first work, as if the machine had failed under it."""
    deaths = []

    def step(queue, job, whole=ComputeQueue._step):
        if not deaths:
            deaths.append(job.key)
            raise MemoryError
        whole(queue, job)

    monkeypatch.setattr(ComputeQueue, "_step", step)
    return deaths


def test_a_dead_worker_shows_and_another_goes_on_with_the_line(open_queue, dying_once, monkeypatch, caplog):
    monkeypatch.setattr("app.explorer.compute.BEAT_SECONDS", 0.2)
    queue = open_queue()
    lost = queue.submit("lost", lambda: 1, "lost")
    waiting = queue.submit("waiting", lambda: 2, "waiting")
    until(lambda: not queue.alive())
    assert queue.results(waiting) == [2]
    assert queue.alive()
    with pytest.raises(ComputationFailed, match="started anew"):
        queue.results(lost)
    with pytest.raises(ComputationFailed, match="started anew"):
        queue.get("lost", lambda: 1, "lost")
    assert "the compute worker ended" in caplog.text
    assert dying_once == ["lost"]


def test_nothing_of_a_lost_job_stays(open_queue, dying_once, monkeypatch):
    monkeypatch.setattr("app.explorer.compute.BEAT_SECONDS", 0.05)
    monkeypatch.setattr("app.explorer.compute.FAILURE_SECONDS", 0.0)
    queue = open_queue()
    with pytest.raises(ComputationFailed):
        queue.get("lost", lambda: 1, "lost")
    assert queue.get("lost", lambda: "again", "lost") == "again"
    assert queue._jobs == {}


def test_without_threads_the_watchdog_tries_again(open_queue, dying_once, monkeypatch, caplog):
    monkeypatch.setattr("app.explorer.compute.BEAT_SECONDS", 0.05)
    refusals = iter([True, True])

    def start(queue, whole=ComputeQueue._start_worker):
        if dying_once and next(refusals, False):
            raise RuntimeError("can't start new thread")
        whole(queue)

    monkeypatch.setattr(ComputeQueue, "_start_worker", start)
    queue = open_queue()
    queue.submit("lost", lambda: 1, "lost")
    assert queue.get("next", lambda: 2, "next") == 2
    assert caplog.text.count("no thread can be started") == 2


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: 9 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_a_lack_of_memory_is_said_and_survived(open_queue, error):
    queue = open_queue()

    def fail():
        raise error

    with pytest.raises(ComputationFailed, match="not enough free memory"):
        queue.get("large", fail, "large")
    assert queue.get("small", lambda: 1, "small") == 1


def test_nothing_of_what_failed_or_ended_is_kept(open_queue, monkeypatch):
    monkeypatch.setattr("app.explorer.compute.FAILURE_SECONDS", 0.0)
    monkeypatch.setattr("app.explorer.compute.logger.disabled", True)  # pytest would keep its records
    queue = open_queue()

    class Large:
        pass

    kept = []

    def fail():
        large = Large()
        kept.append(weakref.ref(large))
        raise MemoryError(large)

    def succeed():
        kept.append(weakref.ref(large := Large()))
        return large

    with pytest.raises(ComputationFailed):
        queue.get("fails", fail, "fails")
    queue.get("succeeds", succeed, "succeeds")
    until(lambda: queue._running is None)
    gc.collect()
    assert [one() for one in kept] == [None, None]
    assert queue.get("next", lambda: 1, "next") == 1
    assert queue._failures == {}


def until(holds, seconds=20):
    """Wait for it; the time is a guard, not a measure."""
    for _ in range(int(seconds / 0.005)):
        if holds():
            return
        time.sleep(0.005)
    raise TimeoutError


def test_what_cannot_be_had_is_no_failure(open_queue, caplog):
    queue, attempts = open_queue(), []

    def refuse():
        attempts.append(1)
        raise BadOption("The filter leaves 3 tokens.")

    for _ in range(2):
        with pytest.raises(BadOption, match="leaves 3 tokens"):
            queue.get("bad", refuse, "a head")
    assert len(attempts) == 1
    assert not caplog.records
