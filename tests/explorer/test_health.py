import shutil
from types import SimpleNamespace

from app.core.address import parse
from app.explorer import browse
from app.explorer.health import health
from app.explorer.resources import close_resources


def test_a_working_server_is_healthy(explorer):
    assert health(explorer).ok
    assert health(explorer).detail == {"worker": "alive", "queue": 0, "disk": "writable"}


def test_a_stopped_worker_is_not(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    close_resources(r)
    assert not health(r).ok
    assert health(r).detail["worker"] == "stopped"


def test_a_full_or_missing_disk_is_not(open_explorer, fresh_data, monkeypatch):
    r = open_explorer(fresh_data)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    assert (health(r).ok, health(r).detail["disk"]) == (False, "full")
    monkeypatch.undo()
    shutil.rmtree(fresh_data)
    assert (health(r).ok, health(r).detail["disk"]) == (False, "missing")


def test_asking_computes_nothing(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    for _ in range(100):
        health(r)
    assert not (fresh_data / "artifacts").exists()
    browse.matrix(r, parse("tiny/L0/H0/ov"), browse.Options())
    assert health(r).ok
