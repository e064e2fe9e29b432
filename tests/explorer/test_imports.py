import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.core.address import parse
from app.explorer import browse, imports
from app.explorer.browse import Options
from app.explorer.errors import ComputationFailed, NotReady
from app.explorer.imports import Imports
from app.explorer.resources import close_resources


@pytest.fixture
def pretend(monkeypatch):
    """Replaces the import command by a line of Python, given the command's words as sys.argv."""

    def replace_by(script):
        start = subprocess.Popen

        def popen(command, **kwargs):
            assert command[1:4] == ["-m", "app", "import"]
            return start([sys.executable, "-c", script, *command[4:]], **kwargs)

        monkeypatch.setattr(imports.subprocess, "Popen", popen)

    return replace_by


def await_state(imported, slug, state, seconds=20):
    for _ in range(int(seconds / 0.01)):
        if imported.of(slug).state == state:
            return imported.of(slug)
        time.sleep(0.01)
    raise TimeoutError(imported.of(slug))


def test_a_missing_model_is_imported_and_then_shown(open_explorer, gpt2_folder, tmp_path, patiently):
    r = open_explorer(tmp_path / "data", models=(str(gpt2_folder),))
    slug = gpt2_folder.name
    (entry,) = browse.home(r).models
    assert (entry.slug, entry.state, entry.model) == (slug, "importing", None)
    with pytest.raises(NotReady, match="import"):
        browse.model(r, parse(slug), Options())
    assert patiently(browse.matrix, r, parse(f"{slug}/L0/H0/ov"), Options()).rank == 8
    (entry,) = browse.home(r).models
    assert (entry.state, entry.message) == ("imported", "")
    assert entry.model.source == "local folder"


def test_what_is_here_is_not_imported_again(open_explorer, tiny_data):
    r = open_explorer(tiny_data, models=("tiny",))
    assert r.imports.of("tiny") is None
    assert browse.home(r).models[0].state == "imported"


def test_a_refused_model_says_why_and_leaves_the_others_alone(open_explorer, fresh_data, tmp_path):
    (tmp_path / "empty").mkdir()
    r = open_explorer(fresh_data, models=("tiny", str(tmp_path / "empty")))
    state = await_state(r.imports, "empty", "failed")
    assert state.message
    assert "Traceback" not in state.message
    with pytest.raises(ComputationFailed, match="empty could not be imported"):
        browse.model(r, parse("empty"), Options())
    assert [entry.state for entry in browse.home(r).models] == ["imported", "failed"]
    assert browse.head(r, parse("tiny/L0/H0"), Options()).ov.rank == 8


def test_progress_is_followed_line_by_line(pretend, tmp_path):
    pretend(
        """
import json, sys, time
print("a library speaks", flush=True)
print('{"message": 1}', flush=True)
print("[1, 2]", flush=True)
print(json.dumps({"message": "writing the weights", "done": 3, "total": 4}), flush=True)
print(json.dumps(sys.argv[1:]), file=sys.stderr, flush=True)
sys.stdin.read()
time.sleep(30)
"""
    )
    imported = Imports(tmp_path, {"slow": "some/model"})
    for _ in range(2000):
        if imported.of("slow").done:
            break
        time.sleep(0.01)
    assert imported.of("slow").message == "writing the weights"
    assert (imported.of("slow").done, imported.of("slow").total) == (3, 4)
    started = time.monotonic()
    imported.close()
    assert time.monotonic() - started < 25  # of the thirty that it would go on
    assert not imported._thread.is_alive()


def test_the_command_names_source_folder_and_slug(pretend, tmp_path):
    pretend("import json, sys; json.dump(sys.argv[1:], open(sys.argv[3] + '/words', 'w'))")
    imported = Imports(tmp_path, {"a": "org/a"})
    await_state(imported, "a", "done")
    words = ["org/a", "--data", str(tmp_path), "--name", "a", "--progress", "json", "--parent", str(os.getpid())]
    assert json.loads((tmp_path / "words").read_text()) == words


def test_a_broken_import_keeps_its_traceback_out_of_the_page(pretend, tmp_path, caplog):
    pretend("raise RuntimeError('/secret/path')")
    imported = Imports(tmp_path, {"a": "org/a", "b": "org/b"})
    assert "secret" not in await_state(imported, "a", "failed").message
    assert "secret" in caplog.text
    assert "status 1" in await_state(imported, "b", "failed").message  # the next one has its turn
    imported.close()


def test_an_import_that_leaves_nothing_is_no_model(pretend, open_explorer, tmp_path):
    pretend("")
    r = open_explorer(tmp_path / "data", models=("ghost",))
    await_state(r.imports, "ghost", "done")
    with pytest.raises(ComputationFailed, match="ghost"):
        browse.model(r, parse("ghost"), Options())
    assert browse.home(r).models[0].state == "failed"
    close_resources(r)


def test_what_another_process_gave_the_name_is_not_shown_for_the_folder(pretend, open_explorer, tiny_data, tmp_path):
    """Two servers may import folders of one last word into one data folder at the same time."""
    script = "import shutil, sys; shutil.copytree({!r}, sys.argv[3], dirs_exist_ok=True); sys.exit({!r})"
    pretend(script.format(str(tiny_data), "singular-lens: 'tiny' already names other weights"))
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    r = open_explorer(tmp_path / "data", models=(str(tmp_path / "runs" / "tiny"),))
    await_state(r.imports, "tiny", "failed")
    assert r.library.model("tiny") is not None
    assert (browse.home(r).models[0].state, browse.home(r).models[0].model) == ("failed", None)
    with pytest.raises(ComputationFailed, match="'tiny' already names other weights"):
        browse.model(r, parse("tiny"), Options())
    close_resources(r)


SERVER = """
import subprocess, sys, time
from pathlib import Path
from app.explorer import imports

QUIET = '''
import sys, time
from app.models import importer
from app.__main__ import main

def import_model(*_, report, **__):
    report(importer.Progress("begun"))
    time.sleep(600)

importer.import_model = import_model
main()
'''
start = subprocess.Popen
imports.subprocess.Popen = lambda command, **kwargs: start([sys.executable, "-c", QUIET, *command[3:]], **kwargs)
imported = imports.Imports(Path(sys.argv[1]), {"tiny": "some/model"})
while imported.of("tiny").message != "begun":
    time.sleep(0.01)
print(imported._process.pid, flush=True)
time.sleep(600)
"""


def test_an_import_ends_with_the_server_that_started_it(tmp_path):
    """Even one that has nothing to say, so that no broken pipe ends it."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        child = int(process.stdout.readline())
        assert is_running(child)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for _ in range(2000):
            if not is_running(child):
                break
            time.sleep(0.01)
        else:
            os.kill(child, signal.SIGKILL)
            raise AssertionError("the import is still running")


def is_running(pid):
    """Whether there is such a process; what has ended and nobody waits for stays as a zombie."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
