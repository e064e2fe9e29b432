"""The streams' pages and their JSON: a linear map in bases, unlikely tokens, and what stands there before they are computed."""

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
        ("from=2&to=1", "llama has 0"),
        ("to=7", "to 2, which its final norm reads"),
        ("basis=ica", "basis"),
        ("from=x", "from"),
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
