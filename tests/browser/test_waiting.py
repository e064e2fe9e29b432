"""A page that is being computed: what stands there meanwhile, and how it comes."""

import time

from playwright.sync_api import Page, Route, expect


def test_a_page_that_waits_arrives_without_being_loaded_again(slow: str, visit_at, look):
    page: Page = visit_at(slow)
    answer = page.goto("/demo/L4/H4/ov/svd/2#n")
    assert answer.status == 202
    assert "refresh" not in answer.headers
    page.evaluate("window.isTheSame = true")
    expect(page.get_by_role("heading", level=1)).to_have_text("L4H4 OV 2")
    assert page.evaluate("window.isTheSame"), "the page was loaded again"
    assert page.locator("#n:target").count() == 1
    assert page.title().startswith("L4H4 OV 2 ·")
    assert page.locator(".crumbs").count() == 1
    assert page.locator(".crumbs a").all_inner_texts()[-1] == "2"
    assert page.locator("#progress, .skeleton").count() == 0
    look(page)


def test_a_page_that_waits_says_what_it_is_and_can_be_left(slow: str, visit_at, look):
    page: Page = visit_at(slow)
    page.goto("/demo/L0/H0")  # so that the model's page comes at once

    def wait(route: Route) -> None:
        route.fulfill(status=202, body=words, content_type="text/html") if still else route.continue_()

    def dawdle(route: Route) -> None:
        time.sleep(3)
        route.continue_()

    still = True
    assert page.goto("/demo/L3/H3").status == 202
    words = page.locator("#progress").evaluate("one => one.outerHTML")
    page.route("**/demo/L3/H3", wait)
    expect(page.get_by_role("heading", level=1)).to_have_text("L3H3 · computing…")
    expect(page.locator("#progress")).to_contain_text("being decomposed")
    assert page.locator(".crumbs a").all_inner_texts() == ["demo", "L3", "H3"]
    look(page)
    page.route("**/-/glossary", dawdle)
    page.get_by_role("link", name="Glossary").click()
    page.wait_for_url("**/-/glossary")


def test_a_page_that_waits_takes_the_heading_of_what_it_waits_for_now(slow: str, visit_at):
    page: Page = visit_at(slow)
    page.goto("/demo/L0/H0")  # so that the model's page comes at once

    def otherwise(route: Route) -> None:
        if "hx-request" not in route.request.headers:
            route.continue_()
            return
        body = route.fetch().text().replace("computing…", "importing…")
        route.fulfill(status=202, body=body, content_type="text/html")

    page.route("**/demo/L3/H3", otherwise)
    assert page.goto("/demo/L3/H3").status == 202
    expect(page.get_by_role("heading", level=1)).to_have_text("L3H3 · importing…")
    expect(page).to_have_title("L3H3 · importing… · demo · singular-lens")
    assert page.locator("h1, #progress, main title").count() == 2
