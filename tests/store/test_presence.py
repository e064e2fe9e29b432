import signal
import threading
import time

from app.store.presence import Presence, mark_in_use, try_alone

STAY = """
import sys, time
from pathlib import Path
from app.store.presence import Presence
presence = Presence(Path(sys.argv[1]))
print("here", flush=True)
time.sleep(600)
"""


def test_nobody_is_alone_while_another_process_is_there(start, tmp_path):
    other = start(STAY, tmp_path)
    assert other.stdout.readline() == "here\n"
    with mark_in_use(tmp_path), try_alone(tmp_path) as nobody:
        assert not nobody
    with try_alone(tmp_path) as nobody:
        assert not nobody
    other.send_signal(signal.SIGKILL)
    other.wait()
    with try_alone(tmp_path) as nobody:
        assert nobody


def test_many_can_be_present_and_each_leaves_for_itself(tmp_path):
    one, two = Presence(tmp_path), Presence(tmp_path)
    one.leave()
    one.leave()
    with try_alone(tmp_path) as nobody:
        assert not nobody
    two.leave()
    with try_alone(tmp_path) as nobody:
        assert nobody


def test_whoever_comes_while_another_cleans_up_waits_for_the_end(tmp_path):
    came = threading.Event()

    def come():
        with mark_in_use(tmp_path):
            came.set()

    thread = threading.Thread(target=come)
    with try_alone(tmp_path):
        thread.start()
        time.sleep(0.2)
        assert not came.is_set()
    thread.join(20)
    assert came.is_set()


def test_a_folder_that_cannot_be_written_is_used_all_the_same(tmp_path):
    (tmp_path / "file").touch()
    Presence(tmp_path / "file").leave()
    (tmp_path / ".in-use").mkdir()
    Presence(tmp_path).leave()
