"""The map of heads: what a cell says when it is pointed at or focused, which score colours it, and what comes first by it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

PHONE = {"viewport": {"width": 390, "height": 844}}


def boxes(page: Page, cell: Locator) -> tuple[dict[str, float], dict[str, float]]:
    """Where the popover is, and where the cell."""
    tip, of = page.locator("#tip").bounding_box(), cell.bounding_box()
    assert tip
    assert of
    return tip, of


@pytest.fixture
def demo_map(page: Page) -> Page:
    """The demo model's page once every layer has been read in little, as what its heads write comes from there."""
    for layer in range(6):
        page.request.get(f"/demo/L{layer}")
    page.goto("/demo")
    return page


@pytest.mark.parametrize("how", ["hover", "focus"])
@pytest.mark.parametrize("nth", [0, 7, 42, 47])
def test_a_cell_says_its_name_score_rank_and_tokens_beside_itself(demo_map: Page, how: str, nth: int):
    page = demo_map
    cell = page.locator("table.heat td:not(.mlp) a").nth(nth)
    cell.scroll_into_view_if_needed()
    if how == "hover":
        cell.hover()
    else:
        page.locator("#score").focus()
        page.keyboard.press("Tab")  # where a keyboard is, focus shows
        cell.focus()
    tip = page.locator("#tip")
    expect(tip).to_contain_text(re.compile(rf"^L{nth // 8}H{nth % 8} · \S+ · rank \d+ of 48"))
    expect(tip.locator("p.p bdi")).to_have_count(5)
    expect(tip.locator("p.n bdi")).to_have_count(5)
    shown, of = boxes(page, cell)
    assert shown["x"] >= 0
    assert shown["x"] + shown["width"] <= 1280
    assert shown["y"] >= 0
    assert shown["y"] + shown["height"] <= 800
    assert shown["y"] >= of["y"] + of["height"] or shown["y"] + shown["height"] <= of["y"]
    page.keyboard.press("Escape")
    expect(tip).not_to_be_visible()


def test_its_tokens_are_those_of_the_directions_page(demo_map: Page):
    page = demo_map
    page.locator("table.heat td:not(.mlp) a").nth(11).hover()
    tip = page.locator("#tip")
    expect(tip.locator("bdi")).to_have_count(10)
    both = [tip.locator(f"p.{ray} bdi").all_inner_texts() for ray in "pn"]
    told = page.request.get("/api/v1/demo/L1/H3/ov/svd/0").json()["right"]
    for ray, tokens in zip(("plus", "minus"), both, strict=True):
        assert [token.strip("·") for token in tokens] == [one["token"].strip() for one in told[ray][:5]]


def test_what_heads_write_is_fetched_once(demo_map: Page):
    page = demo_map
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.headers.get("hx-target", "")))
    for nth in (3, 9, 20):
        page.locator("table.heat td:not(.mlp) a").nth(nth).hover()
        expect(page.locator("#tip bdi")).to_have_count(10)
    page.locator("#score").select_option("ov-stable-rank")
    expect(page).to_have_url(re.compile("score=ov-stable-rank"))
    page.locator("table.heat td:not(.mlp) a").nth(30).hover()
    expect(page.locator("#tip bdi")).to_have_count(10)
    assert asked.count("div#written") == 1


def test_the_list_names_the_largest_first_with_digits(page: Page):
    page.goto("/demo?score=ov-stable-rank")
    expect(page.locator(".ranked li")).to_have_count(20)
    page.get_by_role("link", name="All 48").click()
    expect(page).to_have_url(re.compile(r"ranked=all"))
    values = [float(value) for value in page.locator(".ranked .value").all_inner_texts()]
    assert len(values) == 48
    assert values == sorted(values, reverse=True)
    cells = page.request.get("/api/v1/demo?score=ov-stable-rank").json()["map"]["rows"]
    best = max((cell for row in cells for cell in row), key=lambda cell: cell["value"])
    expect(page.locator(".ranked a").first).to_have_attribute("href", f"/{best['address']}")


def test_on_a_phone_tokens_come_first_and_every_cell_is_in_reach(visit: Callable[..., Page]):
    page = visit(**PHONE)
    page.goto("/demo")
    expect(page.locator("#gallery .gallery bdi").first).to_be_in_viewport()
    gallery, heads = (page.locator(part).bounding_box() for part in ("#gallery", "#map"))
    assert gallery["y"] + gallery["height"] <= heads["y"]
    for cell in page.locator("table.heat td.mlp a").all():
        box = cell.bounding_box()
        assert box["x"] + box["width"] <= 390
    page.locator("table.heat td.mlp a").last.click()
    expect(page).to_have_url(re.compile(r"/demo/L5/mlp-out$"))
