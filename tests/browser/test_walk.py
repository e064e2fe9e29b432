"""What a visitor does: from the model to one direction, back again, and a link for a colleague."""

import re

from playwright.sync_api import Page, expect


def test_from_the_front_page_to_a_direction_and_back(page: Page):
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("singular-lens demo")
    page.locator("table.heat td:not(.mlp) a").nth(11).click()
    expect(page).to_have_url(re.compile(r"/demo/L1/H3$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("L1H3")
    page.locator("#ov table.directions tbody th a").nth(2).click()
    expect(page).to_have_url(re.compile(r"/demo/L1/H3/ov/svd/2$"))
    tokens = page.locator("#p bdi").all_inner_texts()
    page.go_back()
    expect(page).to_have_url(re.compile(r"/demo/L1/H3$"))
    page.go_back()
    expect(page.locator("table.heat")).to_be_visible()
    page.go_forward()
    page.go_forward()
    expect(page.locator("#p bdi")).to_have_text(tokens)


def test_with_one_model_its_page_says_the_same(page: Page):
    page.goto("/demo/notable")
    expect(page.locator("#notable")).to_be_visible()
    expect(page.locator("#notable [role=status]")).to_have_count(0)  # no layer is missing
    page.goto("/")
    expect(page).to_have_url(re.compile(r"/demo$"))
    expect(page.locator(".lede")).to_contain_text("What do a transformer’s weights read and write?")
    expect(page.get_by_role("heading", name="How to read one")).to_be_visible()


def test_the_gallery_arrives_and_leads_to_directions(page: Page):
    page.goto("/demo")
    first = page.locator("#gallery .gallery li > a").first
    expect(first).to_be_visible()
    first.click()
    expect(page).to_have_url(re.compile(r"/demo/\S+/svd/\d+(\?path=\S+)?#[pn]$"))


def test_the_gallery_grows_by_itself_and_then_rests(slow: str, visit_at):
    page = visit_at(slow)
    page.goto("/demo/notable")
    so_far = page.locator("#notable [role=status]")
    expect(so_far).to_contain_text(re.compile(r"From [0-6] of 6 layers so far"))
    page.evaluate("window.isTheSame = true")  # what shows mere progress does load again
    expect(so_far).to_have_count(0)
    assert page.evaluate("window.isTheSame"), "the page was not loaded again"
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.wait_for_timeout(3_000)
    assert requests == []


def test_the_map_is_coloured_by_readable_rays_once_all_are_read(page: Page):
    page.goto("/demo")
    expect(page.locator("#gallery .gallery").first).to_be_visible()
    expect(page.locator("#gallery [role=status]")).to_have_count(0)  # no layer is missing
    page.reload()
    page.get_by_label("Heads by").select_option(label="OV readable ends")
    expect(page).to_have_url(re.compile(r"score=ov-readability$"))
    expect(page.get_by_role("heading", name="Largest OV readable ends")).to_be_visible()
    tips = page.locator("table.heat td:not(.mlp) a").evaluate_all("all => all.map(one => one.dataset.tip)")
    assert all(re.search(r"rank \d+ of 48$", tip) for tip in tips)


def test_the_copied_link_shows_a_colleague_the_same(page: Page, browser):
    page.goto("/demo/L2/H1/ov/svd/0?weights=raw")
    link = page.locator("#link").input_value()
    assert re.search(r"/demo@[0-9a-f]{8,}/L2/H1/ov/svd/0\?weights=raw$", link)
    tokens = page.locator(".rays bdi").all_inner_texts()
    colleague = browser.new_context().new_page()
    colleague.goto(link)
    assert colleague.locator(".rays bdi").all_inner_texts() == tokens
    colleague.context.close()


def test_a_link_to_an_end_shows_that_end_first_and_keeps_it(visit, browser, demo: str):
    def tops(page: Page) -> dict[str, float]:
        return {end: page.locator(f"#{end}").bounding_box()["y"] for end in "pn"}

    for scripted in (True, False):
        page = visit(java_script_enabled=scripted, viewport={"width": 1440, "height": 900})
        page.goto("/demo/L2/H1/ov/svd/0")
        assert tops(page)["p"] < tops(page)["n"]
        page.locator("#n h2 a").first.click()
        expect(page).to_have_url(re.compile(r"/svd/0#n$"))
        assert tops(page)["n"] < tops(page)["p"]
        page.goto("/demo/L2/H1/ov/svd/1#n")
        assert tops(page)["n"] < tops(page)["p"]
        assert page.get_by_role("heading", level=1).bounding_box()["y"] >= 0, "the label is out of sight"
    context = browser.new_context(base_url=demo, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto("/demo/L2/H1/ov/svd/1#n")
    page.get_by_role("button", name="copy link").click()
    expect(page.locator("#said")).not_to_be_empty()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"/demo@[0-9a-f]+/L2/H1/ov/svd/1\?weights=folded#n$", copied)
    assert copied == page.locator("#link").input_value()
    assert "?weights=folded#n }" in page.locator("#cite").text_content()
    assert page.locator(".printed").text_content().endswith("?weights=folded#n")
    page.locator("#p h2 a").first.click()
    expect(page.locator("#link")).to_have_value(copied.removesuffix("n") + "p")
    page.get_by_role("navigation", name="Weights").get_by_role("link", name="raw").click()
    expect(page).to_have_url(re.compile(r"/svd/1\?weights=raw#p$"))
    page.get_by_role("navigation", name="Readout").get_by_role("link", name="cosine").click()
    expect(page).to_have_url(re.compile(r"/svd/1\?(?=.*weights=raw)(?=.*readout=cosine).*#p$"))
    context.close()


def test_the_clipboard_gets_the_pinned_link(browser, demo):
    context = browser.new_context(base_url=demo, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto("/demo/L0/H0")
    page.get_by_role("button", name="Copy", exact=True).first.click()
    expect(page.locator("#said")).not_to_be_empty()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#link").input_value()
    context.close()


def test_the_weights_switch_changes_numbers_and_stays_on(page: Page):
    page.goto("/demo/L3/H2")
    folded = page.locator("#ov tbody tr").first.inner_text()
    page.get_by_role("navigation", name="Weights").get_by_role("link", name="raw").click()
    expect(page).to_have_url(re.compile(r"weights=raw"))
    assert page.locator("#ov tbody tr").first.inner_text() != folded
    page.locator("#ov table.directions tbody th a").first.click()
    expect(page).to_have_url(re.compile(r"weights=raw"))


def test_sorting_and_paging_are_in_the_url_and_undone_by_back(page: Page):
    page.goto("/demo/L3/H2/ov")
    first = page.locator("#ov tbody th").first
    expect(first).to_have_text("0")
    by_value = page.locator("#ov thead a", has_text="σ")
    by_value.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"sort=weakest"))
    expect(first).not_to_have_text("0")
    expect(by_value).to_be_focused()
    assert "sort=weakest" in page.locator("#link").input_value()
    page.get_by_role("link", name="more").click()
    expect(page).to_have_url(re.compile(r"page=2"))
    page.go_back()
    expect(page).not_to_have_url(re.compile(r"page=2"))
    page.go_back()
    expect(page).not_to_have_url(re.compile(r"sort="))
    expect(first).to_have_text("0")


def test_a_distance_stays_on_while_one_walks_through_qk(visit_at, relatives: str):
    page = visit_at(relatives)
    page.goto("/llama/L1/H2/qk")
    link = page.get_by_role("navigation", name="Distance").get_by_role("link", name="4", exact=True)
    link.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/qk\?distance=4$"))
    expect(link).to_be_focused()
    expect(link).to_have_attribute("aria-current", "true")
    page.locator("#qk tbody th a").first.click()
    expect(page).to_have_url(re.compile(r"/qk/svd/0\?distance=4$"))
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"/qk/svd/1\?distance=4$"))
    page.get_by_role("navigation", name="Weights").get_by_role("link", name="raw").click()
    expect(page).to_have_url(re.compile(r"\?weights=raw&distance=4$"))
    for before in ("/qk/svd/1?distance=4", "/qk/svd/0?distance=4", "/qk?distance=4"):
        page.wait_for_load_state()
        page.go_back()
        expect(page).to_have_url(re.compile(f"{re.escape(before)}$"))
    page.go_back()
    expect(page).to_have_url(re.compile(r"/qk$"))
    expect(page.locator("#qk h2")).not_to_contain_text("distance")


def test_find_shows_only_rows_with_the_word(page: Page):
    page.goto("/demo/L3/H2/ov")
    word = page.locator("#ov tbody bdi").nth(3).inner_text().partition(" ×")[0].strip("·")
    page.get_by_label("Token in this matrix").fill(word)
    expect(page).to_have_url(re.compile(r"find="))
    for row in page.locator("#ov tbody tr").all():
        assert word.casefold() in row.locator("mark").first.inner_text().casefold()


def test_find_marks_what_stands_behind_the_tokens_of_the_row(page: Page):
    page.goto("/demo/L3/H2/ov/svd/0")
    page.locator(".kept summary").click()
    shown = page.locator(".kept .p .readout").last.locator("bdi").all_inner_texts()
    word = next(text for text in shown[20:] if text.strip("·").isalpha() and len(text) > 4)
    page.goto("/demo/L3/H2/ov")
    page.locator("#find").fill(word.replace("·", " "))
    expect(page).to_have_url(re.compile(r"find="))
    expect(page.get_by_role("status").first).to_contain_text("in the 50 tokens at either end")
    row = page.locator("tr:has(th a[href*='/svd/0'])")
    expect(row.locator("bdi:has(mark)", has_text=word).first).to_be_visible()
    expect(row.locator(".beyond").first).to_have_text(re.compile(r"^\d+(st|nd|rd|th)$"))


def test_another_colour_of_the_map(page: Page):
    page.goto("/demo")
    page.get_by_label("Heads by").select_option(index=3)
    expect(page).to_have_url(re.compile(r"score="))
    address = page.url
    page.reload()
    expect(page).to_have_url(address)
    expect(page.locator("table.heat td:not(.mlp) a")).to_have_count(48)


def test_the_dark_theme_can_be_chosen_and_is_kept(page: Page):
    page.goto("/demo/L0/H0")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(background)
    for _ in range(3):
        page.locator("#colours").click()
        if page.evaluate(background) != light:
            break
    dark = page.evaluate(background)
    assert dark != light
    page.goto("/demo/L0/H1")
    assert page.evaluate(background) == dark


def test_from_a_head_through_the_token_box_and_back(page: Page):
    page.goto("/demo/L3/H2?weights=raw")
    page.locator("#token").fill("·Paris")
    page.locator("#token").press("Enter")
    expect(page).to_have_url(re.compile(r"/demo/L3/H2/full\?token=%C2%B7Paris&weights=raw$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("·Paris")
    expect(page.locator("#ov .p .bars bdi")).to_have_count(12)
    first = page.locator(".full-rows .bars bdi").all_inner_texts()
    page.get_by_role("link", name="Paris", exact=True).click()
    expect(page).to_have_url(re.compile(r"token=Paris$"))
    expect(page.locator("#token")).to_have_value("Paris")
    assert page.locator(".full-rows .bars bdi").all_inner_texts() != first
    page.locator("#token").fill(" Paris")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"token=\+Paris&weights=raw$"))
    expect(page.locator("#token")).to_have_value("·Paris")
    assert page.locator(".full-rows .bars bdi").all_inner_texts() == first
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"/L3/H3/full\?weights=raw&token=\+Paris$"))
    for _ in range(3):
        page.go_back()
    expect(page).to_have_url(re.compile(r"/full\?token=%C2%B7Paris&weights=raw$"))
    expect(page.locator(".full-rows .bars bdi")).to_have_text(first)
    page.go_back()
    expect(page).to_have_url(re.compile(r"/demo/L3/H2\?weights=raw$"))
    expect(page.locator("#ov table.directions")).to_be_visible()


def test_a_text_that_is_no_token_leads_to_one_that_is(browser, demo):
    # The browser itself logs the status of such a page to the console, so it is not held against it.
    page = browser.new_context(base_url=demo).new_page()
    page.goto("/demo/L3/H2/full")
    page.locator(".suggested a").first.click()
    expect(page.locator("#query .n .bars bdi")).to_have_count(12)
    page.locator("#token").fill("paris")
    page.locator("#token").press("Enter")
    expect(page.get_by_text("is no single token of demo")).to_be_visible()
    page.get_by_role("link", name="·Paris", exact=True).click()
    expect(page).to_have_url(re.compile(r"/full\?token=\+Paris$"))
    expect(page.locator("#key .p .bars bdi")).to_have_count(12)
    page.context.close()


def test_full_circuits_turn_without_losing_their_token(visit_at, relatives: str):
    page = visit_at(relatives)
    page.goto("/llama/L1/H2/full?token=%2320")
    before = page.locator("#query .bars .value").all_inner_texts()
    page.get_by_role("navigation", name="Distance").get_by_role("link", name="4", exact=True).click()
    expect(page).to_have_url(re.compile(r"distance=4"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("at distance 4")
    assert page.locator("#query .bars .value").all_inner_texts() != before
    page.get_by_label("positions").fill("7")
    page.get_by_role("button", name="Apply distance").click()
    expect(page).to_have_url(re.compile(r"distance=7"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("at distance 7")
    for _ in range(2):
        page.go_back()
    expect(page).to_have_url(re.compile(r"\?token=%2320$"))
    expect(page.locator("#query .bars .value")).to_have_text(before)


def test_on_paper_a_page_says_what_it_is_of(page: Page):
    page.goto("/demo/L2/H3/ov/svd/3")
    link = page.locator("#link").input_value()
    printed = page.locator(".printed")
    expect(printed).to_be_hidden()
    page.emulate_media(media="print")
    expect(printed).to_be_visible()
    expect(printed).to_contain_text("L2H3 OV 3 of")
    expect(printed).to_contain_text(link)
    expect(page.locator("header.top")).to_be_hidden()
