"""The gallery: its lists, its filters, and the walk through all of its pages."""

import re

from playwright.sync_api import Page, expect


def test_every_page_of_every_list_can_be_walked_to(page: Page):
    told = page.request.get("/api/v1/demo/notable").json()
    while not told.get("whole"):  # it grows while somebody asks for it
        page.wait_for_timeout(200)
        told = page.request.get("/api/v1/demo/notable").json()
    page.goto("/demo/notable")
    lists = {one["among"]: one for one in told["lists"]}
    shown = 0
    while True:
        shown += page.locator("#notable .gallery").first.locator("> li").count()
        further = page.get_by_role("link", name="more ›")
        if not further.count():
            break
        further.click()
        expect(page).to_have_url(re.compile(r"page=\d+"))
    assert shown == lists["themes"]["n_shown"] > 32
    signs = page.get_by_role("navigation", name="Lists").get_by_role("link", name="frequent")
    signs.click()
    expect(page).to_have_url(re.compile(r"among=frequent$"))
    expect(signs).to_have_attribute("aria-current", "true")


def test_filters_stand_in_the_address_and_stay_on_the_next_page(page: Page):
    page.goto("/demo/notable")
    page.get_by_label("kind").select_option("mlp-out")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"kind=mlp-out"))
    address = page.url
    names = page.locator("#notable .gallery").first.locator("> li > a").all_inner_texts()
    assert names
    assert all("MLP out" in name for name in names)
    page.goto(address)
    expect(page.locator("#notable .gallery").first.locator("> li > a")).to_have_text(names)
    expect(page.get_by_label("kind")).to_have_value("mlp-out")


def test_what_says_the_same_is_linked_where_it_is_not_shown(page: Page):
    page.goto("/demo/notable")
    also = page.locator(".gallery .also > a").first
    name, url = also.inner_text(), also.get_attribute("href")
    also.click()
    expect(page).to_have_url(re.compile(re.escape(url)))
    expect(page.get_by_role("heading", level=1)).to_contain_text(name.rstrip("+− "))
