"""A blind round, played by keyboard and by mouse."""

import re
import time
from collections.abc import Callable

from playwright.sync_api import Page, expect


def at(page: Page, n: int):
    expect(page.get_by_role("status").first).to_contain_text(f"Question {n} of 10")


def test_ten_rounds_by_keyboard_and_by_mouse(page: Page, axe: Callable[[Page], list[str]]):
    page.goto("/demo")
    page.get_by_role("link", name="Blind round").click()
    at(page, 1)
    assert axe(page) == []
    for n in range(1, 5):
        page.keyboard.press("1" if n % 2 else "2")
        at(page, n + 1)
    expect(page).to_have_url(re.compile(r"answers=lrlr$"))
    for n in range(5, 8):
        page.get_by_role("link", name="The right one").click()
        at(page, n + 1)
    for n in range(8, 10):
        page.locator("#left").focus()
        page.keyboard.press("Enter")
        at(page, n + 1)
    page.keyboard.press("2")
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile(r"\d+ of 10 correct"))
    expect(page).to_have_url(re.compile(r"answers=lrlrrrrllr$"))
    rounds = page.locator(".answered > li")
    expect(rounds).to_have_count(10)
    n_missed = page.locator(".answered strong", has_text="missed").count()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"{10 - n_missed} of 10 correct")
    assert axe(page) == []


def test_back_takes_an_answer_back(page: Page):
    page.goto("/demo/blind?seed=3")
    first = page.locator(".question bdi").all_inner_texts()
    page.keyboard.press("2")
    at(page, 2)
    assert page.locator(".question bdi").all_inner_texts() != first
    page.go_back()
    at(page, 1)
    expect(page.locator(".question bdi")).to_have_text(first)
    page.keyboard.press("1")
    expect(page).to_have_url(re.compile(r"seed=3&answers=l$"))


def test_the_score_leads_to_the_directions_and_to_ten_others(page: Page):
    page.goto("/demo/blind?seed=3&answers=lllllrrrrr")
    name = page.locator(".answered p a").first.inner_text()
    page.locator(".answered p a").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name[:-1])
    assert page.locator(".ray:target").count() == 1
    page.go_back()
    page.get_by_role("link", name="Ten others").click()
    expect(page).to_have_url(re.compile(r"/blind\?seed=4$"))
    at(page, 1)


def test_without_a_script_it_is_links(visit: Callable[..., Page]):
    page = visit(java_script_enabled=False)
    page.goto("/demo/blind?of=readable&weights=raw")
    expect(page.locator("kbd").first).not_to_be_visible()
    for n in range(1, 11):
        at(page, n)
        page.locator("#left" if n % 3 else "#right").click()
    expect(page.locator(".answered > li")).to_have_count(10)
    expect(page).to_have_url(re.compile(r"(?=.*of=readable)(?=.*weights=raw)"))


def test_keys_answer_nothing_where_nothing_is_asked(page: Page):
    page.goto("/demo/L1/H0/ov/svd/4")
    page.keyboard.press("1")
    page.keyboard.press("2")
    expect(page).to_have_url(re.compile(r"/svd/4$"))


def test_a_direction_is_held_against_rotations_where_it_stands(page: Page, axe: Callable[[Page], list[str]]):
    page.goto("/demo/L1/H0/ov/svd/4")
    page.get_by_role("link", name="Hold it against").click()
    expect(page.locator("#rotation li")).to_have_count(4)
    expect(page.locator("#rotation svg[role=img]")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"/svd/4\?rotated=1$"))
    assert axe(page) == []
    page.goto("/demo/L1/H0/ov/svd/4?rotated=1")
    expect(page.locator("#rotation li")).to_have_count(4)
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"/svd/5\?rotated=1$"))


def test_rotations_that_take_long_are_waited_for_in_their_place(slow: str, visit_at):
    page = visit_at(slow)
    page.goto("/demo/L1/H0/ov/svd/4")
    expect(page.get_by_text("which is being computed")).to_be_hidden()
    page.route("**/svd/4?rotated=1", lambda route: (time.sleep(2), route.continue_()))
    page.get_by_role("link", name="Hold it against").click(no_wait_after=True)
    expect(page.get_by_text("which is being computed")).to_be_visible()
    expect(page.locator("#rotation li")).to_have_count(4)
    expect(page.locator("#p bdi").first).to_be_visible()


def test_a_table_says_how_many_are_better(page: Page):
    page.goto("/demo/L1/H0/ov?sort=gap")
    page.get_by_role("link", name="Better than a random rotation").click()
    expect(page).to_have_url(re.compile(r"sort=gap&rotated=1$"))
    expect(page.get_by_role("status").first).to_contain_text("Better than 95%")
    expect(page.locator("td.z .versus")).to_have_count(4 * page.locator("table.directions tbody tr").count())
    expect(page.locator("table.directions thead")).to_contain_text("z read | vs rotation")
    better = page.locator("td.z .better").all_inner_texts()
    assert better
    assert all(text.endswith("•") for text in better)
    page.get_by_role("link", name="Without").click()
    expect(page.locator("td.z .versus")).to_have_count(0)
