"""Processes of a server: how they are started, what is told of their end, and that none outlives the server."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from app.explorer.running import children
from app.explorer.running.children import Children, read_refusal

STUBBORN = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', file=sys.stderr, flush=True); time.sleep(600)"
SLEEPS = "import time; time.sleep(600)"


@pytest.fixture
def own():
    those = Children()
    yield those
    those.close()


@pytest.fixture
def pretend(monkeypatch):
    """pretend(script): what children run in place of this program, with the program's words as sys.argv[1:]."""

    def replace_by(script):
        monkeypatch.setattr(children, "PROGRAM", (sys.executable, "-c", script))

    return replace_by


def is_there(pid):
    """Whether there is such a process, be it one that has ended and that nobody has waited for."""
    return Path(f"/proc/{pid}").exists()


def is_running(pid):
    """Whether it still does anything."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def until(condition, seconds=30):
    for _ in range(int(seconds / 0.01)):
        if value := condition():
            return value
        time.sleep(0.01)
    raise TimeoutError


def open_files():
    return len(os.listdir("/proc/self/fd"))


def test_it_is_this_program_with_other_words(own):
    child = own.start(["store", "verify", "--data", "/no/such/folder"])
    assert child.has_ended(60)
    assert child.status == 2  # `store` has no --parent
    assert "--parent" in child.read_errors()


def test_it_is_told_its_parent_and_stands_back(own, pretend):
    pretend(
        "import os, sys, time; time.sleep(0.3); print(sys.argv[1:], os.getpriority(os.PRIO_PROCESS, 0), file=sys.stderr)"
    )
    child = own.start(["worker", "--one"], niceness=7)
    assert child.has_ended(30)
    here = os.getpriority(os.PRIO_PROCESS, 0)
    words = ["worker", "--parent", str(os.getpid()), "--one"]
    assert child.read_errors() == f"{words} {min(here + 7, 19)}"


def test_it_inherits_those_files_and_no_others(own, pretend):
    pretend("import socket, sys; socket.socket(fileno=int(sys.argv[-1])).sendall(b'here')")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = own.start(["worker", str(theirs.fileno())], pass_fds=(theirs.fileno(),))
        assert ours.recv(4) == b"here"
        assert child.has_ended(30)
        assert child.status == 0
        other = own.start(["worker", str(ours.fileno())], pass_fds=(theirs.fileno(),))
        assert other.has_ended(30)
        assert "Bad file descriptor" in other.read_errors()


@pytest.mark.parametrize(
    ("script", "fate"),
    [
        (
            "import sys; sys.exit(print('a library\\nsingular-lens: it takes 9 GiB', file=sys.stderr) or 1)",
            "it takes 9 GiB",
        ),
        ("import os; os.kill(os.getpid(), 9)", "something killed it, often for want of memory; what it did is kept"),
        (
            "raise RuntimeError('/secret/path')",
            "it stopped with status 1; whoever runs this server finds more in its log",
        ),
    ],
)
def test_its_end_is_told_without_its_reasons(own, pretend, script, fate):
    pretend(script)
    child = own.start(["worker"])
    assert child.has_ended(30)
    assert child.explain_end() == fate
    assert ("secret" in child.read_errors()) == ("secret" in script)
    child.close()
    assert child.explain_end() == fate


def test_of_much_that_it_says_the_end_is_kept(own, pretend):
    pretend("import sys; sys.stderr.write('x' * 10_000_000 + '\\nsingular-lens: the last word\\n'); sys.exit(1)")
    child = own.start(["worker"])
    assert child.has_ended(30)
    assert child.explain_end() == "the last word"
    assert len(child.read_errors()) <= children.MOST_ERROR_BYTES


def test_one_that_does_not_heed_an_interruption_is_killed(own, pretend, monkeypatch):
    monkeypatch.setattr(children, "STOP_SECONDS", 0.1)
    pretend(STUBBORN)
    child = own.start(["worker"])
    until(child.read_errors)
    child.end()
    assert child.status == -signal.SIGKILL
    child.end()  # and again does nothing


def test_all_end_together_and_leave_nothing(pretend, monkeypatch):
    monkeypatch.setattr(children, "STOP_SECONDS", 0.2)
    pretend(STUBBORN)
    before = open_files()
    those = Children()
    begun = [those.start(["worker"]) for _ in range(3)]
    for child in begun:
        until(child.read_errors)
    those.close()
    assert [is_there(child.pid) for child in begun] == [False] * 3
    assert open_files() == before
    with pytest.raises(OSError, match="ending"):
        those.start(["worker"])


def test_what_has_ended_and_is_closed_leaves_nothing(own, pretend):
    pretend("pass")
    before = open_files()
    for _ in range(3):
        child = own.start(["worker"])
        until(lambda child=child: not is_running(child.pid))
        child.close()
        assert not is_there(child.pid)
    assert open_files() == before
    assert own._children == set()


def test_one_that_cannot_be_started_leaves_nothing(own, monkeypatch):
    monkeypatch.setattr(children, "PROGRAM", ("/no/such/program",))
    before = open_files()
    with pytest.raises(FileNotFoundError):
        own.start(["worker"])
    assert open_files() == before


def test_an_interruption_in_the_terminal_is_not_theirs(own, pretend):
    pretend(SLEEPS)
    child = own.start(["worker"])
    assert os.getpgid(child.pid) != os.getpgid(0)


def test_the_last_sentence_of_the_program_is_its_refusal():
    assert read_refusal("singular-lens: first\nTraceback\nsingular-lens: last\nnoise") == "last"
    assert read_refusal("Traceback\n  singular-lens: indented") == ""


SERVER = """
import sys, time
from app.explorer.running import children

CHILD = '''
import signal, sys, time
from app.explorer.running import children
children.STOP_SECONDS = 0.1
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
children.end_with_parent(int(sys.argv[sys.argv.index("--parent") + 1]))
print("watching", file=sys.stderr, flush=True)
time.sleep(600)
'''
children.PROGRAM = (sys.executable, "-c", CHILD)
child = children.Children().start(["worker", *sys.argv[1:]])
while "watching" not in child.read_errors():
    time.sleep(0.01)
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("words", [[], ["deaf"]])
def test_none_outlives_a_server_that_was_killed(words):
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, *words], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as server:
        child = int(server.stdout.readline())
        assert is_running(child)
        server.kill()
        server.wait()
        try:
            until(lambda: not is_running(child))
        finally:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
