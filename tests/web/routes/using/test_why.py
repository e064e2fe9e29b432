"""Why a head looks from one position of a prompt at another, as a visitor asks for it and as a program does."""

import re
import shutil
from html import unescape

import pytest
import torch

from app.core.folding import fold_head
from app.core.rotary import rotation_matrix
from app.core.using.coefficients import norm_stream
from app.models.live.assembly import assemble_model
from app.models.live.forward import run_model
from tests.answers import check_answer

ORIGIN = {"Origin": "http://testserver"}
IDS = " ".join(str((7 * n + 3) % 97) for n in range(20))
HEAD, LAYER, NUMBER, TO = "L1H3", 1, 3, 17
EXAMPLES = ("that in the sea", "so it is that in the sea")
FAMILIES = ("llama", "gpt2", "gemma2")


@pytest.fixture(scope="module")
def asker(serve, member, tmp_path_factory):
    """A visitor of a server that runs prompts of a rotary model, of one with learned positions, and of one with windows."""
    data = tmp_path_factory.mktemp("why") / "data"
    (folder,) = {member(name).data for name in FAMILIES}
    return serve(shutil.copytree(folder, data), *FAMILIES, prompts="public")


@pytest.fixture(scope="module")
def reader(serve, tiny_data, tmp_path_factory):
    """A visitor of a model with learned positions, whose examples are of its few words."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("pairs") / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.explorer.visits.using.prompts.EXAMPLES", EXAMPLES)
        yield serve(data, "tiny", prompts="public")


@pytest.fixture(scope="module")
def place(asker):
    """Return place("llama"): the path of the same prompt there."""

    def ask(name):
        answer = asker.post(f"/{name}/prompt", data={"ids": IDS}, headers=ORIGIN)
        assert answer.status_code == 303
        return answer.headers["location"]

    return ask


def fetch(asker, path, **said):
    return check_answer("why", asker.get(f"/api/v1{path}/why", params={"head": HEAD, "to": TO, **said}).json())


def score_by_hand(asker, name, source):
    """The score of the pair in float64, from the checkpoint's own tensors and the library's own stream."""
    model = asker.app.state.resources.library.model(name)
    weights, network = model.weights(), assemble_model(model.weights(), model.manifest)
    stream = run_model(network, torch.tensor([*map(int, IDS.split())])).streams[LAYER].double()
    seen = norm_stream(stream, center=model.manifest.normalization == "LN", eps=model.manifest.eps)
    head = fold_head(weights.head(LAYER, NUMBER), weights.norms(LAYER, NUMBER))
    rotary, size = weights.rotary(LAYER), head.W_Q.shape[1]
    R = torch.eye(size, dtype=torch.float64) if rotary is None else rotation_matrix(rotary, TO - source, size)
    query = seen[TO] @ head.W_Q.double() + head.b_Q.double()
    key = seen[source] @ head.W_K.double() + head.b_K.double()
    return float(query @ R @ key) / size**0.5


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("source", [0, 5, 17])
def test_every_split_is_the_score(asker, place, name, source):
    expected = score_by_hand(asker, name, source)
    found = fetch(asker, place(name), **{"from": source})
    assert found["score"] == pytest.approx(expected, abs=1e-4)
    biases = sum(found["biases"].values()) if found["biases"] else 0.0
    assert sum(one["term"] for one in found["terms"]) + biases == pytest.approx(expected, abs=1e-4)
    assert all(one["term"] == pytest.approx(one["read"] * one["held"], abs=1e-5) for one in found["terms"])
    sizes = [abs(one["term"]) for one in found["terms"]]
    assert sizes == sorted(sizes, reverse=True)
    assert found["distance"] == (TO - source if name == "llama" else 0)
    if name == "llama":
        planes = fetch(asker, place(name), **{"from": source, "by": "planes"})
        assert sum(one["term"] for one in planes["terms"]) + planes["still"] == pytest.approx(expected, abs=1e-4)


def test_a_row_is_what_a_source_has_beyond_the_others(asker, place):
    path = place("llama")
    tokens = fetch(asker, path)["tokens"]
    source = 5
    found = fetch(asker, path, **{"from": source, "by": "row"})
    rest = 1 - tokens[source]["attention"]
    others = sum(one["attention"] * one["score"] for one in tokens[: TO + 1] if one["position"] != source) / rest
    assert sum(one["term"] for one in found["terms"]) == pytest.approx(tokens[source]["score"] - others, abs=1e-4)
    for one in found["terms"]:
        assert one["term"] == pytest.approx(one["read"] * (one["held"] - one["others"]), abs=1e-5)


def test_the_first_look_is_at_what_gets_most_but_for_the_start(asker, place):
    found = fetch(asker, place("llama"))
    attention = [one["attention"] for one in found["tokens"]]
    assert attention[TO + 1 :] == [None, None]
    assert sum(attention[: TO + 1]) == pytest.approx(1, abs=1e-5)
    assert attention[found["source"]] == max(attention[1 : TO + 1])


def test_a_direction_is_that_of_the_pairs_distance(asker, place):
    page = asker.get(f"{place('llama')}/why", params={"head": HEAD, "to": TO, "from": 5}).text
    links = [unescape(link) for link in re.findall(r'href="(/llama/L1/H3/qk/svd/[^"]+)"', page)]
    assert links
    assert all("distance=12" in link for link in links)
    found = fetch(asker, place("llama"), **{"from": 5})
    for term in found["terms"][:3]:
        direction = asker.get(f"/api/v1/{term['address']}?distance=12").json()
        for tokens, side, value in (("query_tokens", "left", "read"), ("key_tokens", "right", "held")):
            end = direction[side]["plus" if term[value] >= 0 else "minus"]
            assert [one["id"] for one in term[tokens]] == [one["id"] for one in end[:6]]


def test_masked_pairs_and_what_no_prompt_has_are_told_with_their_range(asker, place):
    llama, gpt2, gemma = (place(name) for name in FAMILIES)
    for path, said, words in (
        (gemma, {"head": "L0H1", "to": 19, "from": 2}, "Position 2 is masked for position 19 in L0"),
        (llama, {"head": HEAD, "to": 3, "from": 4}, "from goes from 0 to 3 here"),
        (llama, {"head": HEAD, "to": 20}, "to goes from 0 to 19 here"),
        (llama, {"head": "L2H0"}, "L2"),
        (llama, {"head": "L1H9"}, "H9"),
        (llama, {"head": "ov"}, "head is one such as L5H3"),
        (llama, {}, "head names the head that looks"),
        (llama, {"head": HEAD, "weights": "raw"}, "Attention is told in folded weights"),
        (llama, {"head": HEAD, "by": "columns"}, "by"),
        (gpt2, {"head": HEAD, "by": "planes"}, "rotates no queries and keys"),
        (llama, {"head": HEAD, "from": "x"}, "a position of the prompt"),
    ):
        answer = asker.get(f"{path}/why", params=said)
        assert answer.status_code in {404, 422}, (path, said)
        assert words in unescape(answer.text), (path, said)
    assert asker.get(f"{gemma}/why", params={"head": "L0H1", "to": 19, "from": 4}).status_code == 200


def test_it_is_found_from_the_prompt(asker, place):
    path = place("llama")
    page = asker.get(path, params={"head": HEAD}).text
    (link,) = re.findall(rf'href="({path}/why[^"]*)"', page)
    assert asker.get(unescape(link)).status_code == 200
    course = asker.get(f"{path}/direction", params={"of": "L1H3.ov.0"}).text
    links = re.findall(rf'href="({path}/why[^"]*)"', course)
    assert links
    assert asker.get(unescape(links[0])).status_code == 200


def test_pairs_of_examples_lead_to_what_made_them(reader):
    path = "/tiny/pairs?of=L1H3.qk.1"
    found = check_answer("pairs", reader.get(f"/api/v1{path}").json())
    assert {pair["text"] for pair in found["pairs"]} <= set(EXAMPLES)
    sizes = [abs(pair["term"]) for pair in found["pairs"]]
    assert len(sizes) == 12
    assert sizes == sorted(sizes, reverse=True)
    assert all(pair["source"]["position"] > 0 for pair in found["pairs"])
    links = [unescape(link) for link in re.findall(r'href="(/tiny/p/[^"]+/why[^"]+)"', reader.get(path).text)]
    assert len(links) == 12
    for link, pair in zip(links[:2], found["pairs"], strict=False):
        why = reader.get(f"/api/v1{link}").json()
        assert (why["to"], why["source"]) == (pair["to"]["position"], pair["source"]["position"])
        assert why["tokens"][why["to"]]["id"] == pair["to"]["id"]
        assert why["score"] == pytest.approx(pair["score"], abs=1e-4)
        (term,) = (one["term"] for one in why["terms"] if one["address"].endswith("/1"))
        assert term == pytest.approx(pair["term"], abs=1e-4)


def test_a_link_to_an_example_opens_where_the_prompt_is_gone(reader):
    page = reader.get("/tiny/pairs?of=L1H3.qk.0").text
    link = unescape(re.findall(r'href="(/tiny/p/[^"]+/why[^"]+)"', page)[0])
    prompt = link.partition("/why")[0]
    assert reader.post(f"{prompt}/delete", headers=ORIGIN).status_code == 303
    assert reader.get(link).status_code == 200


def test_pairs_are_linked_from_a_direction_and_refuse_what_means_nothing(asker, reader):
    assert "/tiny/pairs?of=L1H3.qk.1" in reader.get("/tiny/L1/H3/qk/svd/1").text
    assert "/llama/pairs?distance=2&amp;of=L1H3.qk.1" in asker.get("/llama/L1/H3/qk/svd/1?distance=2").text
    assert "/tiny/pairs" not in reader.get("/tiny/L1/H3/ov/svd/1").text
    assert "No example prompt can be run on llama" in asker.get("/llama/pairs?of=L1H3.qk.1&distance=60").text
    for client, path, words in (
        (reader, "/tiny/pairs", "of names a singular direction of a head's QK"),
        (reader, "/tiny/pairs?of=L1H3.ov.1", "of names a singular direction of a head's QK"),
        (reader, "/tiny/pairs?of=L1H3.qk.900", "900"),
        (reader, "/tiny/pairs?of=L1H3.qk.1&distance=2", "distance must be 0"),
        (reader, "/tiny/pairs?of=L1H3.qk.1&weights=raw", "Attention is told in folded weights"),
        (asker, "/llama/pairs?of=L1H3.qk.1&distance=64", "distance goes from 0 to 63"),
    ):
        answer = client.get(path)
        assert answer.status_code in {404, 422}, path
        assert words in unescape(answer.text), path


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("head=banana&to=5", "head is one such as L5H3"),
        ("head=L9H0", "L9"),
        ("head=L1H3&to=5&from=9", "from goes from 0 to 5 here"),
        ("head=L1H3&to=0&by=row", "ask for by=pair"),
    ],
)
def test_a_slip_in_a_box_costs_no_more_than_itself(asker, place, query, words):
    page = asker.get(f"{place('llama')}/why?{query}")
    assert page.status_code in {404, 422}
    assert 'class="strip' in page.text
    assert words in unescape(page.text)
    head = query.partition("&")[0].partition("=")[2]
    assert re.search(rf'<input id="head" name="head" value="{head}"', page.text)
