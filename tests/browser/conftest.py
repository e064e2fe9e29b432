"""Fixtures of a real server and a real browser, to use pages as a person does."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

AXE = (Path(__file__).parent / "vendor" / "axe-4.14.1.min.js").read_text(encoding="utf-8")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 360, "height": 740}}
IS_WIDE_AS_THE_SCREEN = "document.documentElement.scrollWidth <= innerWidth"
expect.set_options(timeout=90_000)  # a busy machine takes long to compute a page


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@contextmanager
def serve(*models: str, data: Path, port: str = "0", **settings: str) -> Iterator[str]:
    """Run a server in a process of its own and yield its address; stop it at the end."""
    command = [sys.executable, "-m", "app", "serve", *models, "--port", port, "--data", str(data)]
    environment = os.environ | {f"SINGULAR_LENS_{name.upper()}": value for name, value in settings.items()}
    log = data / "server.log"
    with log.open("w") as errors, subprocess.Popen(command, env=environment, stderr=errors) as server:
        try:
            yield _read_address(server, log)
        finally:
            server.terminate()


def _copy_data(data: Path, folder: Path) -> Path:
    return shutil.copytree(data, folder / "data")


def _read_address(server: subprocess.Popen[bytes], log: Path) -> str:
    while server.poll() is None:
        if found := re.search(r"singular-lens: (http://\S+?)/ ", log.read_text()):
            return found[1]
    raise RuntimeError(log.read_text())


@pytest.fixture(scope="session")
def demo(demo_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server of the demo model."""
    with serve("demo", data=_copy_data(demo_data, tmp_path_factory.mktemp("demo")), wait_seconds="30") as address:
        yield address


@pytest.fixture(scope="session")
def relatives(member: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server of tiny models of other families: rotary positions, a mixture of experts, an encoder."""
    names = ("llama", "mixtral", "bert")
    (data,) = {member(name).data for name in names}
    copy = shutil.copytree(data, tmp_path_factory.mktemp("relatives") / "data")
    with serve(*names, data=copy, wait_seconds="30") as address:
        yield address


@pytest.fixture(scope="session")
def banked(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server of a tiny model with its bank."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("banked") / "data")
    command = [sys.executable, "-m", "app", "precompute", "tiny", "--data", str(data), "--matrices", "bank"]
    subprocess.run(command, check=True, capture_output=True)
    with serve("tiny", data=data, wait_seconds="30") as address:
        yield address


@pytest.fixture(scope="session")
def fitted(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server of a tiny model, with two fits of its embedding and statistics of use, where visitors may start jobs."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("fitted") / "data")
    command = [sys.executable, "-m", "app", "precompute", "tiny", "--data", str(data), "--matrices", "embed"]
    for fit in (("nmf", "--components", "4"), ("dictionary", "--atoms", "40", "--sparsity", "3")):
        subprocess.run([*command, "--basis", *fit], check=True, capture_output=True)
    used = [sys.executable, "-m", "app", "statistics", "tiny", "--data", str(data)]
    subprocess.run(used, check=True, capture_output=True)
    with serve("tiny", data=data, wait_seconds="30", allow_jobs="true") as address:
        yield address


@pytest.fixture(scope="module")  # its event loop would block tests of other modules that run their own
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "no Chromium on this machine: make chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser, address: str, **options: object) -> Iterator[Page]:
    """Open a fresh visitor's page; fail at the end if the console had an error or a request went to another host."""
    context = browser.new_context(base_url=address, **options)
    page = context.new_page()
    page.set_default_timeout(90_000)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    own = (address, f"blob:{address}")  # a figure on its way to a PNG
    page.on("request", lambda request: problems.append(request.url) if not request.url.startswith(own) else None)
    yield page
    context.close()
    assert problems == []


def arrive(page: Page, path: str) -> None:
    """Open a page and wait until it is computed, which may take longer than one request is granted."""
    status = page.goto(path).status
    assert status in {200, 202}, status
    if status == 202:
        expect(page.locator("#progress")).to_have_count(0)
    page.wait_for_load_state("networkidle")


@pytest.fixture
def visit(browser: Browser, demo: str) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page for a visitor of the demo model, with browser options."""
    with ExitStack() as visits:
        yield lambda **options: visits.enter_context(visiting(browser, demo, **options))


@pytest.fixture
def visit_at(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page for a visitor of another server."""
    with ExitStack() as visits:
        yield lambda address, **options: visits.enter_context(visiting(browser, address, **options))


@pytest.fixture
def page(visit: Callable[..., Page]) -> Page:
    """Open a page for a visitor of the demo model at a desktop's size."""
    return visit(viewport={"width": 1280, "height": 800})


@pytest.fixture(scope="session")
def serve_at() -> Callable[..., AbstractContextManager[str]]:
    """Return a function that runs another server."""
    return serve


@pytest.fixture
def slow(demo_data: Path, tmp_path: Path) -> Iterator[str]:
    """Run a server of the demo model where no request waits: every page is first a progress page."""
    with serve("demo", data=_copy_data(demo_data, tmp_path), wait_seconds="0") as address:
        yield address


@pytest.fixture
def axe() -> Callable[..., list[str]]:
    """Return axe(page, **options of axe.run), which lists serious and critical violations, with first places."""
    return violations


@pytest.fixture
def look() -> Callable[[Page], None]:
    """Return look(page), which asserts no serious violation and no overflow, at both sizes and in both themes.

    Colours take axe most of its time, and are the same at every size.
    """

    def look_at(page: Page) -> None:
        page.set_viewport_size(SIZES["phone"])
        assert violations(page, rules={"color-contrast": {"enabled": False}}) == []
        assert page.evaluate(IS_WIDE_AS_THE_SCREEN), "the page scrolls sideways on a phone"
        page.set_viewport_size(SIZES["desk"])
        assert violations(page) == []
        assert page.evaluate(IS_WIDE_AS_THE_SCREEN), "the page scrolls sideways at a desk"
        page.emulate_media(color_scheme="dark")
        assert violations(page, runOnly={"type": "rule", "values": ["color-contrast", "link-in-text-block"]}) == []
        page.emulate_media(color_scheme="light")

    return look_at


def violations(page: Page, **options: object) -> list[str]:
    """List the violations that axe finds on a page."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE)
    found = page.evaluate("options => axe.run(document, {resultTypes: ['violations'], ...options})", options)[
        "violations"
    ]
    return [
        f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]
