"""Every page, in both themes, at a desk and on a phone: nothing that axe calls serious, nothing wider than the screen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

PAGES = {
    "model": "/demo",
    "model by another score": "/demo?score=qk-stable-rank",
    "gallery": "/demo/notable",
    "layer": "/demo/L2",
    "head": "/demo/L2/H3",
    "head, raw": "/demo/L2/H3?weights=raw",
    "matrix": "/demo/L2/H3/qk?sort=closest",
    "matrix, nothing found": "/demo/L2/H3/ov?find=zzzzzz",
    "direction": "/demo/L2/H3/ov/svd/3",
    "settings": "/-/settings",
    "glossary": "/-/glossary",
    "api": "/docs",
}
RELATIVES = {
    "head at a distance": "/llama/L1/H2?distance=4",
    "matrix at a distance": "/llama/L1/H2/qk?distance=63",
    "direction at a distance": "/llama/L1/H2/qk/svd/0?distance=4",
    "mixture of experts": "/mixtral",
    "encoder": "/bert",
    "encoder's matrix": "/bert/L1/H2/ov",
}
AWRY = {"no such head": ("/demo/L2/H99", 404), "bad option": ("/demo/L2/H3?page=0", 422)}
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 360, "height": 740}}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page(name: str, size: str, theme: str, visit: Callable[..., Page], axe: Callable[[Page], list[str]]):
    page = visit(viewport=SIZES[size], color_scheme=theme)
    assert page.goto(PAGES[name]).status == 200
    page.wait_for_load_state("networkidle")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", RELATIVES)
def test_a_page_of_another_family(name: str, size: str, theme: str, relatives: str, visit_at, axe):
    page = visit_at(relatives, viewport=SIZES[size], color_scheme=theme)
    assert page.goto(RELATIVES[name]).status == 200
    page.wait_for_load_state("networkidle")
    for details in page.locator("details").all():
        details.locator("summary").click()
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", AWRY)
def test_a_page_that_says_what_went_wrong(name: str, theme: str, browser: Browser, demo: str, axe):
    # The browser itself logs the status of such a page to the console, so it is not held against it.
    context = browser.new_context(base_url=demo, color_scheme=theme, viewport=SIZES["phone"])
    page = context.new_page()
    address, status = AWRY[name]
    assert page.goto(address).status == status
    assert axe(page) == []
    assert page.get_by_role("heading", level=1).is_visible()
    context.close()


def test_style_and_script_are_light():
    static = Path(__file__).parents[2] / "static"
    assert sum(file.stat().st_size for file in static.rglob("*.js")) <= 60 * 1024


def test_a_head_fits_in_sixty_kilobytes(page: Page):
    answer = page.goto("/demo/L2/H3")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.request.sizes()["responseBodySize"] <= 60 * 1024
