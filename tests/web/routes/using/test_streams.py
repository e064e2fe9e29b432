"""The streams' pages and their JSON: a linear map in bases, unlikely tokens, and what stands there before they are computed."""

import re

import pytest

from app.explorer import recipes
from tests.answers import check_answer
from tests.explorer.streams import keep_text, linear_arrays, unlikely_arrays


@pytest.fixture(scope="module")
def streams(relatives):
    """A visitor of the families, where Llama has a text, one map and its unlikely tokens."""
    r = relatives.app.state.resources
    model = r.library.model("llama")
    keep_text(r, model)
    linear = recipes.linear(model, "folded", 0, 1, 0, {"components": 32, "seed": 0})
    unlikely = recipes.unlikely(model, "folded", 0)
    r.store.write(linear, linear_arrays(), {})
    r.store.write(unlikely, unlikely_arrays(model.header.n_layers), {})
    yield relatives
    # Other pages ask more of statistics than tokens.
    for recipe in (recipes.use(model, "folded"), linear, unlikely):
        r.store.remove(recipe)


def test_answers_have_the_form_that_is_described(streams):
    for path, route in (("linear?to=1&basis=svd", "linear"), ("unlikely", "unlikely")):
        answer = check_answer(route, streams.get(f"/api/v1/llama/{path}").json())
        assert answer["links"]["page"] == f"/llama/{path}"
        assert path.partition("?")[0] in answer["links"]["pinned"]
        assert answer["statistics"]
        page = streams.get(f"/llama/{path}")
        assert page.status_code == 200
        assert f'href="/api/v1/llama/{path.replace("&", "&amp;")}"' in page.text
    scores = streams.get("/api/v1/llama/linear?to=1").json()["scores"]
    assert scores[2] is None


def test_maps_between_other_streams_have_other_citation_keys(streams):
    pages = [streams.get(f"/llama/{path}").text for path in ("linear?to=1", "linear?from=1", "unlikely")]
    keys = [re.findall("@misc{(.*),", page) for page in pages]
    assert keys == [
        ["singular-lens:llama:linear:0-1"],
        ["singular-lens:llama:linear:1-2"],
        ["singular-lens:llama:unlikely"],
    ]


def test_the_random_row_always_stands_beside_the_others(streams):
    for basis in ("pca", "nmf"):
        page = streams.get(f"/llama/linear?to=1&basis={basis}").text
        assert "random directions" in page
        assert ('class="composed blocks"' in page) == (basis == "pca")


@pytest.mark.parametrize("path", ["linear?to=2", "unlikely"])
def test_what_is_not_computed_names_its_command_and_is_no_json(streams, path):
    where = "llama" if path.startswith("linear") else "neox"
    page = streams.get(f"/{where}/{path}")
    assert page.status_code == 200
    assert "Not computed on this server" in page.text
    answer = streams.get(f"/api/v1/{where}/{path}")
    assert answer.status_code == 404
    assert f"singular-lens {'precompute' if where == 'llama' else 'statistics'} {where}" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("from=2&to=1", "from goes from 0 to 1, to from 1 to 2, and from is smaller than to"),
        ("to=7", "2 is what its final norm reads"),
        *((f"{name}={value}", "from goes from 0 to 1") for name in ("from", "to") for value in ("x", "-1", "9" * 30)),
        ("basis=ica", "basis"),
        ("components=3", "Valid: weights, from, to, basis."),
    ],
)
def test_what_means_nothing_is_refused(streams, asked, named):
    answer = streams.get(f"/api/v1/llama/linear?{asked}")
    assert answer.status_code == 422
    assert named in answer.json()["detail"]


def test_the_model_leads_to_both_where_it_runs(streams):
    page = streams.get("/neox").text
    assert 'href="/neox/linear"' in page
    assert 'href="/neox/unlikely"' in page
    assert 'href="/bert/linear"' not in streams.get("/bert").text
