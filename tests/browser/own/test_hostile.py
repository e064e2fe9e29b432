"""A vocabulary of attacks on every page: it is text, the page stays as it is, nothing runs."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

GALLERY = ("", "/notable")
PAGES = ("/L0", "/L0/H0", "/L1/H3/ov", "/L1/H3/qk?weights=raw", "/L0/H1/ov/svd/2", "/L0/H1/qk/svd/0")
PAGES += ("/L0/H1/full", "/L0/H1/full?token=%232", "/L0/H1/full?token=%2314", "/L0/H1/full?token=%2327")


@pytest.fixture(scope="module")
def hostile(hostile_data, serve_at) -> Iterator[str]:
    with serve_at("hostile", data=hostile_data, wait_seconds="30") as address:
        yield address


@pytest.fixture(scope="module")
def hostile_gallery(hostile_gallery_data, serve_at) -> Iterator[str]:
    with serve_at("hostile", data=hostile_gallery_data, wait_seconds="30") as address:
        yield address


@pytest.mark.parametrize("path", GALLERY)
def test_a_gallery_of_hostile_tokens(path: str, hostile_gallery: str, visit_at):
    check_that_tokens_are_text(visit_at(hostile_gallery), path)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_hostile_tokens(path: str, hostile: str, visit_at):
    check_that_tokens_are_text(visit_at(hostile), path)


def check_that_tokens_are_text(page: Page, path: str) -> None:
    page.add_init_script("window.attacked = 0; window.alert = () => { window.attacked += 1 }")
    page.goto(f"/hostile{path}")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.attacked") == 0
    assert page.evaluate("document.querySelectorAll('img, iframe, object, embed, base').length") == 0
    # Scripts are the two files of the head, wherever a token spells </script>.
    assert page.evaluate("[...document.scripts].every(s => s.src && !s.textContent)")
    assert page.evaluate("document.scripts.length") == 3
    # A chip is a text with three attributes, perhaps in a link, whatever quotes and tags its token spells.
    chips = page.locator("bdi")
    chips.first.wait_for(state="attached")  # the page may have been waited for
    assert chips.evaluate_all("all => all.reduce((sum, chip) => sum + chip.querySelectorAll(':not(a)').length, 0)") == 0
    names = chips.evaluate_all("all => [...new Set(all.flatMap(chip => chip.getAttributeNames()))]")
    assert set(names) <= {"tabindex", "title", "class"}
    assert (
        page.evaluate(
            "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames()).filter(n => n.startsWith('on'))"
        )
        == []
    )
    assert page.evaluate("document.body.matches('html > body') && !!document.querySelector('body > footer.foot')")
    assert "\u202e" not in page.locator("main").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_attacks_are_shown_as_text(hostile: str, visit_at):
    page: Page = visit_at(hostile)
    seen = ""
    for head in range(4):
        for circuit in ("ov", "qk"):
            for index in range(4):
                page.goto(f"/hostile/L0/H{head}/{circuit}/svd/{index}")
                seen += page.locator("main").inner_text()
    for shown in ("</script>", "<img", "\\u202e", "\\u0000", "\\u2028"):
        assert shown in seen, shown


def test_a_hostile_question_is_text_too(hostile: str, visit_at):
    page: Page = visit_at(hostile)
    page.add_init_script("window.attacked = 0; window.alert = () => { window.attacked += 1 }")
    page.goto("/hostile/L0/H0/ov?find=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert page.evaluate("window.attacked") == 0
    assert page.get_by_label("Token in this matrix").input_value() == '"><script>alert(1)</script>'
