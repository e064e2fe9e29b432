import signal
import subprocess
import sys

import pytest

BEGIN = """
import os, signal, sys, threading, time
from app.interruption import exit_on_interrupt
with exit_on_interrupt("stopped; again continues"):
    print("ready", flush=True)
"""
WAYS = {
    "it waits": "    time.sleep(60)",
    "a library catches what it can": """
    while True:
        try:
            time.sleep(60)
        except Exception:
            pass
""",
    "a library makes an error of it": """
    try:
        time.sleep(60)
    except BaseException as error:
        raise ValueError("something") from error
""",
    "a library takes no notice": """
    try:
        time.sleep(60)
    except BaseException:
        time.sleep(60)
""",
    "a thread goes on": """
    threading.Thread(target=time.sleep, args=[60]).start()
    time.sleep(60)
""",
}


def interrupted(script, number):
    """How a process with that script ends when it gets the signal."""
    with subprocess.Popen([sys.executable, "-c", script], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _out, errors = process.communicate(timeout=30)
    return process.returncode, errors


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_sentence_and_the_end(way, number, status):
    assert interrupted(BEGIN + way, number) == (status, "stopped; again continues\n")


def test_what_is_temporary_is_removed(tmp_path):
    script = f"""
import tempfile, time
from app.interruption import exit_on_interrupt
with exit_on_interrupt("stopped"), tempfile.TemporaryDirectory(dir={str(tmp_path)!r}):
    print("ready", flush=True)
    try:
        time.sleep(60)
    except Exception:  # as libraries do
        time.sleep(60)
"""
    assert interrupted(script, signal.SIGTERM) == (143, "stopped\n")
    assert list(tmp_path.iterdir()) == []


def test_nothing_changes_for_who_is_not_interrupted():
    asked = "signal.getsignal(signal.SIGINT)"  # not Python's own where whoever runs the tests ignores Ctrl-C
    script = f"import signal\nbefore = {asked}\n{BEGIN}    pass\nprint({asked} is before)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert answer.stdout == "ready\nTrue\n"
    script = BEGIN + "    raise ValueError('its own')"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert answer.returncode == 1
    assert "its own" in answer.stderr
