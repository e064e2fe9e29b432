"""What directions do on text, as people and as programs read it."""

import csv
import re
import shutil

import numpy as np
import pytest

from app.core.steps import run
from app.explorer import recipes
from app.explorer.layout import count_first
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from tests.answers import check_answer


@pytest.fixture(scope="module")
def used(serve, tiny_data, tmp_path_factory):
    """A visitor of a model whose statistics were computed, and their arrays."""
    client = serve(shutil.copytree(tiny_data, tmp_path_factory.mktemp("used") / "data"), "tiny")
    r = client.app.state.resources
    model = r.library.model("tiny")
    whole = recipes.use(model, "folded")
    for recipe in (*recipes.use_parts(model, "folded", 0), whole, recipes.use_outputs(model, "folded")):
        r.store.write(recipe, *run(run_maker(recipe, MakerInputs(Tables("cpu"), model, r.store))))
    return client, r.store.read(whole).arrays


def words_of(html):
    (said,) = re.findall(r'<p class="(?:note|legend-line) used">(.*?)</p>', html, re.DOTALL)
    return re.sub(r"<[^>]+>", "", said)


def test_a_direction_and_a_head_say_what_is_used(used):
    client, arrays = used
    said = words_of(client.get("/tiny/L1/H2/ov/svd/3").text)
    assert f"{arrays['used'][1, 2, 3]:.1%} of what varies in what L1H2 writes" in said
    assert f"above 0 at {arrays['positive'][1, 2, 3]:.1%} of the tokens" in said
    value, low, high = arrays["first"][1, 2]
    for place in ("L1/H2", "L1/H2/ov"):
        said = words_of(client.get(f"/tiny/{place}").text)
        assert f"first 4 directions make {value:.1%} ({low:.1%} to {high:.1%})" in said
        assert "by weights alone" in said


def test_programs_get_the_numbers_and_null_where_there_are_none(used, client):
    own, arrays = used
    direction = check_answer("direction", own.get("/api/v1/tiny/L1/H2/ov/svd/3").json())
    assert direction["use"]["used_share"] == pytest.approx(float(arrays["used"][1, 2, 3]))
    assert set(direction["use"]["skew"]) == {"value", "low", "high"}
    head = check_answer("head", own.get("/api/v1/tiny/L1/H2").json())
    assert set(head["ov"]["use"]) == {"first", "used", "even", "fitted", "random", "n_tokens", "text"}
    assert head["qk"]["use"] is None
    assert check_answer("direction", client.get("/api/v1/tiny/L1/H2/ov/svd/3").json())["use"] is None
    assert ' used">' not in client.get("/tiny/L1/H2/ov/svd/3").text


def test_the_page_of_a_model_leads_to_its_map_of_use(used, client):
    own, arrays = used
    (link,) = re.findall(r'<a href="([^"#]+)#map"[^>]*>use</a>', own.get("/tiny").text)
    said = words_of(own.get(link).text)
    value = float(np.median(arrays["first"][..., 0].astype(float)))
    assert f"{value:.1%} of what varies" in said
    assert f"{arrays['first'][..., 0].size} heads" in said
    answer = check_answer("model", own.get("/api/v1/tiny").json())
    assert answer["use"]["used"] == pytest.approx(value)
    assert "ov-overuse" in answer["map"]["scores"]
    assert check_answer("model", client.get("/api/v1/tiny").json())["use"] is None
    assert ">use</a>" not in client.get("/tiny").text


def test_axes_say_what_they_are_mixed_of_and_how_they_were_fitted(used, client):
    own, _ = used
    matrix = check_answer("matrix", own.get("/api/v1/tiny/L1/H2/ov/used").json())
    (number,) = matrix["parameters"].values()
    assert f"statistics={number}" in matrix["links"]["pinned"]
    html = own.get("/tiny/L1/H2/ov/used").text
    (said,) = re.findall(r'<span class="finding">(.*?)</span>\n?</p>', html, re.DOTALL)
    first, words = matrix["axes"]["first"], " ".join(re.sub(r"<[^>]+>", "", said).split())
    (nearest, *_) = first["mixture"]
    assert f"{nearest['cosine']:.2f}"[1:] + f" of direction {nearest['index']}" in words
    assert f"the first axis fitted on one half of that text makes {first['held_share']:.1%} on the other half" in words
    assert first["mixture_share"] == pytest.approx(sum(one["cosine"] ** 2 for one in first["mixture"]), abs=1e-3)
    assert first["mixture_share"] <= 1 + 1e-6
    assert f'href="/{nearest["address"]}' in said
    for part in (
        "where they read is not",
        f"Fitted to</a> {matrix['axes']['n_tokens']:,} tokens of text that the model wrote",
    ):
        assert part in html
    one = check_answer("direction", own.get("/api/v1/tiny/L1/H2/ov/used/0").json())
    assert one["axis"] == first
    rows = [*csv.DictReader(own.get("/tiny/L1/H2/ov/used?format=csv").text.splitlines())]
    assert float(rows[0]["held_share"]) == first["held_share"]
    assert rows[0]["mixture"].startswith(f"{nearest['index']}:{nearest['cosine']:.4f} ")
    assert "held_share" not in own.get("/tiny/L1/H2/ov?format=csv").text
    missing = client.get("/api/v1/tiny/L1/H2/ov/used")
    assert (missing.status_code, missing.json()["error"]) == (404, "not_built")
    assert "singular-lens statistics tiny --weights folded" in client.get("/tiny/L1/H2/ov/used").text


@pytest.mark.parametrize("place", ["L1/H2", "L1/H2/ov"])
def test_a_head_shows_how_its_directions_add_up(used, client, place):
    own, arrays = used
    (drawn,) = re.findall(
        r'<figure class="explained" id="use">(.*?)</figure>', own.get(f"/tiny/{place}").text, re.DOTALL
    )
    first = count_first(arrays["even"].shape[-1])
    of_first = [arrays[name][1, 2, :first].sum() for name in ("used", "even")]
    shares = [*of_first, arrays["fitted"][1, 2, first - 1], first / arrays["even"].shape[-1]]
    assert [f"{share:.1%}" for share in shares] == re.findall(
        r"[0-9.]+%", drawn.partition("<desc>")[2].partition("</desc>")[0]
    )
    assert re.findall(r'<path class="(\w+)"', drawn) == ["grid", "random", "best", "even", "own"]
    for other in ("L1/H2/qk", "L1/H2/ov/neuron"):
        assert 'id="use"' not in own.get(f"/tiny/{other}").text
    assert 'id="use"' not in client.get(f"/tiny/{place}").text
