"""A job's page moves by itself, with and without JavaScript, and ends as its job did."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from app.store.jobs import JobStore

WORKER = """
import sys, time
from pathlib import Path
from dataclasses import replace
from app.store.jobs import JobStore

store = JobStore(Path(sys.argv[1]))
job = replace(store.new("tiny"), state="running", stage="layer 1 of 2", started=time.time(), layers=2, matrices=16)
with store.hold_job(job.id):
    store.write(job)
    print(job.id, flush=True)
    for line in sys.stdin:
        done = int(line)
        job = replace(job, stage=f"layer {1 + done // 8} of 2", matrices_done=done, layers_done=done // 8, rays=64 * done)
        store.write(job if done < 16 else replace(job, state="done", ended=time.time()))
"""
CANCELLED = """
import sys, time
from pathlib import Path
from app.jobs.steps import JobStep
from app.jobs.record import run_recorded
from app.store.jobs import JobStore

def steps():
    for n in range(10_000):
        time.sleep(0.05)
        yield JobStep("layer 1 of 2", 0, 2, n, 0, 10_000, 0.0, 0, 0, 0.0, 0.0)

store = JobStore(Path(sys.argv[1]))
job = store.new("tiny")
for now in run_recorded(store, job, steps()):
    print(now.id, flush=True)
"""
Begin = Callable[[Path, str], tuple[str, subprocess.Popen[str]]]


@pytest.fixture(scope="module")
def data(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(tiny_data, tmp_path_factory.mktemp("jobs") / "data")


@pytest.fixture(scope="module")
def server(serve_at: Callable[..., AbstractContextManager[str]], data: Path) -> Iterator[str]:
    with serve_at("tiny", data=data, wait_seconds="30", allow_jobs="true") as address:
        yield address


@pytest.fixture
def begin(data: Path, begin_at: Begin) -> Callable[[str], tuple[str, subprocess.Popen[str]]]:
    """Begin a job in a process: its id, and the process."""
    return partial(begin_at, data)


@pytest.fixture
def begin_at() -> Iterator[Begin]:
    """The same in a data folder."""
    begun: list[subprocess.Popen[str]] = []

    def start(data: Path, script: str) -> tuple[str, subprocess.Popen[str]]:
        command = [sys.executable, "-c", script, str(data / "jobs")]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        begun.append(process)
        assert process.stdout
        return process.stdout.readline().strip(), process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def say(process: subprocess.Popen[str], done: int) -> None:
    assert process.stdin
    process.stdin.write(f"{done}\n")
    process.stdin.flush()


@pytest.mark.parametrize("java_script_enabled", [True, False])
def test_a_job_moves_and_ends(server: str, begin, visit_at: Callable[..., Page], java_script_enabled: bool):
    id_, process = begin(WORKER)
    page = visit_at(server, java_script_enabled=java_script_enabled)
    loads: list[str] = []
    page.on("load", lambda _: loads.append(page.url))
    page.goto(f"/-/jobs/{id_}")
    expect(page.get_by_text("0 of 16 matrices")).to_be_visible()
    say(process, 9)
    expect(page.get_by_text("9 of 16 matrices")).to_be_visible()
    expect(page.locator("progress")).to_have_js_property("value", 9)
    expect(page.get_by_text("layer 2 of 2")).to_be_visible()
    say(process, 16)
    expect(page.get_by_role("status").first).to_have_text("done.")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    seen = len(loads)
    assert (seen == 1) == java_script_enabled
    page.wait_for_timeout(2_500)
    assert len(loads) == seen, "a page that has ended does not load again"


def test_a_job_moves_however_slowly_its_scripts_come(server: str, begin, visit_at: Callable[..., Page]):
    id_, process = begin(WORKER)
    page = visit_at(server)

    def late(route: Route) -> None:
        page.wait_for_timeout(700)
        route.continue_()

    page.route(re.compile(r"/hx-sse"), late)
    page.goto(f"/-/jobs/{id_}")
    say(process, 9)
    expect(page.get_by_text("9 of 16 matrices")).to_be_visible()


def test_a_job_can_be_cancelled(server: str, begin, visit_at: Callable[..., Page]):
    id_, process = begin(CANCELLED)
    page = visit_at(server)
    page.goto("/-/jobs")
    page.locator(f"#job-{id_}").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page).to_have_url(re.compile(rf"/-/jobs/{id_}$"))
    expect(page.get_by_role("status").first).to_contain_text("cancelled: what it computed is kept")
    expect(page.get_by_role("button", name="Start again")).to_be_visible()
    assert process.wait(30) != 0


def test_without_javascript_too(server: str, begin, visit_at: Callable[..., Page]):
    id_, _ = begin(CANCELLED)
    page = visit_at(server, java_script_enabled=False)
    page.goto(f"/-/jobs/{id_}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Start again")).to_be_visible()


def test_who_looked_on_sees_that_it_was_interrupted(server: str, begin, visit_at: Callable[..., Page]):
    id_, process = begin(WORKER)
    page = visit_at(server)
    page.goto(f"/-/jobs/{id_}")
    expect(page.get_by_text("0 of 16 matrices")).to_be_visible()
    process.kill()
    expect(page.get_by_role("status").first).to_contain_text("interrupted")


def test_the_focus_stays_where_it_is_while_numbers_change(server: str, begin, visit_at: Callable[..., Page]):
    id_, process = begin(WORKER)
    page = visit_at(server)
    page.goto(f"/-/jobs/{id_}")
    button = page.get_by_role("button", name="Cancel")
    button.focus()
    say(process, 5)
    expect(page.get_by_text("5 of 16 matrices")).to_be_visible()
    expect(button).to_be_focused()
    page.goto("/-/jobs")
    link = page.locator(f"#job-{id_}")
    link.focus()
    say(process, 7)
    expect(page.locator(f"li:has(#job-{id_}) progress")).to_have_js_property("value", 7)
    expect(link).to_be_focused()


def test_a_page_outlives_its_server(serve_at, data: Path, begin, browser):
    """Not `visit_at`: that the server is gone for a while is an error to the browser's console."""
    id_, process = begin(WORKER)
    context = browser.new_context()
    page = context.new_page()
    with serve_at("tiny", data=data) as address:
        page.goto(f"{address}/-/jobs/{id_}")
        expect(page.get_by_text("0 of 16 matrices")).to_be_visible()
    say(process, 11)
    with serve_at("tiny", data=data, port=address.rpartition(":")[2]) as address:
        expect(page.get_by_text("11 of 16 matrices")).to_be_visible()
        say(process, 16)
        expect(page.get_by_role("status").first).to_have_text("done.")
    context.close()


def test_a_model_shows_its_jobs_and_offers_to_start_them(server: str, begin, visit_at: Callable[..., Page]):
    page = visit_at(server)
    page.goto("/tiny")
    expect(page.get_by_role("button", name="Precompute every head of tiny, folded")).to_be_visible()
    expect(page.locator("#jobs")).to_contain_text("Jobs of tiny")
    id_, process = begin(WORKER)
    page.goto("/tiny")
    page.locator(f"#job-{id_}").wait_for()
    say(process, 10)
    expect(page.locator("#jobs")).to_contain_text("layer 2 of 2")
    say(process, 16)
    expect(page.locator("#jobs")).to_contain_text("Jobs of tiny")


def test_the_map_of_a_model_fills_in_while_a_job_goes_on(
    serve_at, fresh_data: Path, begin_at: Begin, visit_at: Callable[..., Page]
):
    _, process = begin_at(fresh_data, WORKER)
    with serve_at("tiny", data=fresh_data, wait_seconds="30") as address:
        page = visit_at(address)
        page.goto("/tiny?score=qk-top")
        expect(page.locator(".kept-count")).to_contain_text("0 of 8 heads")
        expect(page.locator("#gallery")).to_contain_text("with the layers that the job reads")
        page.locator(".checks summary").click()
        cell = page.locator("#map td a").nth(3)
        cell.focus()
        command = [sys.executable, "-m", "app", "precompute", "tiny", "--data", str(fresh_data)]
        subprocess.run(command, check=True, capture_output=True)
        expect(page.locator(".kept-count")).to_contain_text("8 of 8 heads")
        expect(page.locator("#map td.uncomputed:not(.mlp)")).to_have_count(0)
        expect(page.locator("#gallery")).to_contain_text("Readable does not mean used")
        expect(cell).to_be_focused()
        expect(page.locator(".checks")).to_have_attribute("open", "")
        expect(page).to_have_url(re.compile(r"/tiny\?score=qk-top$"))
        expect(page.locator("#score")).to_have_value("qk-top")
        page.wait_for_timeout(4_000)  # what was asked for while the last of it came
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.wait_for_timeout(4_000)
        assert not [url for url in requests if "score=" in url], "a map that is full asks for nothing more"
        process.kill()
        page.goto("about:blank")  # asks for nothing more when the server goes


def test_every_state_reads(server: str, data: Path, begin, visit_at, axe, look):
    """All of one more job on a model's page and on its own; of the others' pages, which differ in a word, the colours."""
    id_, process = begin(WORKER)
    say(process, 5)
    store = JobStore(data / "jobs")
    assert store.get(id_) is not None
    page = visit_at(server)
    for where in ("/-/jobs", "/-/jobs?model=tiny", "/tiny", f"/-/jobs/{id_}"):
        assert page.goto(where).status == 200
        look(page)
    one_a_state = {job.state: job.id for job in store.all()}
    for each in one_a_state.values():
        assert page.goto(f"/-/jobs/{each}").status == 200
        assert axe(page) == [], each
