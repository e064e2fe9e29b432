import errno
import os
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from app.core.address import parse
from app.explorer.resources import close_resources
from app.explorer.visits import browse
from app.explorer.visits import health as module
from app.explorer.visits.health import check_health


def test_a_working_server_is_healthy(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    detail = {"worker": "idle", "queue": 0, "memory": "enough", "disk": "writable"}
    assert check_health(r) == module.Health(True, detail)
    assert looked_at(r) == (True, "writable")
    assert check_health(r) == module.Health(True, detail | {"worker": "alive"})


def test_a_stopped_worker_is_not(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    close_resources(r)
    assert not check_health(r).ok
    assert check_health(r).detail["worker"] == "stopped"


def test_a_lack_of_memory_that_lasts_is_not(open_explorer, fresh_data, monkeypatch):
    r = open_explorer(fresh_data)
    monkeypatch.setattr(r.queue, "is_short_of_memory", lambda: True)
    assert (check_health(r).ok, check_health(r).detail["memory"]) == (False, "short")


def test_a_full_or_missing_disk_is_not(open_explorer, fresh_data, monkeypatch):
    r = open_explorer(fresh_data)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    assert (check_health(r).ok, check_health(r).detail["disk"]) == (False, "full")
    monkeypatch.undo()
    shutil.rmtree(fresh_data)
    assert (check_health(r).ok, check_health(r).detail["disk"]) == (False, "missing")


def test_asking_computes_nothing(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    for _ in range(100):
        check_health(r)
    assert not (fresh_data / "artifacts").exists()
    browse.visit_matrix(r, parse("tiny/L0/H0/ov"), browse.Options())
    assert check_health(r).ok


def looked_at(r, address="tiny/L0/H0/ov"):
    """A page, and what is said of the disk after it."""
    assert browse.visit_matrix(r, parse(address), browse.Options()).rank == 8
    return check_health(r).ok, check_health(r).detail["disk"]


@pytest.mark.parametrize(
    ("number", "ok", "disk"),
    [
        (errno.ENOSPC, False, "full"),
        (errno.EDQUOT, False, "full"),
        (errno.EIO, False, "failing"),
        (errno.EROFS, True, "read-only"),
        (errno.EACCES, True, "read-only"),
    ],
)
def test_what_the_last_write_met_is_said_until_one_succeeds(open_explorer, fresh_data, monkeypatch, number, ok, disk):
    r = open_explorer(fresh_data)

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    assert looked_at(r) == (ok, disk)
    monkeypatch.undo()
    assert looked_at(r, "tiny/L0/H1/ov") == (True, "writable")


@pytest.fixture
def small_disk(tiny_data, tmp_path):
    """The tiny model on a disk of its own that has little more room; skipped where nothing can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a disk")
    try:
        ignored = shutil.ignore_patterns("artifacts")
        yield shutil.copytree(tiny_data, disk / "data", ignore=ignored)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def fill(path):
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_disk_that_is_really_full_serves_pages_and_heals(open_explorer, small_disk, monkeypatch):
    monkeypatch.setattr(module, "LEAST_FREE_BYTES", 0)  # judged by what happens alone
    monkeypatch.setattr("app.store.shelf.PROBE_SECONDS", 0)
    r = open_explorer(small_disk)
    assert looked_at(r) == (True, "writable")
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        fill(filler)
    before = sorted((small_disk / "artifacts").rglob("*.*"))
    assert looked_at(r, "tiny/L0/H1/ov") == (False, "full")
    assert sorted(path for path in (small_disk / "artifacts").rglob("*.*") if path.is_file()) == before
    filler.unlink()
    assert check_health(r).ok
    assert looked_at(r, "tiny/L0/H2/ov") == (True, "writable")
    close_resources(r)


def test_a_read_only_disk_serves_pages(open_explorer, small_disk, caplog):
    r = open_explorer(small_disk)
    browse.visit_matrix(r, parse("tiny/L0/H0/ov"), browse.Options())
    close_resources(r)
    subprocess.run(["mount", "-o", "remount,ro", small_disk.parent], check=True)
    r = open_explorer(small_disk)
    assert looked_at(r) == (True, "read-only")
    assert "cannot" not in caplog.text  # what is there is read, though its time of use cannot be noted
    assert looked_at(r, "tiny/L0/H1/ov") == (True, "read-only")
    close_resources(r)
