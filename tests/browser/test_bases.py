"""Matrices of every kind in several bases: cells, tabs, parameters, fits that must be asked for, bases side by side."""

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

Visit = Callable[..., Page]


@pytest.fixture
def visitor(fitted: str, visit_at: Visit) -> Page:
    """A visitor of the tiny model at a desk."""
    return visit_at(fitted, viewport={"width": 1280, "height": 800})


def heading(page: Page):
    return page.get_by_role("heading", level=1)


def tab(page: Page, basis: str):
    return page.get_by_role("navigation", name="Basis").get_by_role("link", name=basis, exact=True)


def test_from_the_map_to_a_neuron_and_back(page: Page):
    page.goto("/demo")
    page.locator("table.heat td.mlp a").nth(4).click()
    expect(page).to_have_url(re.compile(r"/demo/L2/mlp-in$"))
    expect(heading(page)).to_have_text("L2 MLP in")
    page.locator("table.directions tbody th a").nth(1).click()
    expect(page).to_have_url(re.compile(r"/demo/L2/mlp-in/svd/1$"))
    chip = page.locator("#p a.chip").first
    neuron = chip.inner_text()
    chip.click()
    expect(page).to_have_url(re.compile(r"/demo/L2/mlp-in/neuron/\d+$"))
    expect(heading(page)).to_contain_text(f"neuron {neuron}")
    expect(page.locator("#p a.chip")).to_have_text([neuron])
    page.go_back()
    page.go_back()
    expect(heading(page)).to_have_text("L2 MLP in")
    expect(page.locator("table.directions")).to_be_visible()


def test_chips_that_are_links_do_not_cover_each_other(page: Page):
    page.goto("/demo/L2/mlp-in")
    boxes = [
        chip.bounding_box() for chip in page.locator("table.directions tbody tr").first.locator("p.p a.chip").all()
    ]
    assert len(boxes) == 8
    assert all(left["x"] + left["width"] <= right["x"] for left, right in pairwise(boxes))
    mark = page.locator("table.directions tbody p.p:has(a.chip)").first
    assert boxes[0]["x"] > mark.bounding_box()["x"] + 5, "the sign stands before the first"


def test_the_map_is_seen_whole_beside_the_gallery(page: Page):
    page.goto("/demo")
    wide = page.locator(".map .wide")
    assert wide.evaluate("box => box.scrollWidth <= box.clientWidth")
    top = page.get_by_role("navigation", name="Of the whole model").bounding_box()
    expect(page.locator("#gallery .gallery").first).to_be_visible()  # of every head, read now
    below = [page.locator(part).bounding_box() for part in ("#map", "#gallery")]
    assert all(top["y"] + top["height"] <= part["y"] for part in below)
    assert abs(below[0]["y"] - below[1]["y"]) < 5


def test_tabs_switch_the_basis_and_keep_the_weights(visitor: Page):
    visitor.goto("/tiny/L1/mlp-in?weights=raw")
    expect(visitor.locator("table.directions tbody td").first).to_be_visible()  # the page may have been waited for
    strengths = visitor.locator("table.directions tbody td").all_inner_texts()
    tab(visitor, "pca").click()
    expect(visitor).to_have_url(re.compile(r"/tiny/L1/mlp-in/pca\?weights=raw$"))
    expect(tab(visitor, "pca")).to_have_attribute("aria-current", "true")
    expect(heading(visitor)).to_have_text("L1 MLP in pca")
    assert visitor.locator("table.directions tbody td").all_inner_texts() != strengths
    expect(visitor.locator("table.directions tfoot th")).to_contain_text("mean")
    visitor.locator("table.directions tbody th a").nth(2).click()
    tab(visitor, "neuron").click()
    expect(visitor).to_have_url(re.compile(r"/tiny/L1/mlp-in/neuron\?weights=raw$"))
    tab(visitor, "svd").click()
    expect(visitor).to_have_url(re.compile(r"/tiny/L1/mlp-in(/svd)?\?weights=raw$"))
    assert visitor.locator("table.directions tbody td").all_inner_texts() == strengths


def test_tabs_stand_where_they_stood(visitor: Page):
    boxes = []
    for basis in ("svd", "pca", "neuron", "frequency"):
        visitor.goto(f"/tiny/embed/{basis}")
        boxes.append(tab(visitor, "nmf").bounding_box())
    # Bold letters of the chosen tab are a little wider.
    assert max(box["x"] for box in boxes) - min(box["x"] for box in boxes) < 12
    assert len({round(box["y"]) for box in boxes}) == 1


def test_parameters_stand_in_the_address(visitor: Page):
    visitor.goto("/tiny/embed/frequency?weights=raw")
    visitor.get_by_label("groups").fill("5")
    visitor.get_by_role("button", name="Show").click()
    expect(visitor).to_have_url(re.compile(r"/frequency\?(?=.*groups=5)(?=.*weights=raw)"))
    expect(visitor.locator("table.directions tbody tr")).to_have_count(5)
    assert "groups=5" in visitor.locator("#link").input_value()
    visitor.get_by_label("groups").fill("100000")
    visitor.get_by_role("button", name="Show").click()
    expect(visitor.locator("input[name=groups]:invalid")).to_be_focused()
    visitor.go_back()
    expect(visitor.get_by_label("groups")).not_to_have_value("5")


def test_a_fit_that_is_not_there_is_asked_for_and_comes(visitor: Page):
    visitor.goto("/tiny/embed/nmf?components=3")
    expect(visitor.get_by_role("heading", name="Not computed on this server")).to_be_visible()
    expect(visitor.get_by_text("--basis nmf --components 3")).to_be_visible()
    expect(visitor.locator(".absent").get_by_role("link", name="components 4")).to_be_visible()
    visitor.get_by_role("button", name="Fit it now").click()
    expect(visitor).to_have_url(re.compile(r"/-/jobs/\w+$"))
    expect(visitor.get_by_role("status").first).to_have_text("done.")
    visitor.get_by_role("link", name="Open embedding nmf").click()
    expect(visitor).to_have_url(re.compile(r"/tiny/embed/nmf\?(?=.*components=3)"))
    expect(visitor.locator("table.directions tbody tr")).to_have_count(3)
    expect(visitor.locator("table.directions .n")).to_have_count(0)
    visitor.locator("table.directions tbody th a").nth(1).click()
    expect(visitor).to_have_url(re.compile(r"/nmf/1\?components=3$"))
    expect(visitor.locator("#p")).to_be_visible()
    expect(visitor.locator("#n")).to_have_count(0)


def test_what_there_is_leads_to_it(visitor: Page):
    visitor.goto("/tiny/embed/nmf?components=7")
    visitor.locator(".absent").get_by_role("link", name="components 4").click()
    expect(visitor).to_have_url(re.compile(r"/nmf\?components=4$"))
    expect(visitor.locator("table.directions tbody tr")).to_have_count(4)


def test_a_cancelled_fit_leaves_the_page_as_it_was(visitor: Page):
    visitor.goto("/tiny/embed/ica?components=6")
    visitor.get_by_role("button", name="Fit it now").click()
    job = visitor.url
    visitor.get_by_role("button", name="Cancel").click()
    expect(visitor.get_by_role("status").first).to_contain_text("cancelled")
    expect(visitor.get_by_role("button", name="Start again")).to_be_visible()
    expect(visitor.locator("#result")).to_have_count(0)
    assert visitor.url == job
    visitor.goto("/tiny/embed/ica?components=6")
    expect(visitor.get_by_role("button", name="Fit it now")).to_be_visible()
    expect(visitor.locator("table.directions")).to_have_count(0)


def test_bases_side_by_side(visitor: Page):
    visitor.goto("/tiny/embed?weights=raw")
    tab(visitor, "compare").click()
    expect(visitor).to_have_url(re.compile(r"/tiny/embed/compare\?weights=raw$"))
    errors = visitor.locator(".sheet tbody tr").all_inner_texts()
    visitor.get_by_role("spinbutton", name="vectors per row").fill("3")
    visitor.get_by_role("combobox", name="first vectors").select_option("4")
    visitor.get_by_role("textbox", name="direction").fill("pca/2")
    visitor.get_by_role("button", name="Compare").click()
    expect(visitor).to_have_url(re.compile(r"\?(?=.*nonzeros=3)(?=.*first=4)(?=.*direction=pca%2F2)(?=.*weights=raw)"))
    expect(visitor.get_by_role("heading", name="Nearest to pca/2")).to_be_visible()
    expect(visitor.get_by_role("heading", name="With 3 vectors per row")).to_be_visible()
    assert visitor.locator(".sheet tbody tr").all_inner_texts() != errors
    partner = visitor.locator(".partners tbody th a").nth(1)
    name = partner.inner_text()
    assert name.startswith("svd/")
    partner.click()
    expect(visitor).to_have_url(re.compile(rf"/tiny/embed/{name}\?weights=raw$"))
    visitor.go_back()
    expect(visitor.get_by_role("textbox", name="direction")).to_have_value("pca/2")


def test_tied_matrices_lead_to_each_other(visitor: Page):
    visitor.goto("/tiny/embed")
    visitor.locator(".note").get_by_role("link", name="unembedding").click()
    expect(visitor).to_have_url(re.compile(r"/tiny/unembed$"))
    visitor.locator(".note").get_by_role("link", name="embedding", exact=True).click()
    expect(visitor).to_have_url(re.compile(r"/tiny/embed$"))


def test_without_javascript(visit_at: Visit, fitted: str):
    page = visit_at(fitted, java_script_enabled=False)
    page.goto("/tiny?weights=raw")
    page.locator("table.heat td.mlp a").first.click()
    expect(page).to_have_url(re.compile(r"/tiny/L0/mlp-in\?weights=raw$"))
    page.locator("table.directions tbody a.chip").first.click()
    expect(heading(page)).to_contain_text("L0 MLP in neuron")
    page.goto("/tiny/embed/frequency")
    page.get_by_label("groups").fill("6")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("table.directions tbody tr")).to_have_count(6)
    tab(page, "compare").click()
    page.get_by_role("textbox", name="direction").fill("pca/1")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Nearest to pca/1")).to_be_visible()
    page.locator(".partners tbody th a").last.click()
    expect(heading(page)).to_contain_text("embedding")
    page.goto("/tiny/embed/dictionary?atoms=41&sparsity=3")
    page.get_by_role("button", name="Fit it now").click()
    expect(page).to_have_url(re.compile(r"/-/jobs/\w+$"))
    expect(page.get_by_role("link", name="Open embedding dictionary")).to_be_visible()


def test_from_a_head_to_its_first_axis_and_to_the_direction_that_it_is_most_like(visitor: Page):
    visitor.goto("/tiny/L1/H2/ov")
    tab(visitor, "used").click()
    expect(visitor).to_have_url(re.compile(r"/tiny/L1/H2/ov/used$"))
    answer = visitor.locator(".lede .finding")
    expect(answer).to_contain_text(re.compile(r"^The first axis is .*: 0?\.\d\d of direction \d"))
    visitor.set_viewport_size({"width": 390, "height": 844})
    expect(answer).to_be_visible()  # what a head page's lede otherwise says, a phone leaves out
    visitor.locator("table.directions tbody th a").first.click()
    expect(heading(visitor)).to_have_text("L1H2 OV used 0")
    nearest = visitor.locator(".lede a", has_text="direction").first
    name = nearest.inner_text().removeprefix("direction ")
    nearest.click()
    expect(heading(visitor)).to_have_text(f"L1H2 OV {name}")
