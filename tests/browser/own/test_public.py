"""Pages for the public: parts that htmx asks for have addresses of their own, which the browser never shows."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.core.address import parse
from app.explorer.asking.views import Options
from app.explorer.resources import close_resources, open_resources
from app.explorer.visits.browse import visit_head
from tests.browser.conftest import serve
from tests.workers import SETTINGS


@pytest.fixture(scope="module")
def public(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a public server of the tiny model, where a head was computed beforehand."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("public") / "data")
    r = open_resources(data=data, **SETTINGS)
    visit_head(r, parse("tiny/L1/H2"), Options())
    close_resources(r)
    with serve("tiny", data=data, public="true") as address:
        yield address


def test_a_part_is_asked_for_at_an_address_of_its_own(visit_at, public: str):
    page: Page = visit_at(public)
    page.goto("/tiny/L1/H2")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(public)))
    page.locator("#place thead a[id$=by-value]").first.click()
    expect(page).to_have_url(f"{public}/tiny/L1/H2?sort=weakest")
    assert "/tiny/L1/H2?sort=weakest&fragment=place" in asked
    page.go_back()
    expect(page).to_have_url(f"{public}/tiny/L1/H2")
