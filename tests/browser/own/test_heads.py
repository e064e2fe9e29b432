"""Heads beside heads: by keyboard, on a phone, in both themes, without JavaScript."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect


def test_the_map_of_composition_is_walked_and_looked_at(visit_at, banked: str, look: Callable[[Page], None]):
    page = visit_at(banked)
    page.goto("/tiny/composition?kind=k")
    look(page)
    page.locator(".pairs tbody a").first.focus()
    page.goto("/tiny/composition?kind=v&writer=0&reader=1")
    look(page)
    page.locator(".heat td a").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".heat td a").nth(5)).to_be_focused()
    expect(page.locator("#tip")).to_contain_text(re.compile("L0H1 → L1H1"))


def test_heads_alike_come_with_a_head_and_two_are_held_side_by_side(
    visit_at, banked: str, look: Callable[[Page], None]
):
    page = visit_at(banked)
    page.goto("/tiny/L1/H2")
    page.locator("#alike").scroll_into_view_if_needed()
    expect(page.locator("#alike .sides table")).to_have_count(4)
    page.locator("#beside").fill("L0H1")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/-/compare\?a=tiny"))
    expect(page.locator("h1")).to_have_text("L1H2 OV beside L0H1 OV")
    look(page)


def test_all_of_it_is_there_without_javascript(visit_at, banked: str):
    page = visit_at(banked, java_script_enabled=False)
    page.goto("/tiny/composition")
    page.get_by_label("writer").select_option("0")
    page.get_by_label("reader").select_option("1")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".heat td a")).to_have_count(16)
    page.goto("/tiny/L1/H2/alike")
    expect(page.locator("#alike .sides table")).to_have_count(4)
    page.locator("#alike a", has_text="compare").first.click()
    expect(page.locator("h1")).to_have_text(re.compile("beside"))
