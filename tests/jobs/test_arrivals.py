"""Models that are missing when a server starts: they come, or say why not, and leave the others alone."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.address import parse
from app.explorer.errors import BadOption, ComputationFailed, Importing, NotImported, NotReady, UnknownAddress
from app.explorer.resources import close_resources, open_resources
from app.explorer.running.children import Children
from app.explorer.visits import browse, jobs
from app.explorer.visits.browse import Options
from app.jobs import runner
from app.jobs.arrivals import import_missing, start_import
from app.jobs.runner import Runner
from app.store.jobs import JobStore

SETTINGS = {"device": "cpu", "weights": "folded", "quota_bytes": 10**9, "queue_size": 64}
WAITING = {"wait_seconds": 0.0, "waiters": 8}
FOREVER = """
with note_job(store, job) as notes:
    notes.follow(ImportStep("writing the weights", 3, 4))
    time.sleep(600)
"""


@pytest.fixture
def serving(request, own, monkeypatch):
    """serving(data, "tiny", …, children=…) -> its resources and its runner, which has begun what is missing."""
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.02)

    def open_(data, *models, children=own):
        r = replace(open_resources(data=data, models=models, **SETTINGS, **WAITING), children=children)
        run = Runner(r.jobs, children, r.data, "cpu")
        request.addfinalizer(lambda: close_resources(r))
        request.addfinalizer(run.close)
        import_missing(r, run)
        return r, run

    return open_


def states(r):
    return [entry.state for entry in browse.visit_home(r).models]


def test_two_servers_of_one_folder_import_a_model_once_and_show_it(serving, gpt2_folder, tmp_path, until, request):
    slug, data = gpt2_folder.name, tmp_path / "data"
    both = [serving(data, str(gpt2_folder), children=Children())[0] for _ in range(2)]
    for r in both:
        request.addfinalizer(r.children.close)
        (entry,) = browse.visit_home(r).models
        assert (entry.slug, entry.state, entry.model) == (slug, "importing", None)
        with pytest.raises(Importing, match="import") as waiting:
            browse.visit_model(r, parse(slug), Options())
        assert jobs.visit_job(r, waiting.value.job).title == f"Importing {slug}"
    for r in both:
        until(lambda r=r: states(r) == ["imported"], 120)
        (entry,) = browse.visit_home(r).models
        assert (entry.message, entry.model.source) == ("", "local folder")
    noted = both[0].jobs.all()
    assert [(job.task, job.state, job.slug) for job in noted] == [(None, "done", slug)] * 2
    weights = [path for path in (data / "weights").iterdir() if path.is_dir()]
    assert len(weights) == 1


def test_what_is_here_is_not_imported_again(serving, tiny_data, own):
    r, run = serving(tiny_data, "tiny")
    assert r.imports.of("tiny") is None
    assert own.words == []
    assert states(r) == ["imported"]
    with pytest.raises(BadOption, match="imported already"):
        start_import(r, run, "tiny")
    with pytest.raises(UnknownAddress):
        start_import(r, run, "gpt2")


def test_a_refused_model_says_why_and_leaves_the_others_alone(serving, fresh_data, tmp_path, until):
    (tmp_path / "empty").mkdir()
    r, _ = serving(fresh_data, "tiny", str(tmp_path / "empty"))
    until(lambda: states(r) == ["imported", "failed"], 60)
    state = r.imports.of("empty")
    assert "Traceback" not in state.message
    assert str(tmp_path) not in state.message
    with pytest.raises(NotImported, match="empty could not be imported") as told:
        browse.visit_model(r, parse("empty"), Options())
    assert told.value.job == state.job
    page = jobs.visit_job(r, state.job)
    assert (page.state, page.message, page.may_start) == ("failed", state.message, False)
    assert str(tmp_path) not in repr(page)
    assert str(tmp_path) not in "".join(path.read_text() for path in (fresh_data / "jobs").iterdir())
    assert jobs.visit_job(r, state.job, allowed=True).may_start


def test_the_demo_comes_first_and_every_source_is_its_own(serving, own, pretend, tmp_path, until):
    pretend("")
    r, _ = serving(tmp_path / "data", "org/a", "demo", str(tmp_path / "b"))
    until(lambda: len(own.words) == 3)
    assert [(words[2], words[-1]) for words in own.words] == [
        ("demo", "demo"),
        ("a", "org/a"),
        ("b", str(tmp_path / "b")),
    ]
    assert r.slugs == ("a", "demo", "b")


def test_progress_is_what_the_job_says(serving, pretend, tmp_path, until):
    pretend(FOREVER)
    r, _run = serving(tmp_path / "data", "org/slow", "org/next")
    until(lambda: r.imports.of("slow").done)
    slow, following = browse.visit_home(r).models
    assert (slow.message, slow.done, slow.total) == ("writing the weights", 3, 4)
    assert (following.message, following.total) == ("waiting for its turn", 0)
    page = jobs.visit_job(r, slow.job)
    assert (page.progress, page.command) == ("writing the weights, 3 of 4", "singular-lens import MODEL --name slow")
    assert (page.may_cancel, jobs.visit_job(r, slow.job, allowed=True).may_cancel) == (False, True)
    with pytest.raises(NotReady) as waiting:
        browse.visit_model(r, parse("slow/L0"), Options())
    assert (waiting.value.done, waiting.value.total, waiting.value.job) == (3, 4, slow.job)


def test_a_broken_import_keeps_its_reason_out_of_the_page_and_the_next_has_its_turn(
    serving, pretend, tmp_path, until, caplog
):
    pretend("raise RuntimeError('/secret/path')")
    r, _ = serving(tmp_path / "data", "org/a", "org/b")
    until(lambda: states(r) == ["failed", "failed"])
    assert "status 1" in r.imports.of("b").message
    assert "secret" not in repr(browse.visit_home(r)) + repr(r.jobs.all())
    assert "secret" in caplog.text


def test_an_import_that_leaves_nothing_is_no_model(serving, pretend, tmp_path, until):
    pretend("")
    r, _ = serving(tmp_path / "data", "org/ghost")
    until(lambda: r.imports.of("ghost").state == "done")
    with pytest.raises(ComputationFailed, match="ghost"):
        browse.visit_model(r, parse("ghost"), Options())
    assert states(r) == ["failed"]


def test_what_another_process_gave_the_name_is_not_shown_for_the_folder(serving, pretend, tiny_data, tmp_path, until):
    """Two servers may import folders of one last word into one data folder at the same time."""
    script = "import shutil; shutil.copytree({!r}, word('--data'), dirs_exist_ok=True); sys.exit({!r})"
    pretend(script.format(str(tiny_data), "singular-lens: 'tiny' already names other weights"))
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    r, _ = serving(tmp_path / "data", str(tmp_path / "runs" / "tiny"))
    until(lambda: r.imports.of("tiny").state == "failed")
    assert r.library.model("tiny") is not None
    assert (browse.visit_home(r).models[0].state, browse.visit_home(r).models[0].model) == ("failed", None)
    with pytest.raises(ComputationFailed, match="'tiny' already names other weights"):
        browse.visit_model(r, parse("tiny"), Options())


def test_what_failed_is_begun_again_when_it_is_asked_for(serving, own, pretend, tmp_path, until):
    pretend("sys.exit('singular-lens: no network')")
    r, run = serving(tmp_path / "data", "org/a")
    until(lambda: states(r) == ["failed"])
    first = r.imports.of("a").job
    pretend(FOREVER)
    job = start_import(r, run, "a")
    assert job.id != first
    assert start_import(r, run, "a").id == job.id
    until(lambda: r.imports.of("a").done == 3)
    assert (states(r), r.imports.of("a").job) == (["importing"], job.id)
    assert own.words[1][-1] == "org/a"
    assert not jobs.visit_job(r, first, allowed=True).may_start  # another is at it


def test_what_has_failed_may_be_begun_again_before_its_process_is_gone(serving, own, pretend, tmp_path, until):
    pretend("""
try:
    with note_job(store, job):
        raise ValueError
except ValueError:
    time.sleep(600)
""")
    r, run = serving(tmp_path / "data", "org/a")
    first = r.imports.of("a").job
    until(lambda: r.jobs.get(first).state == "failed")
    assert jobs.visit_job(r, first, allowed=True).may_start
    pretend(FOREVER)
    again = start_import(r, run, "a")
    assert (again.id != first, r.imports.of("a").job) == (True, again.id)
    (child,) = own._children
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: r.imports.of("a").done)
    assert r.imports.of("a").job == again.id


def test_a_cancelled_import_says_so_and_may_be_begun_again(serving, pretend, tmp_path, until):
    pretend(FOREVER.replace("time.sleep(600)", "[(time.sleep(0.02), notes.check()) for _ in range(30_000)]"))
    r, _ = serving(tmp_path / "data", "org/a")
    id_ = until(lambda: r.imports.of("a").done and r.imports.of("a").job)
    jobs.cancel_job(r, id_)
    until(lambda: states(r) == ["failed"])
    assert "cancelled" in browse.visit_home(r).models[0].message
    assert jobs.visit_job(r, id_, allowed=True).may_start


def test_where_no_job_can_be_noted_the_model_says_why(serving, own, pretend, tmp_path):
    pretend("")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "jobs").touch()
    r, _ = serving(tmp_path / "data", "org/a", "org/b")
    assert states(r) == ["failed", "failed"]
    assert browse.visit_home(r).models[0].message.startswith("files could not be read or written: ")
    with pytest.raises(NotImported, match="a could not be imported: files"):
        browse.visit_model(r, parse("a"), Options())
    assert own.words == []


def test_a_server_that_ends_interrupts_it_and_the_next_begins_it_again(serving, own, pretend, tmp_path, until):
    pretend(FOREVER)
    r, run = serving(tmp_path / "data", "org/a", "org/b")
    until(lambda: r.imports.of("a").done)
    (child,) = own._children
    run.close()
    assert not Path(f"/proc/{child.pid}").exists()
    assert [job.state for job in r.jobs.all()] == ["interrupted", "interrupted"]
    pretend("")
    r, _ = serving(tmp_path / "data", "org/a", "org/b")
    until(lambda: [r.imports.of(slug).state for slug in "ab"] == ["done", "done"])


def test_a_folder_that_is_taken_away_meanwhile_ends_no_server(serving, pretend, tmp_path, until):
    pretend(FOREVER.replace("600", "0.5"))
    r, _ = serving(tmp_path / "data", "org/a")
    until(lambda: r.imports.of("a").done)
    shutil.rmtree(tmp_path / "data" / "jobs")
    until(lambda: r.imports.of("a").state == "done")


SERVER = """
import sys, time
from pathlib import Path
from app.explorer.running.imports import Imports
from app.explorer.running import children
from app.jobs.runner import Runner
from app.store.jobs import JobStore

QUIET = '''
import time
from app.models.importing import importer
from app.__main__ import main

def import_model(*_, report, **__):
    report(importer.Progress("begun"))
    time.sleep(600)

importer.import_model = import_model
main()
'''
children.PROGRAM = (sys.executable, "-c", QUIET)
own, store = children.Children(), JobStore(Path(sys.argv[1]) / "jobs")
job = Runner(store, own, Path(sys.argv[1]), "cpu").start_import("tiny", "some/model", Imports(store, {"tiny": ""}))
while store.get(job.id).stage != "begun":
    time.sleep(0.01)
(child,) = own._children
print(child.pid, flush=True)
time.sleep(600)
"""


def test_an_import_ends_with_a_server_that_is_killed(tmp_path, until):
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        child = int(process.stdout.readline())
        (job,) = JobStore(tmp_path / "jobs").all()
        assert job.state == "running"
        process.kill()
        process.wait()
        try:
            until(lambda: JobStore(tmp_path / "jobs").get(job.id).state == "interrupted")
        finally:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
