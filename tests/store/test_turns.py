import subprocess
import sys
import threading
import time

import pytest

from app.store import turns
from app.store.turns import claim_turn, is_taken, stand_back

HOLD = """
import sys
from pathlib import Path
from app.store.turns import claim_turn
with claim_turn(Path(sys.argv[1]), "cpu"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_job_stands_back_while_anybody_goes_first(tmp_path, monkeypatch):
    monkeypatch.setattr(turns, "LONGEST_WAIT_SECONDS", 60.0)
    assert not is_taken(tmp_path, "cpu")
    ended, waited = [], threading.Event()

    def job():
        stand_back(tmp_path, "cpu")
        ended.append(True)
        waited.set()

    with claim_turn(tmp_path, "cpu"):
        with claim_turn(tmp_path, "cpu"):  # as another server's worker
            assert is_taken(tmp_path, "cpu")
            thread = threading.Thread(target=job)
            thread.start()
        assert is_taken(tmp_path, "cpu")
        assert not waited.wait(0.1)
    assert waited.wait(30)
    thread.join()
    assert not is_taken(tmp_path, "cpu")


def test_a_crowd_slows_a_job_and_does_not_stop_it(tmp_path, monkeypatch):
    monkeypatch.setattr(turns, "LONGEST_WAIT_SECONDS", 0.05)
    with claim_turn(tmp_path, "cpu"):
        stand_back(tmp_path, "cpu")
        assert is_taken(tmp_path, "cpu")


@pytest.mark.parametrize(("held", "asked", "taken"), [("cuda", "cuda:0", True), ("cuda:1", "cuda", False)])
def test_each_device_has_turns_of_its_own(tmp_path, held, asked, taken):
    with claim_turn(tmp_path, held):
        assert is_taken(tmp_path, asked) is taken
        assert not is_taken(tmp_path, "cpu")


def test_a_turn_ends_with_its_process_however_that_ends(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        assert is_taken(tmp_path, "cpu")
        process.kill()
    assert not is_taken(tmp_path, "cpu")


def test_where_nothing_can_be_written_work_goes_on(tmp_path):
    (tmp_path / "devices").write_text("a file where the folder should be")
    started = time.monotonic()
    with claim_turn(tmp_path, "cpu"):
        assert not is_taken(tmp_path, "cpu")
        stand_back(tmp_path, "cpu")
    assert time.monotonic() - started < 60
