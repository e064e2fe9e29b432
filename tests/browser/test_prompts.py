"""A prompt as a person runs it: typed, read token by token, taken apart, followed, and deleted."""

import re
from itertools import product

import pytest
from playwright.sync_api import Page, expect

ROWS = "ol.rows > li:not(.heads)"
KEY = re.compile(r"/tiny/p/[0-9a-f]{16}$")


@pytest.fixture
def page(visit_at, banked: str) -> Page:
    """A visitor of a model whose bank is there, on the server's own machine."""
    return visit_at(banked, viewport={"width": 1280, "height": 900})


def run_prompt(page: Page, text: str) -> None:
    page.goto("/tiny")
    page.get_by_label("Of the whole model").get_by_role("link", name="prompt").click()
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Run").click()
    expect(page.locator(ROWS)).to_have_count(10)


def test_a_prompt_is_typed_and_taken_apart(page: Page):
    run_prompt(page, "that in the sea")
    expect(page).to_have_url(KEY)  # nothing of it in the address
    expect(page.locator(".strip li")).not_to_have_count(0)
    expect(page.locator(".strip .start")).to_contain_text("start")
    expect(page.locator(".strip [aria-current]")).to_have_count(1)
    expect(page.locator(".nexts li")).to_have_count(10)
    expect(page.locator("#totals")).to_contain_text("run again")
    expect(page.locator(".total b")).to_have_count(10)  # each came into its row
    expect(page).to_have_url(KEY)
    page.get_by_role("link", name="Eight random ones").click()
    expect(page.locator(".total").first).to_contain_text(re.compile(r"random [+−]?[0-9.]+ to [+−]?[0-9.]+"))
    page.locator(".strip .chip").nth(2).click()
    expect(page).to_have_url(re.compile(r"at=2"))
    expect(page.locator(".strip .chip").nth(2)).to_have_attribute("aria-current", "true")
    page.locator(".nexts a").nth(3).click()
    expect(page).to_have_url(re.compile(r"at=2.*token="))
    page.get_by_label("What is listed").get_by_role("link", name="neurons").click()
    expect(page.locator(ROWS)).to_have_count(10)
    page.get_by_label("one head").fill("L1H2")
    page.get_by_label("one head").press("Enter")
    expect(page.get_by_role("link", name="L1H2, its directions")).to_have_attribute("aria-current", "true")
    expect(page.locator(ROWS)).to_have_count(8)


def test_one_token_against_another(page: Page):
    run_prompt(page, "so it is")
    other = page.locator(".nexts .chip").nth(4).get_attribute("title")
    page.get_by_label("against").fill(other.replace("id ", "#"))
    page.get_by_label("against").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("against")
    expect(page.locator("#parts")).to_contain_text("above that of")


def test_a_direction_is_tried_on_a_text_from_its_own_page(page: Page):
    page.goto("/tiny/L1/H2/ov/svd/3")
    page.get_by_role("link", name="try it on a text").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("L1H2 OV 3")
    page.get_by_label("Text", exact=True).fill("that in the sea")
    page.get_by_role("button", name="Run").click()
    expect(page).to_have_url(re.compile(r"/direction\?of=L1H2\.ov\.3$"))
    expect(page.locator(".strip.heat .chip")).not_to_have_count(0)
    page.locator(".strip .chip").nth(3).click()
    expect(page.locator("#sources")).to_contain_text("position 3")
    expect(page.locator(".sources tbody tr")).to_have_count(4)
    page.get_by_role("heading", level=1).get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"/tiny/L1/H2/ov/svd/3$"))


def test_a_head_says_where_it_looks_and_why(visit_at, relatives: str, look):
    page = visit_at(relatives)
    page.goto("/llama/prompt?ids=3+10+17+24+31+38&of=L1H2.ov.0")
    page.locator(".sources td a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Why L1H2 looks from")
    look(page)
    rows = page.locator(".why tbody tr")
    expect(rows.first).to_contain_text("L1H2 QK")
    page.get_by_role("link", name="beside all other sources").click()
    expect(page.locator(".why")).to_contain_text("by others")
    look(page)
    page.get_by_role("link", name="by rotary planes").click()
    expect(rows).to_have_count(4)  # of a head of eight coordinates
    look(page)
    page.get_by_label("looks from").select_option("3")
    page.get_by_label("head", exact=True).fill("L0H1")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Why L0H1 looks from")
    expect(page).to_have_url(re.compile(r"by=planes&head=L0H1&to=3"))
    page.locator(".strip .chip").nth(1).click()
    expect(page).to_have_url(re.compile(r"from=1"))


def test_a_row_leads_to_its_direction_and_to_the_text(page: Page):
    run_prompt(page, "so it is")
    page.locator(ROWS).first.get_by_role("link", name="on the text").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("on a prompt")
    page.go_back()
    page.locator(ROWS).first.locator(".who > a").first.click()
    expect(page).to_have_url(re.compile(r"/tiny/L\d/H\d/ov/svd/\d+"))
    page.get_by_role("link", name="on your prompt").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("on a prompt")


def test_what_was_wrong_stays_to_be_mended(browser, banked: str):
    # The browser itself logs the status of such a page to the console, so it is not held against it.
    page = browser.new_context(base_url=banked).new_page()
    page.goto("/tiny/prompt")
    box = page.get_by_label("Text", exact=True)
    box.fill("x" * 40)
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#problem")).to_contain_text("40 tokens: a prompt has 1 to 32")
    expect(box).to_have_value("x" * 40)
    box.fill("x" * 30)
    page.get_by_role("button", name="Run").click()
    expect(page).to_have_url(KEY)
    page.context.close()


def test_a_prompt_is_deleted_by_who_holds_the_link(browser, banked: str):
    page = browser.new_context(base_url=banked).new_page()
    run_prompt(page, "not for long")
    url = page.url
    page.get_by_text("Delete this prompt").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("status").first).to_contain_text("The prompt was deleted")
    assert page.goto(url).status == 404
    expect(page.locator(".detail")).to_contain_text("it was deleted")
    page.context.close()


def test_it_works_without_javascript(visit_at, banked: str):
    page = visit_at(banked, java_script_enabled=False)
    run_prompt(page, "so it was")
    page.get_by_role("link", name="What happens without each of them").click()
    expect(page.locator(".total b")).to_have_count(10)


def test_a_prompt_is_edited_and_run_by_the_keyboard(page: Page):
    run_prompt(page, "so it is")
    url = page.url
    page.get_by_role("button", name="edit").click()
    box = page.get_by_label("Text", exact=True)
    expect(box).to_have_value("so it is")
    box.fill("so it was")
    box.press("Control+Enter")
    expect(page.locator(ROWS)).to_have_count(10)
    assert page.url != url


def test_a_lens_is_read_layer_by_layer(page: Page, look):
    run_prompt(page, "that in the sea")
    page.get_by_role("link", name="layer by layer").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("When does it know?")
    expect(page.locator(".lens tbody tr")).to_have_count(3)  # two layers and the end
    assert page.locator(".crumbs a").all_inner_texts() == ["tiny", "prompt", "lens"]  # though it came in place
    page.locator(".lens thead a").nth(1).click()
    expect(page).to_have_url(re.compile(r"lens\?at=1"))
    expect(page.locator("#column")).to_contain_text("position 1")
    page.get_by_label("The basis of the embedding").get_by_role("link", name="coordinates").click()
    expect(page.locator("#spans ~ .wide table tbody tr")).not_to_have_count(0)
    look(page)


def test_a_direction_is_taken_away_and_the_text_goes_on(page: Page, look):
    run_prompt(page, "that in the sea")
    page.locator(ROWS).first.get_by_role("link", name="what if gone?").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("were gone?")
    expect(page.locator(".changed tbody tr")).not_to_have_count(0)
    page.get_by_role("link", name="×4").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("were written 4.000 times?")
    page.get_by_role("link", name="eight random ones").click()
    expect(page.locator(".changed tfoot")).to_contain_text(" to ")
    page.get_by_label("and how likely are").fill("the")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".changed .further")).to_have_count(2)
    page.get_by_role("link", name="from nothing to eleven times as much").click()
    expect(page.locator("#curve ~ figure svg.curve").first).to_be_visible()
    page.get_by_label("Continue both by").select_option("16")
    page.get_by_role("button", name="Continue").click()
    expect(page).to_have_url(re.compile(r"more=16"))
    expect(page.locator(".continued")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#continuation")).to_contain_text("Perplexity")
    look(page)
    page.locator(".strip .chip").nth(2).click()
    expect(page).to_have_url(re.compile(r"at=2"))
    expect(page.locator("#continuation")).to_have_count(0)


def test_a_text_that_is_stopped_stays_as_far_as_it_has_come(page: Page):
    run_prompt(page, "that in the sea")
    page.locator(ROWS).first.get_by_role("link", name="what if gone?").click()
    # A stream that says one token and then nothing, so that there is something to stop.
    half = '<dl class="continued" aria-busy="true"><div><dt>as it is</dt><dd>once<span class="coming">|</span></dd></div></dl>'
    page.route(
        "**/continuation?*", lambda route: route.fulfill(content_type="text/event-stream", body=f"data: {half}\n\n")
    )
    expect(page.get_by_label("Continue both by").locator("option")).to_have_count(1)  # of a model that reads 32
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#continuation")).to_contain_text("once")
    page.get_by_role("link", name="Stop").click()
    expect(page.locator("#continuation")).to_contain_text("once")
    expect(page.locator("#stop")).to_have_count(0)
    expect(page.locator("#continuation .coming")).to_have_count(0)
    expect(page).to_have_url(re.compile("more=16"))


def test_an_experiment_is_made_of_an_edit(page: Page, look):
    run_prompt(page, "that in the sea")
    page.locator(ROWS).first.get_by_role("link", name="what if gone?").click()
    page.get_by_role("link", name="many prompts").click()
    expect(page.get_by_label("Edits")).to_have_value(re.compile(r"L\dH\d\.ov\.\d[pn]:-1"))
    page.get_by_label("Prompts, a line each").fill(
        "\n".join(["so it is", "in the sea", "and then", "that it", "it is so"])
    )
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".trials tbody tr")).to_have_count(5)
    expect(page.get_by_role("heading", level=1)).to_contain_text("on 5 prompts")
    look(page)
    page.locator(".trials a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("were gone?")
    page.get_by_role("link", name="steer along it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Steered along")
    look(page)


def test_a_prompt_is_drawn_to_another(page: Page, look):
    page.goto("/tiny")
    page.get_by_label("Of the whole model").get_by_role("link", name="SARA").click()
    page.get_by_label("The prompt").fill("that in the sea")
    page.get_by_label("attracted by").fill("so it is")
    page.get_by_label("repelled by").fill("and then that")
    look(page)
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Drawn to another prompt")
    page.get_by_role("link", name="energy kept beside effect kept").click()
    expect(page.locator("#study ~ div table")).to_be_visible()
    look(page)
    page.get_by_role("link", name="SARA, as published").click()
    expect(page.locator("main")).to_contain_text("depends on the SVD routine's signs")
    page.get_by_role("link", name="many prompts").click()
    expect(page.get_by_label("attracted by")).to_have_value(re.compile("so it is"))
    page.get_by_label("Prompts, a line each").fill(
        "\n".join(["so it is", "in the sea", "and then", "that it", "it is so"])
    )
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".means")).to_contain_text("with roles swapped")
    look(page)


def test_a_long_experiment_grows_is_stopped_and_goes_on(page: Page, look):
    words = ("the", "sea", "so", "it", "is")
    prompts = [" ".join(each) for each in product(words, repeat=4)][:200]
    page.goto("/tiny/x?edit=L1H2.ov.3:-1&random=8")
    page.get_by_label("Prompts, a line each").fill("\n".join(prompts))
    page.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("main")).to_contain_text("prompts were not run: it was stopped")
    look(page)
    page.get_by_role("button", name="Run them").click()
    expect(page.locator("#running")).to_contain_text("It goes on whether this page is open or not")
    expect(page.locator("#running")).to_have_count(0)
    expect(page.locator(".trials tbody tr")).to_have_count(200)


def test_an_edit_is_typed_and_a_slip_keeps_it(browser, banked: str):
    # The browser itself logs the status of such a page to the console, so it is not held against it.
    page = browser.new_context(base_url=banked).new_page()
    run_prompt(page, "so it is")
    for typed, said in (
        ("L1H2.qk.0:-1", "directions of OV are written"),
        ("L1H2.ov.0:mean", "singular-lens statistics"),
    ):
        page.get_by_label("What if").fill(typed)
        page.get_by_label("What if").press("Enter")
        expect(page.locator("#problem")).to_contain_text(said)
        expect(page.get_by_label("What if")).to_have_value(typed)
    page.context.close()


def test_what_if_is_asked_from_a_directions_own_page(page: Page):
    page.goto("/tiny/L1/H2/ov/svd/3")
    page.get_by_role("link", name="what if it were gone?").click()
    page.get_by_label("Text", exact=True).fill("that in the sea")
    page.get_by_role("button", name="Run").click()
    expect(page).to_have_url(re.compile(r"/edit\?edit=L1H2\.ov\.3(:|%3A)-1$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("What if L1H2 OV 3 were gone?")
