import fcntl
import os
import signal

import pytest

from app.store import locks
from app.store.locks import hold_lock, try_lock

HOLD = """
import sys, time
from pathlib import Path
from app.store.locks import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lock_is_one_processs_until_it_is_killed(start, tmp_path, monkeypatch):
    other = start(HOLD, tmp_path / "lock")
    assert other.stdout.readline() == "held\n"
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(TimeoutError, match="lock locked"), hold_lock(tmp_path / "lock"):
        pass
    other.send_signal(signal.SIGKILL)
    other.wait()
    with hold_lock(tmp_path / "lock"):
        pass


def test_a_lock_is_let_go_however_the_block_ends(tmp_path):
    with pytest.raises(ValueError, match="inside"), hold_lock(tmp_path / "lock") as handle:
        raise ValueError("inside")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)
    with hold_lock(tmp_path / "lock"):
        pass


def test_a_shared_lock_has_many_holders_and_nobody_has_it_alone(start, tmp_path):
    other = start(
        HOLD.replace("[1]))", "[1]), fcntl.LOCK_SH)").replace("import sys", "import fcntl, sys"), tmp_path / "lock"
    )
    assert other.stdout.readline() == "held\n"
    with hold_lock(tmp_path / "lock", fcntl.LOCK_SH), (tmp_path / "lock").open() as second:
        assert not try_lock(second.fileno())
        other.kill()
        other.wait()
        assert not try_lock(second.fileno())
    with (tmp_path / "lock").open() as third:
        assert try_lock(third.fileno())


def test_a_lock_that_is_taken_is_not_taken_again(tmp_path):
    with hold_lock(tmp_path / "lock"), (tmp_path / "lock").open() as second:
        assert not try_lock(second.fileno())
    with (tmp_path / "lock").open() as third:
        assert try_lock(third.fileno())
