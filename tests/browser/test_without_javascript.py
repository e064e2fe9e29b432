"""Everything reads and links with JavaScript off."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect


def test_the_whole_walk(visit: Callable[..., Page]):
    page = visit(java_script_enabled=False)
    page.goto("/")
    page.locator("table.heat td a").first.click()
    expect(page).to_have_url(re.compile(r"/demo/L0/H0$"))
    page.locator("#ov thead a", has_text="σ").click()
    expect(page).to_have_url(re.compile(r"sort=weakest"))
    page.get_by_role("navigation", name="Weights").get_by_role("link", name="raw").click()
    expect(page).to_have_url(re.compile(r"weights=raw"))
    page.locator("#qk table.directions tbody th a").first.click()
    expect(page.locator("#n bdi").first).to_be_visible()
    page.locator("#jump").fill("L1H1 qk 3")
    page.locator("#jump").press("Enter")
    expect(page).to_have_url(re.compile(r"/demo/L1/H1/qk/svd/3\?weights=raw$"))


def test_the_gallery_is_a_page_of_its_own_and_then_a_part_of_the_model(visit: Callable[..., Page]):
    page = visit(java_script_enabled=False)
    page.goto("/demo/notable")
    rays = page.locator("#notable .gallery li > a")
    expect(rays.first).to_be_visible()
    expect(page.locator("#notable [role=status]")).to_have_count(0)  # no layer is missing
    found = rays.all_inner_texts()[:16]
    page.goto("/demo")
    expect(page.locator("#gallery .gallery li > a")).to_have_text(found)


def test_a_score_is_chosen_and_a_gallery_filtered_by_forms(visit: Callable[..., Page]):
    page = visit(java_script_enabled=False)
    page.goto("/demo?weights=raw")
    page.get_by_label("Heads by").select_option("qk-stable-rank")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"\?(?=.*weights=raw)(?=.*score=qk-stable-rank)"))
    expect(page.locator("table.heat td a").first).to_have_attribute(
        "title", re.compile(r"^L0H0 · \S+ · rank \d+ of 48$")
    )
    page.goto("/demo/notable")
    page.get_by_label("side").select_option("key")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"side=key"))
    judged = (
        page.locator("#notable .gallery").first.locator("li").filter(has=page.locator("p.judged span", has_text="key"))
    )
    assert judged.count() == page.locator("#notable .gallery").first.locator("li").count() > 0


def test_a_gallery_that_grows_loads_again_until_it_is_whole(slow: str, visit_at):
    page = visit_at(slow, java_script_enabled=False)
    page.goto("/demo/notable")
    expect(page.locator("#notable .gallery").first).to_be_visible()
    expect(page.locator("#notable [role=status]")).to_have_count(0)
    assert page.locator("noscript meta").count() == 0


def test_find_is_a_form(visit: Callable[..., Page]):
    page = visit(java_script_enabled=False)
    page.goto("/demo/L2/H3/ov")
    page.get_by_label("Token in this matrix").fill("zzzzzz")
    page.get_by_role("button", name="Find").click()
    expect(page).to_have_url(re.compile(r"find=zzzzzz"))
    expect(page.get_by_role("status").first).to_contain_text("0 of")


def test_a_distance_is_a_form_and_links(visit_at, relatives: str):
    page = visit_at(relatives, java_script_enabled=False)
    page.goto("/llama/L1/H2/qk?weights=raw")
    page.locator("#distance").fill("7")
    page.get_by_role("button", name="Apply distance").click()
    expect(page).to_have_url(re.compile(r"\?(?=.*weights=raw)(?=.*distance=7)"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("at distance 7")
    page.get_by_role("navigation", name="Distance").get_by_role("link", name="0", exact=True).click()
    expect(page).to_have_url(re.compile(r"\?weights=raw$"))


def test_what_needs_a_script_does_not_show(visit: Callable[..., Page]):
    page = visit(java_script_enabled=False)
    page.goto("/demo/L0/H0")
    expect(page.get_by_role("button", name="Copy", exact=True).first).not_to_be_visible()
    expect(page.locator("#link")).to_be_visible()


def test_progress_moves_on_by_itself(slow: str, browser):
    """A server that lets nobody wait answers 202, and the browser comes back by itself."""
    context = browser.new_context(base_url=slow, java_script_enabled=False)
    page = context.new_page()
    assert page.goto("/demo/L5/H5").status == 202
    expect(page.get_by_role("heading", level=1)).to_have_text("L5H5")
    context.close()
