"""The census of a model: from the map to it, as it grows, and what it says in both weights."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

Visit = Callable[..., Page]


@pytest.fixture
def visitor(fitted: str, visit_at: Visit) -> Page:
    """A visitor of the tiny model at a desk."""
    return visit_at(fitted, viewport={"width": 1280, "height": 800})


def whole(page: Page) -> None:
    """Wait until every layer is read."""
    expect(page.get_by_role("link", name="Every end as CSV")).to_be_visible()
    expect(page.locator("#reading")).to_have_count(0)


def test_from_the_map_to_every_ray(visitor: Page):
    visitor.goto("/tiny?weights=raw")
    visitor.get_by_role("navigation", name="Of the whole model").get_by_role("link", name="census").click()
    expect(visitor).to_have_url(re.compile(r"/tiny/census\?weights=raw$"))
    whole(visitor)
    expect(visitor).to_have_url(re.compile(r"/tiny/census\?weights=raw$"))
    expect(
        visitor.get_by_role("heading", name="Are heads more readable than MLPs, and MLPs than embeddings?")
    ).to_be_visible()
    expect(visitor.locator(".kind")).to_have_count(
        visitor.locator("table.census").first.locator("th[scope=row]").count()
    )
    with visitor.expect_download() as downloading:
        visitor.get_by_role("link", name="Every end as CSV").click()
    rows = list(csv.DictReader(io.StringIO(downloading.value.path().read_text())))
    assert {(row["matrix"], row["side"]) for row in rows} >= {("ov", "write"), ("qk", "key"), ("mlp-in", "read")}


def test_both_weights_stand_side_by_side_once_both_are_read(visitor: Page):
    visitor.goto("/tiny/census?weights=raw")
    whole(visitor)
    visitor.get_by_role("navigation", name="Weights").get_by_role("link", name="folded").click()
    expect(visitor).to_have_url(re.compile(r"/tiny/census$"))
    whole(visitor)
    expect(visitor.locator("table.census").first.get_by_role("columnheader", name="raw")).to_have_count(2)


def test_it_grows_by_itself_where_nobody_may_wait(serve_at, fresh_data: Path, visit_at: Visit):
    with serve_at("tiny", data=fresh_data, wait_seconds="0") as address:
        page = visit_at(address, viewport={"width": 1280, "height": 800})
        page.goto("/tiny/census")
        whole(page)
        expect(page).to_have_url(re.compile(r"/tiny/census$"))
        page.goto("about:blank")  # asks for nothing more when the server goes


def test_what_is_open_and_where_one_is_stay_as_it_grows(serve_at, fresh_data: Path, visit_at: Visit):
    with serve_at("tiny", data=fresh_data, wait_seconds="0") as address:
        page = visit_at(address, viewport={"width": 1280, "height": 800})
        half: list[int] = []

        def younger(route: Route) -> None:
            """As the server would answer had it read one layer less, once."""
            answer = route.fetch()
            text = answer.text()
            if not half and "Every end as CSV" in text:
                half.append(1)
                reading = (
                    '<section class="far" id="reading" hx-get="/tiny/census" hx-trigger="later" '
                    'hx-swap="outerMorph" hx-push-url="false">one layer less</section><section class="findings"'
                )
                text = text.replace('<section class="findings"', reading, 1)
                text = text.replace("<li><b>", "<li>so far: <b>")
                text = text.replace("Every end as CSV", "")
            route.fulfill(response=answer, body=text)

        page.route("**/tiny/census", younger)
        page.goto("/tiny/census")
        expect(page.locator("#reading")).to_have_text("one layer less")
        assert page.locator("#reading").evaluate("(node) => node.getBoundingClientRect().height") < 100
        summary = page.locator("summary").first
        summary.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("so far: ").first).to_be_visible()
        page.locator("#reading").dispatch_event("later")
        whole(page)
        expect(page.get_by_text("so far: ")).to_have_count(0)
        expect(page.locator("details[open]")).to_have_count(1)
        expect(summary).to_be_focused()
        page.goto("about:blank")


def test_it_can_be_read_by_all(fitted: str, visit_at: Visit, look: Callable[[Page], None]):
    page = visit_at(fitted)
    page.goto("/tiny/census")
    whole(page)
    look(page)
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to content")


def test_without_javascript(fitted: str, visit_at: Visit):
    page = visit_at(fitted, java_script_enabled=False)
    page.goto("/tiny/census")
    whole(page)
    page.get_by_role("link", name="tiny", exact=True).first.click()
    expect(page).to_have_url(re.compile(r"/tiny$"))
