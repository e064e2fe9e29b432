"""What a visitor takes along: stars, notes and lists, figures and tables; all of it made by the visitor's own browser."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import arrive

Visit = Callable[..., Page]
PLACES = ("/demo/L3/H5/ov/svd/1", "/demo/L2/H3", "/demo/L3/H5/ov?weights=raw")


def star(page: Page, path: str) -> None:
    arrive(page, path)
    page.get_by_role("button", name="☆ star").click()
    expect(page.get_by_role("button", name="★ starred")).to_have_attribute("aria-pressed", "true")


def test_stars_and_notes_stay_are_taken_along_and_become_a_list(page: Page, visit: Visit, tmp_path: Path, look):
    for path in PLACES:
        star(page, path)
    page.goto(PLACES[0])
    page.get_by_text("Your note").click()
    page.get_by_label("Your note on L3H5 OV 1").fill("capital letters <b>?</b>")
    page.reload()
    expect(page.get_by_role("button", name="★ starred")).to_be_visible()
    expect(page.get_by_label("Your note on L3H5 OV 1")).to_have_value("capital letters <b>?</b>")
    page.get_by_role("link", name="Stars", exact=True).click()
    expect(page.locator(".noted li")).to_have_count(3)
    expect(page.locator(".noted")).to_contain_text("capital letters <b>?</b>")
    look(page)
    with page.expect_download() as caught:
        page.get_by_role("button", name="export as JSONL").click()
    file = tmp_path / "notes.jsonl"
    caught.value.save_as(file)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert {line["address"] for line in lines} == {"demo/L3/H5/ov/svd/1", "demo/L2/H3", "demo/L3/H5/ov~raw"}
    page.get_by_role("link", name="make a list of the stars").click()
    expect(page.locator(".listed > li")).to_have_count(3)
    page.get_by_label("Title").fill("Capitals")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Capitals")
    look(page)
    first = page.locator(".listed h2 a").first.inner_text()
    page.get_by_role("link", name=f"Move {first} down").click()
    expect(page.locator(".listed h2 a").nth(1)).to_have_text(first)
    link = page.locator("#link").input_value()
    other = visit()  # another browser: nothing is starred there, and the link shows the list
    other.goto(link)
    expect(other.locator(".listed > li")).to_have_count(3)
    other.goto("/-/notes")
    expect(other.locator("#noted")).to_contain_text("Nothing is starred or noted yet.")
    file.write_text(
        file.read_text(encoding="utf-8") + 'nonsense\n{"address": "javascript:alert(1)", "starred": true}\n',
        encoding="utf-8",
    )
    other.get_by_label("import").set_input_files(file)
    expect(other.locator(".noted li")).to_have_count(3)
    expect(other.locator("#said")).to_contain_text("3 read, 2 lines are none of these")
    other.locator(".noted li button").first.click()
    expect(other.locator(".noted li")).to_have_count(2)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_a_figure_is_saved_as_it_looks(page: Page, theme: str, tmp_path: Path):
    arrive(page, "/demo/L3/H5/ov/svd/1")
    expect(page.locator(".histogram").first).to_be_visible()
    page.get_by_role("button", name="Save figures and tables").click()
    page.get_by_label("Figures in colours for").select_option(theme)
    with page.expect_download() as caught:
        page.locator("#save").get_by_role("button", name=re.compile("as SVG")).first.click()
    assert re.fullmatch(rf"demo-l3-h5-ov-svd-1-.+-{theme}\.svg", caught.value.suggested_filename)
    file = tmp_path / "figure.svg"
    caught.value.save_as(file)
    svg = file.read_text(encoding="utf-8")
    assert svg.startswith("<svg xmlns=")
    assert not re.search("class=|href=|var\\(|light-dark", svg)
    paper = {"light": "rgb(251, 250, 247)", "dark": "rgb(22, 22, 23)", "print": "#ffffff"}[theme]
    assert f'fill="{paper}"' in svg
    with page.expect_download() as caught:
        page.locator("#save").get_by_role("button", name=re.compile("Scores of all tokens.+ as SVG")).first.click()
    caught.value.save_as(file)
    scale = page.locator(".histogram").first.locator("text").all_text_contents()
    said = texts_of(file)
    assert said[0].startswith("Scores of all tokens")  # what it is, and of which page
    assert set(scale) <= set(said)
    assert said[-1] == page.title() == "L3H5 OV 1 · singular-lens demo · singular-lens"
    with page.expect_download() as caught:
        page.locator("#save").get_by_role("button", name=re.compile("as PNG")).first.click()
    picture = tmp_path / "figure.png"
    caught.value.save_as(picture)
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 1_000


def texts_of(file: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", file.read_text(encoding="utf-8"))


def save(page: Page, name: str, file: Path) -> Path:
    page.get_by_role("button", name="Save figures and tables").click()
    with page.expect_download() as caught:
        page.locator("#save").get_by_role("button", name=re.compile(name)).first.click()
    caught.value.save_as(file)
    return file


def test_a_figure_keeps_its_legend(page: Page, tmp_path: Path):
    arrive(page, "/demo/L3/H5/ov/svd/1")
    caption = page.locator("figure.explained figcaption").first
    file = save(page, "Coherence of .+ as SVG", tmp_path / "control.svg")
    said = set(re.findall(r"\w+", " ".join(texts_of(file))))
    assert set(re.findall(r"\w+", caption.inner_text())) <= said
    assert "heights are logarithms of counts" in " ".join(texts_of(file))  # as who cannot see it is told


def test_a_spectrum_says_its_first_and_its_last_value(page: Page, tmp_path: Path):
    arrive(page, "/demo/L3/H5/ov")
    values = page.request.get("/api/v1/demo/L3/H5/ov").json()["singular_values"]
    file = save(page, "Singular values of L3H5 OV as SVG", tmp_path / "spectrum.svg")
    bars = [text.split(" · σ ") for text in texts_of(file) if " · σ " in text]
    assert [index for index, _ in bars] == ["0", str(len(values) - 1)]
    assert [float(value) for _, value in bars] == pytest.approx([values[0], values[-1]], rel=1e-3)


def test_a_map_is_saved_as_it_looks_too(page: Page, tmp_path: Path):
    arrive(page, "/demo")
    cells = page.locator("table.heat a")
    shown = [text for text in cells.all_text_contents() if text.strip()]
    file = save(page, "of every head as SVG", tmp_path / "map.svg")
    svg = file.read_text(encoding="utf-8")
    assert set(shown) <= set(texts_of(file))
    low, high = page.locator("#map .legend span").all_inner_texts()
    assert texts_of(file)[-3:] == [low, high, page.title()]
    drawn = re.findall('<rect[^>]*fill="([^"]+)"', svg)
    assert len(drawn) > 48  # heads of the demo
    assert len(set(drawn)) > 8
    assert all(re.fullmatch(r"rgb\([\d, ]+\)", colour) for colour in drawn)


def test_a_table_is_copied_in_three_forms(visit: Visit, look):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    arrive(page, "/demo/L3/H5/ov")
    page.get_by_role("button", name="Save figures and tables").click()
    look(page)
    rows = page.locator("main table").first.locator("tr").count()
    for form, start, n in (
        ("Markdown", "| ", rows + 1),
        ("LaTeX", "% \\usepackage{booktabs}", rows + 6),
        ("CSV", '"', rows),
    ):
        page.locator("#save").get_by_role("button", name=re.compile(f"as {form}")).first.click()
        expect(page.locator("#said")).to_contain_text(f"Copied as {form}")
        text = page.evaluate("navigator.clipboard.readText()")
        assert text.startswith(start)
        assert len(text.splitlines()) == n, form
