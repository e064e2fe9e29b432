import asyncio
import resource

import pytest

from app.web.guard import crowd as module
from app.web.guard.crowd import Crowd, TooFewFiles, bound_connections, raise_file_limit


class Connection:
    """One that was last heard of then."""

    def __init__(self, since, has_asked=True):
        self.since, self.has_asked, self.dropped = since, has_asked, False

    def idle_since(self):
        return self.since and (self.has_asked, self.since)

    def drop(self):
        self.dropped = True


def admitted(crowd, *connections):
    """Which of them are spare ones."""
    spare = []
    for one in connections:
        crowd.connections.add(one)
        spare.append(crowd.admit(one))
    return spare


def test_who_never_asked_makes_room_first_and_then_who_has_been_quiet_for_longest():
    crowd = Crowd(most=4)
    early, late, mute, busy = all_ = [Connection(1), Connection(2), Connection(3, has_asked=False), Connection(None)]
    assert admitted(crowd, *all_) == [False] * 4
    for gone in (mute, early, late):
        newcomer = Connection(None)
        assert not gone.dropped
        assert admitted(crowd, newcomer) == [False]
        assert gone.dropped
        assert len(crowd.connections) == 4
    assert busy in crowd.connections


def test_beyond_the_spare_ones_the_newcomer_is_dropped():
    crowd = Crowd(most=2, spare=1)
    busy = [Connection(None) for _ in range(3)]
    assert admitted(crowd, *busy) == [False, False, True]
    fourth = Connection(9)
    admitted(crowd, fourth)
    assert fourth.dropped
    assert crowd.connections == set(busy)


def test_a_crowd_is_told_of_once_a_minute(caplog, monkeypatch):
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    now, crowd = 1000.0, Crowd(most=1)
    loop = asyncio.new_event_loop()
    for _ in range(50):
        admitted(crowd, Connection(1))
        crowd.on_loop_error(loop, {"message": module.NO_FILE_LEFT, "exception": OSError(24, "Too many open files")})
    assert len(caplog.records) == 1
    now += 61
    crowd.on_loop_error(loop, {"message": module.NO_FILE_LEFT, "exception": OSError(24, "Too many open files")})
    assert "Too many open files" in caplog.records[1].getMessage()
    crowd.on_loop_error(loop, {"message": "Fatal read error on socket transport", "exception": MemoryError()})
    crowd.on_loop_error(loop, {"message": "something else"})
    assert caplog.records[2].getMessage() == "something else"
    loop.close()


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        ((1024, 20_000), 4096),
        ((1024, resource.RLIM_INFINITY), 4096),
        ((24, 24), 24),
        ((256, 512), 512),
        ((10_000, 10_000), 10_000),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 4096),
    ],
)
def test_as_many_files_as_are_of_use_are_allowed(monkeypatch, limits, allowed):
    set_ = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: set_.append(both))
    assert raise_file_limit() == allowed
    assert set_ == ([(allowed, limits[1])] if allowed > limits[0] > 0 else [])


def test_a_system_that_allows_less_than_it_says_is_believed(monkeypatch):
    def refuse(*_):
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_file_limit() == 256


@pytest.mark.parametrize("files", [128, 160, 256, 1024, 4096])
def test_connections_are_fewer_than_files(files):
    at_once = module.SPARE_CONNECTIONS + module.LOOP_TURNS * module.ACCEPTED_AT_ONCE
    assert 16 <= bound_connections(files) <= files - module.OTHER_FILES - at_once


def test_too_few_files_are_refused_with_the_least_that_will_do():
    with pytest.raises(TooFewFiles, match=r"24 files.*128.*ulimit -n"):
        bound_connections(24)
