"""How readable rays are, on the pages of heads, matrices and directions: sorting, filters, marks, words."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import arrive

Visit = Callable[..., Page]


def zs(page: Page, column: int) -> list[float]:
    """The larger z of each row in that column of z."""
    rows = page.locator("table.directions").first.locator("tbody tr").all()
    cells = [row.locator("td.z").nth(column).locator("p").all_inner_texts() for row in rows]
    return [max(map(number, texts)) for texts in cells]


def number(text: str) -> float:
    return float(text.strip("● ").replace("−", "-").replace("–", "-inf"))


def test_a_click_on_z_sorts_by_it_and_back_undoes_that(page: Page):
    page.goto("/demo/L3/H5/ov")
    page.locator("table.directions tbody th").first.wait_for()  # the page may have been waited for
    before = page.locator("table.directions tbody th").all_inner_texts()
    page.locator("#ov-by-readable-right").click()
    expect(page).to_have_url(re.compile(r"\?sort=readable-right$"))
    expect(page.locator("th:has(#ov-by-readable-right)")).to_have_attribute("aria-sort", "descending")
    write = zs(page, 1)
    assert write == sorted(write, reverse=True)
    assert zs(page, 0) != sorted(zs(page, 0), reverse=True)
    page.locator("#ov-by-readable").click()
    expect(page).to_have_url(re.compile(r"\?sort=readable$"))
    either = [max(pair) for pair in zip(zs(page, 0), zs(page, 1), strict=True)]
    assert either == sorted(either, reverse=True)
    page.go_back()
    expect(page.locator("th:has(#ov-by-readable-right)")).to_have_attribute("aria-sort", "descending")
    page.go_back()
    expect(page).to_have_url(re.compile(r"/ov$"))
    expect(page.locator("table.directions tbody th")).to_have_text(before)


def test_a_choice_filters_the_rows_and_keeps_the_rest(page: Page):
    arrive(page, "/demo/L3/H5/ov?sort=weakest&weights=raw")
    rows = page.locator("table.directions tbody tr")
    n = rows.count()
    page.locator("#only").select_option("readable")
    expect(page).to_have_url(re.compile(r"\?(?=.*only=readable)(?=.*sort=weakest)(?=.*weights=raw)"))
    expect(page.get_by_role("status").filter(has_text="have a readable end")).to_be_visible()
    assert 0 < rows.count() < n
    for row in rows.all():
        ps = row.locator("td.z p").evaluate_all(
            "all => all.map(one => one.title.match(/ p [^ ]+, [^ ]+, ([^ ,]+)/)[1])"
        )
        assert min(float(p) for p in ps if p != "–") < 0.01
    page.go_back()
    expect(page.locator("#only")).to_have_value("all")
    expect(rows).to_have_count(n)


def test_a_number_of_the_verdict_leads_to_its_rows(page: Page):
    page.goto("/demo/L3/H5/ov")
    counted = page.locator(".verdicts li").nth(1).locator("a[href*='only=one-sided']")
    n = int(counted.inner_text())
    counted.click()
    expect(page).to_have_url(re.compile(r"\?only=one-sided$"))
    write = page.locator("table.directions tbody tr td.z:nth-of-type(6) small", has_text="one end")
    expect(write).to_have_count(n)


def test_the_mark_does_not_speak_by_colour_alone(page: Page):
    page.goto("/demo/L3/H5/ov?only=found")
    sure = page.locator("td.z .stands-out").all_inner_texts()
    assert sure
    assert all(text.endswith("●") for text in sure)
    plain = page.locator("td.z p:not(.stands-out)").all_inner_texts()
    assert not any("●" in text for text in plain)


def test_the_keyboard_reaches_filters_and_leaves_single_keys_alone(page: Page):
    page.goto("/demo/L3/H5/ov")
    page.locator("#find").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#only")).to_be_focused()
    page.keyboard.type("both")
    expect(page).to_have_url(re.compile(r"only=antipodal"))
    expect(page.locator("#only")).to_be_focused()
    page.locator("#token-filters summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("ASCII only")).to_be_focused()
    page.keyboard.press("Space")
    page.get_by_label("without the first").select_option("500")
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"/L3/H5/ov\?"))
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("ASCII only, without the first 500 ids")
    expect(page).to_have_url(re.compile(r"\?(?=.*only=antipodal)(?=.*ascii=1)(?=.*frequent=500)"))
    assert "ascii=1" in page.locator("#link").input_value()


def test_a_filter_stays_on_the_way_to_a_direction_and_back(page: Page):
    page.goto("/demo/L3/H5/ov?ascii=1")
    page.locator("table.directions tbody th a").nth(1).click()
    expect(page).to_have_url(re.compile(r"/ov/svd/1\?ascii=1$"))
    expect(page.locator(".notice")).to_contain_text("ASCII only")
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"/ov/svd/2\?ascii=1$"))
    page.locator("#all-tokens").click()
    expect(page).to_have_url(re.compile(r"/ov/svd/2$"))
    expect(page.locator(".notice")).to_have_count(0)
    page.go_back()
    expect(page.locator(".notice")).to_contain_text("ASCII only")


def test_a_number_that_is_not_offered_leads_to_those_that_are(browser: Browser, demo: str):
    # The browser itself logs the status of such an answer to the console, so it is not held against it.
    context = browser.new_context(base_url=demo)
    page = context.new_page()
    page.goto("/demo/L3/H5/ov?only=readable&frequent=12287")
    expect(page.locator("main")).to_contain_text("frequent is 0, 100, 500, 1,000 or 5,000")
    page.locator("main").get_by_role("link", name="frequent=5000").click()
    expect(page).to_have_url(re.compile(r"(?=.*frequent=5000)(?=.*only=readable)"))
    expect(page.locator("table.directions")).to_be_visible()
    context.close()


@pytest.mark.parametrize("scripted", [True, False])
def test_token_filters_are_a_form(visit: Visit, scripted: bool):
    page = visit(java_script_enabled=scripted)
    page.goto("/demo/L3/H5/ov/svd/1?weights=raw")
    page.locator("#token-filters summary").click()
    page.get_by_label("starts of words only").check()
    page.get_by_role("button", name="Show these").click()
    expect(page.locator(".notice")).to_contain_text("starts of words only")
    expect(page).to_have_url(re.compile(r"\?(?=.*starts=1)(?=.*weights=raw)"))
    assert all(text.startswith("·") for text in page.locator("#p .bars bdi").all_inner_texts())


def test_without_javascript_a_choice_is_sent_with_the_form(visit: Visit):
    page = visit(java_script_enabled=False)
    page.goto("/demo/L3/H5")
    page.locator("#only").select_option("one-sided")
    page.get_by_role("button", name="Find").click()
    expect(page).to_have_url(re.compile(r"only=one-sided"))
    expect(page.get_by_role("status").first).to_contain_text("have one readable end on a side")


def test_a_direction_says_in_words_what_its_numbers_are(page: Page):
    page.goto("/demo/L3/H5/ov?sort=readable-right")
    page.locator("table.directions tbody th a").first.click()
    expect(page.get_by_role("heading", name="Is it readable?")).to_be_visible()
    write = page.get_by_role("region", name=re.compile("^writes"))
    expect(write).to_contain_text("Readable: more alike than all")
    expect(write.get_by_role("img", name=re.compile("Coherence of .* random ends"))).to_be_visible()
    assert write.locator("svg.control line").count() == 2


def test_fits_offer_no_token_filter(visit_at: Visit, fitted: str):
    page = visit_at(fitted)
    for place in ("embed/nmf?components=4", "embed/nmf/1?components=4"):
        page.goto(f"/tiny/{place}")
        expect(page.locator(".circuit, .rays").first).to_be_visible()
        expect(page.locator("#token-filters")).to_have_count(0)
    page.goto("/tiny/embed/nmf?components=4")
    expect(page.locator("#only")).to_be_visible()


LOOKS = {
    "readable rows": "/demo/L3/H5?only=readable",
    "matrix, some tokens": "/demo/L3/H5/ov?ascii=1",
    "direction, some tokens": "/demo/L3/H5/ov/svd/1?ascii=1",
    "a side of neurons": "/demo/L3/mlp-in/svd/2",
}


@pytest.mark.parametrize("name", LOOKS)
def test_how_it_looks(name: str, page: Page, look: Callable[[Page], None]):
    arrive(page, LOOKS[name])
    look(page)
    inside = "cell => cell.getBoundingClientRect().right <= innerWidth + 1"
    for width in (360, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        assert all(cell.evaluate(inside) for cell in page.locator("td.z").all())
