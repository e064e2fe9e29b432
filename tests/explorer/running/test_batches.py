"""Batches: all is made whether anybody waits or not, in turns, and stopped where it is told to."""

import threading

import pytest

from app.explorer.errors import Busy
from app.explorer.running import batches as module
from app.explorer.running.batches import Batches
from app.explorer.running.visitor import VISITOR
from tests.explorer.running.test_queue import Gate, Workshop, ask, raising, recipe


@pytest.fixture
def shop(tmp_path):
    opened = Workshop(tmp_path / "artifacts")
    yield opened
    for queue in opened.queues:
        queue.close()


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 3)


def recipes_of(name, n):
    return [recipe(f"{name}{number}") for number in range(n)]


def start(batches, name, n):
    return batches.start(name, "tiny", f"{name} is being run.", recipes_of(name, n))


def test_all_is_made_though_nobody_waits(shop):
    batches = Batches(shop.open())
    batch = start(batches, "a", 8)
    batch.ended.result(30)
    assert shop.made() == [f"a{n}" for n in range(8)]
    assert (batch.state, batch.failure) == ("done", "")
    assert batches.find("a") is None, "what is in the store needs no batch"
    assert all(shop.store.load(one) is not None for one in recipes_of("a", 8))


def test_it_is_joined_while_it_goes_on(shop):
    batches, gate = Batches(shop.open()), Gate()
    shop.works["a4"] = [gate]
    batch = start(batches, "a", 6)
    batch.begun.result(30)
    assert gate.begun.wait(30)
    assert start(batches, "a", 6) is batch is batches.find("a")
    assert not batch.ended.done()
    gate.open.set()
    batch.ended.result(30)


def test_a_short_one_waits_for_some_of_a_long_one_alone(shop):
    batches, gate = Batches(shop.open()), Gate()
    shop.works["long0"] = [gate]
    long = start(batches, "long", 30)
    assert gate.begun.wait(30)
    short = start(batches, "short", 2)
    gate.open.set()
    short.ended.result(30)
    long.ended.result(30)
    assert shop.made().index("short1") <= 5


def test_what_a_visitor_waits_for_goes_first(shop):
    queue, gate = shop.open(), Gate()
    batches = Batches(queue)
    shop.works["a1"] = [gate]
    batch = start(batches, "a", 6)
    assert gate.begun.wait(30)
    errand = ask(queue, "head")
    gate.open.set()
    errand.future.result(30)
    batch.ended.result(30)
    assert shop.made().index("head") < shop.made().index("a3")


def test_stopped_it_makes_no_more_and_can_be_begun_again(shop):
    batches, gate = Batches(shop.open()), Gate()
    shop.works["a4"] = [gate]
    batch = start(batches, "a", 9)
    assert gate.begun.wait(30)
    batches.stop("a")
    assert batch.ended.done()
    assert batches.find("a").state == "stopped"
    gate.open.set()
    again = start(batches, "a", 9)
    assert again is not batch
    again.ended.result(30)
    assert again.state == "done"
    assert all(shop.store.load(one) is not None for one in recipes_of("a", 9))
    batches.stop("a")
    batches.stop("never")


def test_what_fails_holds_up_nothing_and_is_told(shop):
    batches = Batches(shop.open())
    shop.works["a1"] = [raising(RuntimeError("no"))]
    batch = start(batches, "a", 7)
    batch.ended.result(30)
    assert [shop.store.load(one) is not None for one in recipes_of("a", 7)] == [True, False, *[True] * 5]
    assert batch.failure
    assert batches.find("a") is batch


def test_a_visitor_has_some_and_a_server_so_many(shop, monkeypatch):
    monkeypatch.setattr(module, "MOST_OF_A_VISITOR", 2)
    queue, gate = shop.open(), Gate()
    batches = Batches(queue)
    shop.works["a0"] = [gate]
    refused = []

    def visit():
        VISITOR.set("somebody")
        for name in ("a", "b"):
            start(batches, name, 2)
        try:
            start(batches, "c", 2)
        except Busy as busy:
            refused.append(str(busy))

    thread = threading.Thread(target=visit)
    thread.start()
    thread.join()
    assert "2 of yours" in refused[0]
    monkeypatch.setattr(module, "MOST_BATCHES", 3)
    last = start(batches, "c", 2)
    with pytest.raises(Busy, match="3 are being run"):
        start(batches, "d", 2)
    gate.open.set()
    last.ended.result(30)


def test_closed_nothing_begins_and_whoever_waits_is_told(shop):
    queue, gate = shop.open(), Gate()
    batches = Batches(queue)
    shop.works["a0"] = [gate]
    batch = start(batches, "a", 6)
    assert gate.begun.wait(30)
    batches.close()
    assert batch.ended.done()
    with pytest.raises(Busy):
        start(batches, "b", 1)
    gate.open.set()
