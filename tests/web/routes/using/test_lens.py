"""What a prompt's stream says at every layer, as a visitor asks for it and as a program does."""

import re
import shutil
from html import unescape

import numpy as np
import pytest
import torch

from app.explorer import recipes
from app.models.live.assembly import assemble_model
from app.models.live.forward import read_logits, run_model
from tests.answers import check_answer

ORIGIN = {"Origin": "http://testserver"}
TEXT = "that in the sea"


@pytest.fixture(scope="module")
def reader(serve, tiny_data, tmp_path_factory):
    """A visitor of a server that runs prompts and has no statistics."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("lens") / "data")
    return serve(data, "tiny", prompts="public")


@pytest.fixture(scope="module")
def informed(serve, tiny_data, tmp_path_factory):
    """A visitor of one that has a mean stream."""
    client = serve(shutil.copytree(tiny_data, tmp_path_factory.mktemp("means") / "data"), "tiny", prompts="public")
    r = client.app.state.resources
    model = r.library.model("tiny")
    mean = np.random.default_rng(3).normal(size=(model.manifest.n_layers + 1, model.manifest.d_model))
    n = model.manifest.d_vocab
    arrays = {"mean": mean.astype(np.float32), "chance": np.full(n, 1 / n, np.float32)}
    r.store.write(recipes.use_streams(model, "folded"), arrays, {})
    return client


def place_of(client):
    answer = client.post("/tiny/prompt", data={"text": TEXT}, headers=ORIGIN)
    return f"{answer.headers['location']}/lens"


def words_of(html):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def test_without_statistics_it_is_raw_and_says_so(reader):
    place = place_of(reader)
    page = reader.get(place)
    assert page.status_code == 200
    assert "singular-lens statistics tiny" in words_of(page.text)
    assert "no lens" not in words_of(page.text)
    found = check_answer("lens", reader.get(f"/api/v1{place}").json())
    assert (found["is_shifted"], found["constant"], found["statistics"]) == (False, None, None)
    model = reader.app.state.resources.library.model("tiny")
    network = assemble_model(model.weights(), model.manifest)
    run = run_model(network, torch.tensor([one["id"] for one in found["tokens"]]))
    tops = read_logits(network, run.streams).argmax(-1).tolist()
    assert [[cell["id"] for cell in point["cells"]] for point in found["points"]] == tops
    assert [one["id"] for one in found["ends"]] == tops[-1]


def test_the_page_says_from_which_layer_on_it_is_so(informed):
    place = place_of(informed)
    found = check_answer("lens", informed.get(f"/api/v1{place}").json())
    ranks = [point["cells"][found["at"]]["rank"] for point in found["points"]]
    settled = next(at for at in range(len(ranks)) if set(ranks[at:]) == {1})
    n_layers = len(ranks) - 1
    first, last = ranks.index(1), "only at the end" if settled == n_layers else f"from layer {settled}"
    always = {0: "at every layer", n_layers: "at the very end only"}.get(
        settled, f"from layer {settled} of {n_layers} on"
    )
    words = f"first at layer {first}, and for good {last}" if first < settled else always
    said = words_of(informed.get(place).text)
    assert words in said
    assert "no lens" in said
    assert f"{found['n_reference']:,} tokens" in said
    raw = check_answer("lens", informed.get(f"/api/v1{place}?raw=1").json())
    assert found["is_shifted"]
    assert not raw["is_shifted"]
    assert raw["constant"] == found["constant"]
    assert raw["points"][0]["divergence"] != found["points"][0]["divergence"]
    assert raw["points"][-1]["cells"] == found["points"][-1]["cells"]


@pytest.mark.parametrize("basis", ["svd", "neuron"])
def test_the_stream_is_measured_in_a_basis_beside_random_directions(informed, basis):
    place = place_of(informed)
    found = check_answer("lens", informed.get(f"/api/v1{place}?basis={basis}").json())
    d_model = informed.app.state.resources.library.model("tiny").manifest.d_model
    for span in found["spans"]:
        assert span["random"] == pytest.approx(span["size"] / d_model)
        assert len(span["shares"]) == len(found["points"])
        assert all(0 <= share <= 1.0001 for share in span["shares"])
    sizes = [span["shares"][0] for span in found["spans"]]
    assert sizes == sorted(sizes)
    assert "beside as many random directions" in words_of(informed.get(f"{place}?basis={basis}").text)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("at=40", "at goes from 0 to"),
        ("at=x", "a position of the prompt, counted from 0"),
        ("basis=nmf", "singular-lens precompute tiny --matrices embed"),
        ("basis=ica", "'svd', 'pca', 'nmf', 'frequency' or 'neuron'"),
        ("weights=none", "'folded' or 'raw'"),
    ],
)
def test_what_is_not_there_is_said_with_what_would_do(reader, query, words):
    place = place_of(reader)
    for path in (place, f"/api/v1{place}"):
        answer = reader.get(f"{path}?{query}")
        assert answer.status_code == 422
        assert words in unescape(answer.text)
    assert reader.get(f"{place.replace('/p/', '/p/0')[:-6]}/lens").status_code == 404


def test_it_is_private_and_linked_from_the_prompt(reader):
    place = place_of(reader)
    answer = reader.get(place)
    assert answer.headers["cache-control"] == "private, no-store"
    assert place in reader.get(place.removesuffix("/lens")).text
    links = reader.get(f"/api/v1{place}?at=1").json()["links"]
    assert links["page"] == f"{place}?at=1"
    assert links["up"] == f"/api/v1{place.removesuffix('/lens')}"
