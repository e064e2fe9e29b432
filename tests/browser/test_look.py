"""Every page, in both themes, at a desk and on a phone: nothing that axe calls serious, nothing wider than the screen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import arrive

PAGES = {
    "model": "/demo",
    "model by another score": "/demo?score=qk-stable-rank",
    "gallery": "/demo/notable",
    "layer": "/demo/L2",
    "head": "/demo/L2/H3",
    "head, raw": "/demo/L2/H3?weights=raw",
    "full circuits": "/demo/L2/H3/full",
    "full circuits of a token": "/demo/L2/H3/full?token=+Paris",
    "matrix": "/demo/L2/H3/qk?sort=closest",
    "matrix, nothing found": "/demo/L2/H3/ov?find=zzzzzz",
    "direction": "/demo/L2/H3/ov/svd/3",
    "matrix beside rotations": "/demo/L2/H3/ov?rotated=1",
    "direction beside rotations": "/demo/L2/H3/ov/svd/3?rotated=1",
    "blind round": "/demo/blind",
    "blind round, answered": "/demo/blind?answers=lrlrlrlrlr",
    "prompt's form": "/demo/prompt",
    "prompt": "/demo/prompt?text=In+the+beginning+God+created+the+heaven",
    "direction on a prompt": "/demo/prompt?text=In+the+beginning+God+created+the+heaven&of=L2H3.ov.0",
    "settings": "/-/settings",
    "glossary": "/-/glossary",
    "api": "/docs",
}
RELATIVES = {
    "head at a distance": "/llama/L1/H2?distance=4",
    "matrix at a distance": "/llama/L1/H2/qk?distance=63",
    "direction at a distance": "/llama/L1/H2/qk/svd/0?distance=4",
    "full circuits at a distance": "/llama/L1/H2/full?token=%2320&distance=4",
    "mixture of experts": "/mixtral",
    "encoder": "/bert",
    "encoder's matrix": "/bert/L1/H2/ov",
}
BASES = {
    "layer with its MLP": "/tiny/L1",
    "embedding": "/tiny/embed",
    "unembedding, raw": "/tiny/unembed?weights=raw",
    "heads' writes": "/tiny/heads/write",
    "direction of the heads' reads": "/tiny/heads/read/svd/2",
    "MLP": "/tiny/L1/mlp-in",
    "neuron": "/tiny/L1/mlp-out/neuron/3",
    "coordinates of a head": "/tiny/L1/H2/ov/neuron",
    "output axes": "/tiny/L1/H2/ov/used",
    "output axis": "/tiny/L1/H2/ov/used/3",
    "mean taken out": "/tiny/embed/pca",
    "basis with parameters": "/tiny/embed/frequency?groups=5",
    "parts": "/tiny/embed/nmf?components=4",
    "part, of one ray": "/tiny/embed/nmf/2?components=4",
    "dictionary and its packing": "/tiny/embed/dictionary?atoms=40&sparsity=3",
    "atom": "/tiny/embed/dictionary/3?atoms=40&sparsity=3",
    "fit that is not there": "/tiny/embed/nmf?components=5",
    "bases side by side": "/tiny/embed/compare?direction=pca/2",
    "curve over positions": "/tiny/pos/svd/1",
}
AWRY = {"no such head": ("/demo/L2/H99", 404), "bad option": ("/demo/L2/H3?page=0", 422)}
AWRY |= {"no such basis": ("/demo/L2/H3/ov/nmf", 404), "too few": ("/demo/embed/nmf?components=1", 422)}
AWRY |= {"no such group": ("/demo/embed/frequency/99", 404)}
AWRY |= {"nothing that can be run": ("/demo/prompt?ids=99999999", 422)}
AWRY |= {"no token": ("/demo/L2/H3/full?token=parisian", 422)}
Look = Callable[[Page], None]


@pytest.mark.parametrize("name", PAGES)
def test_a_page(name: str, page: Page, look: Look):
    arrive(page, PAGES[name])
    assert page.locator("main h1").inner_text() not in {"Not here", "Busy"}
    look(page)


@pytest.mark.parametrize("name", RELATIVES)
def test_a_page_of_another_family(name: str, relatives: str, visit_at, look: Look):
    page = visit_at(relatives)
    arrive(page, RELATIVES[name])
    for details in page.locator("details").all():
        details.locator("summary").click()
    page.wait_for_load_state("networkidle")
    look(page)


@pytest.mark.parametrize("name", BASES)
def test_a_page_of_a_basis(name: str, fitted: str, visit_at, look: Look):
    page = visit_at(fitted)
    arrive(page, BASES[name])
    look(page)
    untitled = "svg[role=img]:not(:has(> title))"
    assert page.locator(untitled).count() == 0


@pytest.mark.parametrize("name", AWRY)
def test_a_page_that_says_what_went_wrong(name: str, browser: Browser, demo: str, look: Look):
    # The browser itself logs the status of such a page to the console, so it is not held against it.
    context = browser.new_context(base_url=demo)
    page = context.new_page()
    address, status = AWRY[name]
    assert page.goto(address).status == status
    look(page)
    assert page.get_by_role("heading", level=1).is_visible()
    context.close()


def test_scripts_are_light(page: Page):
    static = Path(__file__).parents[2] / "static"
    loaded: set[str] = set()
    page.on("request", lambda request: loaded.add(request.url) if request.resource_type == "script" else None)
    page.goto("/demo/L2/H3")
    assert len(loaded) == 3
    assert sum(len(page.request.get(url).body()) for url in loaded) <= 60 * 1024
    assert sum(file.stat().st_size for file in static.rglob("*.js")) <= 80 * 1024


@pytest.mark.parametrize(
    "place", ["L2/H3", "embed", "L2/mlp-in", "L2/mlp-in/neuron", "heads/write", "heads/write/svd/0"]
)
def test_a_page_fits_in_sixty_kilobytes(page: Page, place: str):
    answer = page.goto(f"/demo/{place}")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.request.sizes()["responseBodySize"] <= 60 * 1024
