"""The jump box as a palette: by keyboard, with what it suggests and the places that this browser was at."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect


def test_the_palette_opens_suggests_and_leads_there(page: Page, axe: Callable[[Page], list[str]]):
    page.goto("/demo/L1/H1/ov/svd/4")
    expect(page.locator(".place .masthead")).to_be_visible()  # once it is computed
    page.goto("/demo/L1")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()
    expect(page.locator("#palette-box")).to_be_focused()
    expect(page.locator("#recent a")).to_have_count(1)
    expect(page.locator("#recent a")).to_have_text(re.compile("L1H1 OV 4"))
    page.keyboard.type("l2h3")
    expect(page.locator("#suggested a").first).to_have_text(re.compile(r"^L2H3\s+Enter$"))
    assert axe(page) == []
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#suggested a").nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#palette-box")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).not_to_be_visible()
    page.keyboard.press("Control+k")
    page.locator("#palette-box").fill("L2H3.ov.12n")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/demo/L2/H3/ov/svd/12\?path=L2H3.ov.12n#n$"))


def test_recent_places_are_forgotten_when_they_shall_be(page: Page):
    page.goto("/demo/L1")
    page.goto("/demo/L2")
    page.locator("#palette-open").click()
    page.locator("#forget").click()
    expect(page.locator("#recent")).to_be_hidden()
    assert page.evaluate("localStorage.getItem('recent')") is None


def test_what_somebody_put_into_the_store_of_places_is_no_link(page: Page):
    page.goto("/demo/L1")
    page.evaluate(
        """localStorage.setItem('recent', JSON.stringify([["javascript:alert(1)", "a"], ["//evil.example", "b"], 3]))"""
    )
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-box")).to_be_focused()
    expect(page.locator("#recent")).to_be_hidden()


def test_the_box_in_the_masthead_suggests_below_itself(page: Page):
    page.goto("/demo")
    page.locator("#jump").press_sequentially("L1H1")
    expect(page.locator("#below a").first).to_contain_text("L1H1")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#below a").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#jump")).to_be_focused()
    expect(page.locator("#below a")).to_have_count(0)
