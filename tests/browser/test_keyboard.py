"""The keyboard alone."""

import re

from playwright.sync_api import Page, expect


def test_brackets_walk_through_directions_and_heads(page: Page):
    page.goto("/demo/L1/H0/ov/svd/4")
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"/svd/5$"))
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile(r"/svd/4$"))
    page.goto("/demo/L0/H7")
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"/demo/L1/H0$"))


def test_brackets_walk_through_layers_and_the_directions_of_any_basis(visit_at, fitted: str):
    page = visit_at(fitted)
    page.goto("/tiny/L0/mlp-out/pca?weights=raw")
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"/tiny/L1/mlp-out/pca\?weights=raw$"))
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile(r"/tiny/L0/mlp-out/pca\?weights=raw$"))
    page.goto("/tiny/embed/nmf/2?components=4")
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"/tiny/embed/nmf/3\?components=4$"))
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"/tiny/embed/nmf/3\?components=4$"))
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile(r"/tiny/embed/nmf/2\?components=4$"))


def test_slash_goes_to_the_jump_box_and_it_jumps(page: Page):
    page.goto("/demo")
    page.keyboard.press("/")
    expect(page.locator("#jump")).to_be_focused()
    page.keyboard.type("L2H3.ov.12n")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/demo/L2/H3/ov/svd/12\?path=L2H3.ov.12n#n$"))


def test_single_keys_do_nothing_inside_inputs(page: Page):
    page.goto("/demo/L1/H1/ov/svd/4")
    page.locator("#jump").focus()
    page.keyboard.type("[]?c")
    expect(page).to_have_url(re.compile(r"/svd/4$"))
    expect(page.locator("#jump")).to_have_value("[]?c")
    expect(page.locator("dialog#help")).not_to_be_visible()


def test_a_question_mark_shows_the_keys_which_can_be_turned_off(page: Page):
    page.goto("/demo/L1/H1/ov/svd/4")
    page.keyboard.press("?")
    expect(page.locator("dialog#help")).to_be_visible()
    page.locator("#single-keys").uncheck()
    page.keyboard.press("Escape")
    expect(page.locator("dialog#help")).not_to_be_visible()
    page.keyboard.press("]")
    page.reload()
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"/svd/4$"))


def test_arrows_move_over_the_map(page: Page):
    page.goto("/demo")
    cells = page.locator("table.heat td a")
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    expect(cells.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(cells.nth(11)).to_be_focused()
    page.keyboard.press("End")
    expect(cells.nth(19)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(cells.nth(19)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/demo/L1/mlp-out$"))
    page.go_back()
    cells.nth(19).focus()
    page.keyboard.press("Home")
    expect(cells.nth(10)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/demo/L1/H0$"))


def test_the_first_tab_offers_to_skip_to_the_content(page: Page):
    page.goto("/demo/L0/H0")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_a_distance_is_typed_and_undone_by_back(visit_at, relatives: str):
    page = visit_at(relatives)
    page.goto("/llama/L1/H2?sort=gap")
    first = page.locator("#qk tbody td").first
    near = first.inner_text()
    page.locator("#distance").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?(?=.*sort=gap)(?=.*distance=2)"))
    expect(first).not_to_have_text(near)
    expect(page.locator("#qk h2")).to_contain_text("at distance 2")
    expect(page.locator("#distance")).to_be_focused()
    assert "distance=2" in page.locator("#link").input_value()
    page.go_back()
    expect(page).to_have_url(re.compile(r"\?sort=gap$"))
    expect(first).to_have_text(near)
    expect(page.locator("#distance")).to_have_value("0")


def test_a_distance_beyond_the_range_is_not_sent(visit_at, relatives: str):
    page = visit_at(relatives)
    page.goto("/llama/L1/H2/qk")
    page.locator("#distance").fill("64")
    page.locator("#distance").press("Enter")
    expect(page.locator("#distance:invalid")).to_be_focused()
    expect(page).to_have_url(re.compile(r"/qk$"))


def test_j_and_k_walk_the_rows_enter_opens_and_u_goes_up(page: Page):
    page.goto("/demo/L1/H1")
    rows = page.locator("table.directions tbody th a")
    page.keyboard.press("j")
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(rows.nth(2)).to_be_focused()
    page.keyboard.press("k")
    expect(rows.nth(1)).to_be_focused()
    for _ in range(rows.count()):
        page.keyboard.press("j")
    expect(rows.last).to_be_focused()
    head, cell = page.locator("#qk thead").bounding_box(), rows.last.bounding_box()
    assert head["y"] + head["height"] <= cell["y"], "the cursor is under the table's head"
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/demo/L1/H1/qk/svd/\d+$"))
    left = int(page.url.rpartition("/")[2])
    page.goto("/demo/L1/H1/qk/svd/3")
    page.keyboard.press("u")
    expect(page).to_have_url(re.compile(r"/demo/L1/H1/qk$"))
    page.keyboard.press("j")
    expect(page.locator("table.directions tbody th a").nth(3)).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator("table.directions tbody th a").nth(4)).to_be_focused()
    page.goto(f"/demo/L1/H1/qk/svd/{left}")
    for place in ("/demo/L1/H1/qk", "/demo/L1/H1", "/demo/L1", "/demo"):
        page.keyboard.press("u")
        expect(page).to_have_url(re.compile(rf"{place}$"))
    page.keyboard.press("u")
    expect(page).to_have_url(re.compile(r"/demo$"))


def test_there_are_few_stops_before_the_table(page: Page):
    page.goto("/demo/L1/H1/ov")
    stops: list[str] = page.evaluate(
        """() => {
            const all = [...document.querySelectorAll("a[href], button, input, select, summary")];
            const row = document.querySelector("table.directions tbody th a");
            return all.slice(0, all.indexOf(row))
                .filter(one => one.tabIndex >= 0 && one.checkVisibility()).map(one => one.textContent);
        }"""
    )
    assert len(stops) <= 37, stops
