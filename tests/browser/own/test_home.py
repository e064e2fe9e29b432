"""The front page: a sentence, three directions, how to read one, and the models; never an empty screen."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

PHONE = {"viewport": {"width": 390, "height": 844}}
QUESTION = "What do a transformer’s weights read and write?"


@pytest.fixture(scope="module")
def many(demo_data: Path, tiny_data: Path, serve_at, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the demo, a tiny model and one that cannot be imported."""
    data = shutil.copytree(demo_data, tmp_path_factory.mktemp("many") / "data")
    shutil.copytree(tiny_data, data, dirs_exist_ok=True)
    with serve_at("tiny", "demo", "no-such/folder/here", data=data, wait_seconds="30") as address:
        yield address


def test_it_shows_directions_and_how_to_read_one(many: str, visit_at: Callable[..., Page], look):
    page = visit_at(many)
    page.request.get("/demo/notable")  # begins to read it
    page.goto("/demo/notable")
    expect(page.locator("#notable")).to_be_visible()
    expect(page.locator("#notable [role=status]")).to_have_count(0)  # no layer is missing
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text(QUESTION)
    expect(page.get_by_role("heading", name="Three directions of singular-lens demo")).to_be_visible()
    cards = page.locator("#examples .cards > li")
    expect(cards).to_have_count(3)
    names = cards.locator("> a").all_inner_texts()
    assert len({re.match(r"L\d+", name)[0] for name in names}) == 3
    expect(page.get_by_role("heading", name="How to read one")).to_be_visible()
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    look(page)
    cards.locator("> a").first.click()
    expect(page).to_have_url(re.compile(r"/demo/L\d/H\d/ov/svd/\d(\?path=\S+)?#[pn]$"))


def test_nothing_is_cut_on_a_phone(many: str, visit_at: Callable[..., Page]):
    page = visit_at(many, **PHONE)
    page.goto("/")
    expect(page.get_by_text("comes with singular-lens · cc-by-sa-4.0")).to_be_visible()
    expect(page.get_by_text("failed:")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    right = page.locator("main *").evaluate_all("all => Math.max(...all.map(one => one.getBoundingClientRect().right))")
    assert right <= 390


@pytest.mark.parametrize("java_script_enabled", [True, False])
def test_a_model_that_nobody_has_read_yet_is_no_empty_screen(
    serve_at, demo_data: Path, tmp_path: Path, visit_at: Callable[..., Page], java_script_enabled: bool
):
    data = shutil.copytree(demo_data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))
    with serve_at("demo", "no-such/folder/here", data=data, wait_seconds="0") as address:
        page = visit_at(address, java_script_enabled=java_script_enabled)
        page.goto("/")
        expect(page.get_by_role("heading", level=1)).to_have_text(QUESTION)
        if java_script_enabled:
            expect(page.locator("#examples .cards > li")).to_have_count(3)
        else:
            expect(page.get_by_role("link", name="The most readable ones")).to_be_visible()
        page.goto("about:blank")
