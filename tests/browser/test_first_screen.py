"""Tokens before statistics: how many lie in the first screen, at a desk and on a phone, and that they stay named."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import arrive

COUNT = """() => [...document.querySelectorAll("main :is(bdi, a.chip)")].filter(chip => {
    const box = chip.getBoundingClientRect();
    return chip.checkVisibility() && box.width && box.top >= 0 && box.left >= 0
        && box.bottom <= innerHeight && box.right <= innerWidth;
}).length"""
SIZES = {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
LEAST = {
    ("L2/H3/ov/svd/0", "desk"): 48,
    ("L2/H3/ov/svd/0", "phone"): 24,
    ("L2/H3/ov/svd/0#n", "phone"): 24,
    ("L2/mlp-out/svd/0", "desk"): 48,
    ("L2/mlp-out/svd/0", "phone"): 24,
    ("L2/H3", "desk"): 24,
    ("L2/H3", "phone"): 24,
    ("L2/H3/qk", "desk"): 24,
    ("L2/H3/qk", "phone"): 24,
    ("L2/mlp-in", "desk"): 24,
    ("L2/mlp-in", "phone"): 24,
    ("embed", "desk"): 24,
    ("embed", "phone"): 24,
}


@pytest.mark.parametrize(("place", "size"), LEAST)
def test_the_first_screen_is_tokens(visit, place: str, size: str):
    page: Page = visit(viewport=SIZES[size])
    page.goto(f"/demo/{place}")
    expect(page.locator("main bdi").first).to_be_attached()  # what is not kept yet is waited for in its place
    assert page.evaluate(COUNT) >= LEAST[place, size]


CUT = """() => [...document.querySelectorAll(".rays bdi")].filter(chip => chip.scrollWidth > chip.clientWidth + 1).length"""


@pytest.mark.parametrize("width", [800, 900, 1024, 1200, 1300])
def test_between_a_phone_and_a_desk_a_direction_is_whole(visit, width: int):
    page: Page = visit(viewport={"width": width, "height": 900})
    page.goto("/demo/L2/H3/ov/svd/0")
    page.evaluate(
        "document.querySelectorAll('.rays li:first-child bdi').forEach(one => one.textContent = '·demonstrations')"
    )
    assert page.evaluate(CUT) == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("size", SIZES)
def test_the_head_of_a_table_stays_in_sight_with_its_name(visit, size: str):
    page: Page = visit(viewport=SIZES[size])
    page.goto("/demo/L2/H3")
    page.evaluate("document.querySelectorAll('#ov tbody tr')[6].scrollIntoView({behavior: 'instant'})")
    box = page.locator("#ov thead").bounding_box()
    assert abs(box["y"]) <= 1
    assert "L2H3 OV" in page.locator("#ov thead").inner_text()


def test_variants_of_one_word_are_one_chip_and_one_by_one_in_files(visit):
    page: Page = visit(viewport=SIZES["desk"])
    for index in range(8):
        page.goto(f"/demo/L3/H5/ov/svd/{index}")
        merged = page.locator(".rays bdi", has_text=" ×").first
        if merged.count():
            break
    title = merged.get_attribute("title")
    text, _, n = merged.inner_text().partition(" ×")
    assert title.startswith(f"{n} tokens: {text} ")
    ids = [int(part.split("id ")[1].rstrip(")")) for part in title.split(" · ")]
    assert len(ids) == int(n) > 1
    told = page.request.get(f"/api/v1/demo/L3/H5/ov/svd/{index}").json()
    ends = [told[side][ray] for side in ("left", "right") for ray in ("plus", "minus")]
    assert any(set(ids) <= {token["id"] for token in end} for end in ends)
    assert {len(end) for end in ends} == {50}
    lines = page.request.get(f"/demo/L3/H5/ov/svd/{index}?format=csv").text().splitlines()
    assert len(lines) == 201
    assert "×" not in "".join(lines)


def test_a_fit_that_is_not_there_is_grey_and_says_what_it_takes(visit_at, fitted: str):
    page: Page = visit_at(fitted)
    arrive(page, "/tiny/embed")
    tabs = page.get_by_role("navigation", name="Basis")
    absent = tabs.locator(".absent-fit")
    assert absent.evaluate_all("all => all.map(one => one.firstChild.textContent)") == ["ica"]
    assert "Not computed on this server" in absent.first.get_attribute("title")
    here = tabs.get_by_role("link", name="nmf")
    assert here.evaluate("one => getComputedStyle(one).color") != absent.first.evaluate(
        "one => getComputedStyle(one).color"
    )
    place = here.get_attribute("href")
    assert place.startswith("/tiny/embed/nmf")
    here.click()
    expect(page).to_have_url(fitted + place)
    expect(page.locator("table.directions tbody tr").first).to_be_visible()
