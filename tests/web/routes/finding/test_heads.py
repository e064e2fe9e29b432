"""Heads beside heads: the map of composition, heads alike, two places side by side, as pages and as JSON."""

import csv
import html
import io
import re

import pytest

from app.core.steps import run
from app.explorer import recipes
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from tests.answers import check_answer


@pytest.fixture(scope="module")
def heads(relatives):
    """A visitor of the families, where Llama's heads were held beside each other."""
    r = relatives.app.state.resources
    model = r.library.model("llama")
    for recipe in (recipes.composition(model, "folded"), recipes.alike(model, "folded")):
        r.store.save(recipe, *run(run_maker(recipe, MakerInputs(Tables("cpu"), model, r.store))))
    return relatives


def links(tags, page):
    return [attributes.get("href") for tag, attributes in tags(page).found if tag == "a"]


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("llama/composition?kind=k&n=3", "composition"),
        ("llama/L1/H0/alike", "alike"),
        ("-/compare?a=llama/L0/H0&b=L1H1", "contrast"),
        ("-/compare", "contrast"),
    ],
)
def test_answers_have_the_form_that_is_described(heads, path, route):
    check_answer(route, heads.get(f"/api/v1/{path}").json())


def test_links_keep_how_many_pairs_were_asked_for(heads):
    links = heads.get("/api/v1/llama/composition?kind=k&n=3").json()["links"]
    assert len(heads.get(links["json"]).json()["pairs"]) == 3
    assert all("n=3" in links[name] for name in ("page", "json", "pinned"))
    assert "n=" not in heads.get("/api/v1/llama/composition?kind=k").json()["links"]["json"]


def test_only_the_page_is_a_file(heads, client):
    assert heads.get("/llama/composition?format=csv").headers["Content-Type"].startswith("text/csv")
    assert heads.get("/api/v1/llama/composition?format=csv").status_code == 422
    (path,) = (path for path in client.get("/openapi.json").json()["paths"] if path.endswith("/composition"))
    described = client.get("/openapi.json").json()["paths"][path]["get"]["parameters"]
    assert "format" not in {each["name"] for each in described}


def test_what_is_not_built_is_a_sentence_with_the_command(heads):
    for path in ("/llama/composition?weights=raw", "/llama/L0/H0/alike?weights=raw"):
        page = heads.get(path)
        assert page.status_code == 200
        assert "<code>singular-lens precompute llama --matrices bank --weights raw</code> builds it" in html.unescape(
            page.text
        )
    answer = heads.get("/api/v1/llama/composition?weights=raw")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_built")


@pytest.mark.parametrize("kind", ["q", "k", "v"])
def test_the_map_links_its_pairs_and_its_layers(heads, tags, kind):
    page = heads.get(f"/llama/composition?kind={kind}").text
    pairs = heads.get(f"/api/v1/llama/composition?kind={kind}").json()["pairs"]
    there = links(tags, page)
    for pair in pairs:
        assert f"/{pair['writer']}" in there
        part = {"q": "&part=query", "k": "&part=key", "v": ""}[kind]
        assert f"/-/pair?a={pair['writer']}&b={pair['reader']}{part}" in there
    assert ("with H" in page) == (kind != "q")
    assert f'href="/llama/composition?{"" if kind == "q" else f"kind={kind}&amp;"}format=csv"' in page
    block = heads.get(f"/llama/composition?kind={kind}&writer=0&reader=L1").text
    assert block.count(' title="L0H') == 4 * (4 if kind == "q" else 2)
    assert 'href="/llama/composition"' in block or f'href="/llama/composition?kind={kind}"' in block


@pytest.mark.parametrize("asked", ["writer=0", "reader=1", "n=5", "kind=v&writer=0&n=1"])
def test_a_part_of_the_map_is_a_page(heads, asked):
    assert heads.get(f"/llama/composition?{asked}").status_code == 200


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("kind=w", "kind"),
        ("writer=1&reader=0", "does not read what L1 writes"),
        ("writer=5", "writer is a layer: llama has L0 to L1"),
        ("writer=first", "it is a layer, such as 5 or L5"),
        ("n=0", "n is at least 1"),
        ("n=5000", "n is at most"),
        ("frequent=100", "frequent means nothing here"),
    ],
)
def test_what_the_map_cannot_show_is_said(heads, asked, said):
    page = heads.get(f"/llama/composition?{asked}")
    assert page.status_code == 422
    assert said in html.unescape(page.text)


def test_the_file_has_every_pair_in_order(heads):
    answer = heads.get("/llama/composition?kind=k&format=csv")
    pin = heads.get("/api/v1/llama").json()["model"]["fingerprint"][:12]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="llama-composition-k-folded-{pin}.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == heads.get("/api/v1/llama/composition?kind=k").json()["n_pairs"] == 8
    assert {row["writer"].split("/")[1] for row in rows} == {"L0"}
    assert {len(row["siblings"].split()) for row in rows} == {1}


def test_the_model_links_its_map(heads, tags):
    while (page := heads.get("/llama")).status_code == 202:
        pass
    assert "/llama/composition" in links(tags, page.text)


def test_a_head_fetches_the_heads_like_it_and_links_them(heads, tags):
    while (page := heads.get("/llama/L1/H2")).status_code == 202:
        pass
    assert 'hx-get="/llama/L1/H2/alike"' in page.text
    assert "/llama/L1/H2/alike" in links(tags, page.text)
    whole = heads.get("/llama/L1/H2/alike").text
    part = heads.get("/llama/L1/H2/alike", headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
    assert "<html" in whole
    assert part.lstrip().startswith("<section")
    assert "identical by construction" in part
    assert "/-/compare?a=llama/L1/H2/ov&amp;b=llama/L0/H" in part


def test_two_places_side_by_side_are_asked_for_by_a_form(heads, tags):
    assert '<form class="finder" action="/-/compare">' in heads.get("/-/compare").text
    page = heads.get("/llama/L1/H2").text
    assert '<input type="hidden" name="a" value="llama/L1/H2">' in page
    while (answer := heads.get("/-/compare?a=llama/L1/H2&b=L0H1+ov~raw")).status_code == 202:
        pass
    assert answer.status_code == 200
    found = links(tags, answer.text)
    assert {"/llama/L1/H2/ov", "/llama/L0/H1/ov?weights=raw"} <= set(found)
    assert "/-/compare?a=llama/L1/H2/qk&b=llama/L0/H1/qk~raw" in found
    assert len(re.findall("<article>", answer.text)) == 8


@pytest.mark.parametrize(
    "text", ["x" * 5_000, "<script>alert(1)</script>", "\x00", "llama/L0/H0/ov/svd/99999", "\ud800"]
)
def test_whatever_is_typed_has_a_clear_answer(heads, text):
    answer = heads.get("/-/compare", params={"a": "llama/L0/H0", "b": text.encode("utf-8", "surrogatepass")})
    assert answer.status_code in {404, 414, 422}
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("below", ["", "/api/v1"])
def test_weights_of_two_places_are_said_of_each(heads, below):
    answer = heads.get(f"{below}/-/compare?a=llama/L1/H2&b=L1H1&weights=raw")
    assert answer.status_code == 422
    assert "ov~raw" in answer.text


def test_places_of_one_name_are_told_apart_and_can_be_sent(heads, tags):
    def compared(b):
        while (answer := heads.get(f"/-/compare?a=llama/L1/H2&b={b}")).status_code == 202:
            pass
        return answer.text

    page = compared("L1H2~raw")
    title = page.split("<title>")[1].split("</title>")[0]
    assert "L1H2 OV (folded) beside L1H2 OV (raw)" in title
    for part in (page.split("<h1>")[1].split("</h1>")[0], page.split("<article>")[1], page.split('class="crumbs"')[1]):
        assert part.index("(folded)") < part.index("(raw)")
    assert "(folded)" not in compared("L0H1")
    (own,) = [own for _, own in tags(page).found if own.get("id") == "link"]
    assert re.search(r"/-/compare\?a=llama@[0-9a-f]+/L1/H2/ov~folded&b=llama@[0-9a-f]+/L1/H2/ov~raw$", own["value"])
    assert heads.get(f"/{own['value'].partition('://')[2].partition('/')[2]}").status_code == 200
    assert 'data-copy="link"' in page
    assert 'id="link"' not in heads.get("/-/compare").text
