"""Searching as one types, by keyboard, on a phone and without JavaScript."""

import re

import pytest
from playwright.sync_api import Page, expect

FOUND = "#found .nearest > li"


@pytest.fixture
def page(visit_at, banked: str) -> Page:
    """A visitor of a model whose bank is there."""
    return visit_at(banked, viewport={"width": 1280, "height": 800})


def test_what_is_typed_is_searched_for_at_once_and_stands_in_the_url(page: Page):
    page.goto("/tiny/search")
    expect(page.locator(FOUND)).to_have_count(0)
    box = page.locator("#words")
    box.press_sequentially("that")
    expect(page.locator(FOUND)).to_have_count(25)
    expect(page).to_have_url(re.compile(r"[?&]q=that(&|$)"))
    expect(box).to_be_focused()
    expect(page).to_have_title(re.compile("^that · "))
    expect(page.locator("#moves").get_by_role("link", name="raw")).to_have_attribute("href", re.compile("q=that"))
    expect(page.get_by_role("link", name="This page as JSON")).to_have_attribute("href", re.compile("q=that"))
    page.get_by_label("order").select_option("alignment")
    expect(page).to_have_url(re.compile("order=alignment"))
    first = page.locator(f"{FOUND} > a").first
    named = first.get_attribute("id")
    page.reload()
    expect(box).to_have_value("that")
    assert page.locator(f"{FOUND} > a").first.get_attribute("id") == named
    box.fill("-that")
    expect(page.locator("#found")).to_contain_text("Only words to subtract")
    expect(page.locator(FOUND)).to_have_count(0)


def test_a_cell_of_the_strip_is_a_filter_for_the_keyboard_too(page: Page):
    page.goto("/tiny/search?q=that,with")
    cell = page.locator(".depths svg a").first
    cell.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"layers=\d"))
    layers = page.locator("input[name=layers]").input_value()
    for label in page.locator(f"{FOUND} > a").all_inner_texts():
        assert label.startswith(f"L{layers}")


def test_the_box_of_every_page_leads_to_a_search(page: Page):
    page.goto("/tiny/L1/H2")
    page.keyboard.press("/")
    page.keyboard.type("that with")
    page.keyboard.press("Enter")
    expect(page.locator(FOUND)).to_have_count(25)
    expect(page.locator("#words")).to_have_value("that with")


@pytest.mark.parametrize("query", ["", "?q=that,with", "?q=grumpy -that %22to be%22 L1H2.ov.0n"])
def test_a_search_looks_right_at_every_size_and_in_both_themes(page: Page, look, query: str):
    page.goto(f"/tiny/search{query}")
    look(page)


def test_a_search_is_a_form_without_javascript(visit_at, banked: str):
    page = visit_at(banked, java_script_enabled=False)
    page.goto("/tiny")
    page.locator("#words").fill("that, with")
    page.get_by_role("button", name="Search", exact=True).first.click()
    expect(page.locator(FOUND)).to_have_count(25)
    page.get_by_text("filters", exact=True).click()
    page.locator("select[name=side]").select_option("write")
    page.get_by_role("button", name="Search", exact=True).first.click()
    assert set(page.locator(f"{FOUND} p.judged > span").all_inner_texts()) == {"writes"}
    page.get_by_role("link", name="more ›").click()
    expect(page).to_have_url(re.compile("page=2"))
