"""A prompt where the model is changed, as a visitor asks for it, as a program does, and as a stream."""

import io
import math
import re
import shutil
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
import torch

from app.models.live.assembly import assemble_model
from app.models.live.changes import output_matrix
from app.models.live.forward import run_model
from tests.answers import check_answer

ORIGIN = {"Origin": "http://testserver"}
TEXT = "that in the sea"
GONE = "L1H2.ov.3:-1"


@pytest.fixture(scope="module")
def reader(serve, tiny_data, tmp_path_factory):
    """A visitor of a server that runs prompts and continues them, and has no statistics."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("edits") / "data")
    return serve(data, "tiny", prompts="public", generation="public", wait_seconds=30)


@pytest.fixture(scope="module")
def place(reader):
    answer = reader.post("/tiny/prompt", data={"text": TEXT}, headers=ORIGIN)
    return f"{answer.headers['location']}/edit"


def words_of(html):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def asked(reader, place, **options):
    answer = reader.get(f"/api/v1{place}", params=options)
    assert answer.status_code == 200, answer.text
    return check_answer("edit", answer.json())


def test_the_answer_is_what_the_library_makes_of_edited_weights(reader, place):
    found = asked(reader, place, edit=GONE, tokens="the,#70", random=8)
    r = reader.app.state.resources
    model = r.library.model("tiny")
    network = assemble_model(model.weights(), model.manifest)
    ids = torch.tensor([one["id"] for one in found["tokens"]])
    was = run_model(network, ids).logits[-1].double()
    along = right_of(reader, model)
    output = output_matrix(network, 1, 2)
    with torch.no_grad():
        output -= (output @ along)[:, None] * along
    now = run_model(network, ids).logits[-1].double()
    for token in (*found["next"], *found["named"]):
        assert token["before"] == pytest.approx(float(was.softmax(-1)[token["id"]]), rel=1e-3, abs=1e-7)
        assert token["after"] == pytest.approx(float(now.softmax(-1)[token["id"]]), rel=1e-3, abs=1e-7)
        assert len(token["random"]) == 8
    assert {*was.topk(10).indices.tolist()} <= {token["id"] for token in found["next"]}
    expected = float((was.softmax(-1) * (was.log_softmax(-1) - now.log_softmax(-1))).sum())
    assert found["divergence"] == pytest.approx(expected, rel=2e-2, abs=1e-8)
    assert (found["draws"], len(found["random"]), len(found["random_energy"])) == (8, 8, 8)


def right_of(reader, model):
    """The direction that is written, by the file of vectors that its page offers."""
    held = np.load(io.BytesIO(reader.get("/tiny/L1/H2/ov/svd/3?format=npz").content))
    name = next(name for name in held.files if name in {"right", "write"})
    return torch.from_numpy(held[name].reshape(-1, model.manifest.d_model)[0]).float()


def test_the_page_says_what_is_asked_and_answered(reader, place):
    page = reader.get(place, params={"edit": GONE})
    assert page.status_code == 200
    assert page.headers["cache-control"] == "private, no-store"
    said = words_of(page.text)
    assert "What if L1H2 OV 3 were gone?" in said
    assert "a random direction of the same head is edited so" in said
    assert "its own 20 tokens" in said
    prompt = reader.get(place.removesuffix("/edit"))
    assert f'href="{place}?edit=L' in prompt.text


@pytest.mark.parametrize(
    ("edit", "title"),
    [
        ("L1H2.ov.3:1", "What if L1H2 OV 3 were written 2.000 times?"),
        ("L1H2.ov.3:only", "What if L1H2 OV 3 were all that its head writes?"),
        ("L1H2.ov.3:-1,L0H0.ov.0:2", "What if these 2 were changed?"),
    ],
)
def test_other_edits_have_other_titles(reader, place, edit, title):
    assert title in words_of(reader.get(place, params={"edit": edit}).text)


def test_a_link_holds_what_was_asked(reader, place):
    found = asked(reader, place, edit="L1H2.ov.3n:0.5,L0H0.ov.0:-1", tokens="the", at=2, curve="1", random=8)
    links = found["links"]
    assert links["page"] == f"{place}?edit=L1H2.ov.3n%3A0.5%2CL0H0.ov.0%3A-1&at=2&tokens=the&random=8&curve=1"
    assert links["up"] == f"/api/v1{place.removesuffix('/edit')}"
    assert reader.get(links["json"]).json() == found
    assert found["edits"][0]["ray"] == "n"
    assert len(found["curve"]) == 11


def test_a_direction_leads_to_the_form_and_the_form_to_its_edit(reader):
    direction = reader.get("/tiny/L1/H2/ov/svd/3").text
    form = unescape(re.search(r'href="(/tiny/prompt\?edit=[^"]+)"', direction)[1])
    assert "What if on a text: L1H2.ov.3:-1" in words_of(reader.get(form).text)
    there = reader.post("/tiny/prompt", data={"text": TEXT, "edit": GONE}, headers=ORIGIN).headers["location"]
    assert re.fullmatch(r"/tiny/p/[0-9a-f]{16}/edit\?edit=L1H2.ov.3%3A-1", there)
    wrong = reader.post("/tiny/prompt", data={"text": TEXT, "edit": "L1H2.qk.3:-1"}, headers=ORIGIN)
    assert wrong.status_code == 422
    assert "directions of OV are written" in words_of(wrong.text)
    assert TEXT in wrong.text


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 422, "Name what is changed"),
        ("edit=L1H2.ov.3", 422, "a colon and an amount"),
        ("edit=L1H2.ov.3:11", 422, "from -1 (delete) to 10"),
        ("edit=L1H2.qk.3:-1", 422, "writes nothing"),
        ("edit=L9H2.ov.3:-1", 404, "L9"),
        ("edit=L1H2.ov.3:mean", 422, "singular-lens statistics tiny"),
        ("edit=L1H2.ov.3:only&curve=1", 422, "neither mean nor only"),
        ("edit=L1H2.ov.3:-1&at=40", 422, "at goes from 0 to"),
        ("edit=L1H2.ov.3:-1&tokens=qqqqqq", 422, "no single token"),
        ("edit=other/L1/H2/ov/svd/3:-1", 422, "is of another model"),
        ("edit=tiny/L1/H2/ov:-1", 422, "edit names a singular direction"),
        ("edit=L1H2.ov.3:-1&tokens=%00", 422, "control character"),
        ("edit=L1H2.ov.3:-1&tokens=a,b,c,d,e,f,g,h,i", 422, "up to 8"),
        ("edit=L1H2.ov.3:-1&random=3", 422, "random"),
        ("edit=L1H2.ov.3:-1&more=65", 422, "64"),
        ("edit=L1H2.ov.3:-1&more=-1", 422, "more"),
        ("edit=L1H2.ov.3:-1&more=60", 422, "leaves"),
        ("edit=L1H2.ov.3:-1&more=8&seed=-1", 422, "seed"),
        ("edit=" + "x" * 401, 422, "400"),
    ],
)
def test_what_means_nothing_is_said_with_what_would_do(reader, place, query, status, words):
    for path in (place, f"/api/v1{place}"):
        answer = reader.get(f"{path}?{query}")
        assert answer.status_code == status, answer.text[:300]
        assert words in words_of(answer.text)
    assert "Traceback" not in answer.text


def test_a_slip_keeps_the_prompt_and_what_was_typed(reader, place):
    page = reader.get(f"{place}?edit=L1H2.ov.3:eleven")
    assert page.status_code == 422
    assert 'value="L1H2.ov.3:eleven"' in page.text
    assert "What speaks for" in words_of(page.text)
    page = reader.get(f"{place}?edit=L1H2.ov.3:-1&tokens=th")
    assert page.status_code == 422
    assert "were gone" in words_of(page.text)
    assert 'value="th"' in page.text
    meant = unescape(re.search(r'class="meant" href="([^"]+)"', page.text)[1])
    assert reader.get(meant).status_code == 200


def test_a_text_goes_on_the_same_whoever_asks(reader, place):
    found = asked(reader, place, edit="L1H2.ov.3:10", more=6)["continuation"]
    assert (found["asked"], found["seed"], found["is_done"]) == (6, None, True)
    model = reader.app.state.resources.library.model("tiny")
    network = assemble_model(model.weights(), model.manifest)
    ids = torch.tensor([one["id"] for one in asked(reader, place, edit=GONE)["tokens"]])
    said = {"max_new_tokens": 6, "do_sample": False, "attention_mask": torch.ones_like(ids)[None], "eos_token_id": None}
    plain = network.generate(ids[None], pad_token_id=0, **said)[0, len(ids) :].tolist()
    assert [token["id"] for token in found["plain"]["tokens"]] == plain
    page = reader.get(place, params={"edit": "L1H2.ov.3:10", "more": 6})
    assert "perplexity" in words_of(page.text)
    assert "hx-sse:connect" not in page.text
    again = asked(reader, place, edit="L1H2.ov.3:10", more=6, seed=5)["continuation"]
    assert again == asked(reader, place, edit="L1H2.ov.3:10", more=6, seed=5)["continuation"]


def test_a_slip_in_the_curve_keeps_the_page(reader, place):
    page = reader.get(f"{place}?edit=L1H2.ov.3:only&curve=1")
    assert page.status_code == 422
    assert "were all that its head writes" in words_of(page.text)


def test_an_edit_may_be_spelt_as_an_address(reader, place):
    one, other = (asked(reader, place, edit=spelt) for spelt in ("L1H2.ov.3:-1", "tiny/L1/H2/ov/svd/3:-1"))
    assert one["divergence"] == other["divergence"]
    assert one["links"] == other["links"]


def test_a_direction_leads_to_the_form_and_that_to_steering(reader):
    direction = reader.get("/tiny/L1/H2/ov/svd/3").text
    form = unescape(re.search(r'href="(/tiny/prompt\?steer=[^"]+)"', direction)[1])
    assert "Steer a text along L1H2.ov.3p" in words_of(reader.get(form).text)
    there = reader.post("/tiny/prompt", data={"text": TEXT, "steer": "L1H2.ov.3p"}, headers=ORIGIN).headers["location"]
    assert re.fullmatch(r"/tiny/p/[0-9a-f]{16}/steer\?of=L1H2.ov.3p", there)
    assert reader.get(there).status_code == 200


def test_it_comes_as_a_stream(reader, place):
    query = {"edit": "L1H2.ov.3:9", "more": 5}
    first = reader.get(place, params=query)
    assert first.status_code == 200
    link = unescape(re.search(r'hx-sse:connect="([^"]+)"', first.text)[1])
    assert link.startswith(f"{place}/continuation?")
    answer = reader.get(link)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [part for part in answer.text.split("\n\n") if "data:" in part]
    assert "event: end" in answer.text
    assert "perplexity" in events[-2]
    done = reader.get(place, params=query)
    assert "hx-sse:connect" not in done.text


@pytest.mark.parametrize(
    ("query", "status"), [("edit=L1H2.ov.3:9", 422), ("edit=&more=4", 422), ("edit=L1H2.ov.3:9&more=99", 422)]
)
def test_a_stream_of_nothing_is_refused_in_its_own_words(reader, place, query, status):
    answer = reader.get(f"{place}/continuation?{query}")
    assert answer.status_code == status or ("wrong" in answer.text and "event: end" in answer.text)


def steered(reader, place, **options):
    answer = reader.get(f"/api/v1{place.replace('/edit', '/steer')}", params=options)
    assert answer.status_code == 200, answer.text
    return check_answer("steer", answer.json())


def test_a_prompt_is_steered_along_a_direction(reader, place):
    found = steered(reader, place, of="L0H2.ov.1n", c=0.5, random=8)
    model = reader.app.state.resources.library.model("tiny")
    network = assemble_model(model.weights(), model.manifest)
    run = run_model(network, torch.tensor([one["id"] for one in found["tokens"]]))
    size = float(run.streams[1, 1:].norm(dim=-1).median())
    assert (found["layer"], found["amount"], found["direction"]["ray"]) == (1, 0.5, "n")
    assert found["size"] == pytest.approx(size, rel=1e-4)
    assert len(found["random"]) == len(found["direction"]["random"]) == 8
    strength = next(one for one in reader.get("/api/v1/tiny/L0/H2/ov").json()["directions"] if one["index"] == 1)
    assert found["strength"] == pytest.approx(strength["singular_value"], rel=1e-4)
    assert found["divergence"] > 0
    assert found["tokens"][0]["divergence"] == pytest.approx(0, abs=1e-9)
    links = found["links"]
    assert links["page"] == f"{place.replace('/edit', '/steer')}?of=L0H2.ov.1n&layer=1&c=0.5&random=8"
    said = words_of(reader.get(links["page"]).text)
    assert "Steered along L0H2 OV 1 −" in said
    assert "0.5 median lengths of the stream that enters layer 1" in said
    assert "on this prompt" in said


def test_a_steered_prompt_goes_on_as_a_stream(reader, place):
    there = place.replace("/edit", "/steer")
    first = reader.get(there, params={"of": "L0H2.ov.1p", "c": 2, "more": 5})
    link = unescape(re.search(r'hx-sse:connect="([^"]+)"', first.text)[1])
    assert link.startswith(f"{there}/continuation?of=L0H2.ov.1p&layer=1&c=2&more=5")
    assert "event: end" in reader.get(link).text
    found = steered(reader, place, of="L0H2.ov.1p", c=2, more=5)["continuation"]
    assert len(found["changed"]["tokens"]) == 5


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 422, "Name the direction"),
        ("of=L1H2.qk.3p", 422, "writes nothing"),
        ("of=L1H2", 422, "of is a singular direction"),
        ("of=L1H9.ov.0", 404, "H0 to"),
        ("of=L1H2.ov.0&layer=2", 422, "layer goes from 0 to 1"),
        ("of=L1H2.ov.0&layer=x", 422, "layer"),
        ("of=L1H2.ov.0&c=6", 422, "5"),
        ("of=L1H2.ov.0&c=nan", 422, "c"),
        ("of=L1H2.ov.0&c=inf", 422, "c"),
        ("of=L1H2.ov.0&more=64", 422, "leaves"),
    ],
)
def test_what_cannot_be_steered_is_said_with_what_would_do(reader, place, query, status, words):
    for path in (place, f"/api/v1{place}"):
        answer = reader.get(f"{path.replace('/edit', '/steer')}?{query}")
        assert answer.status_code == status, answer.text[:300]
        assert words in words_of(answer.text)


def test_one_token_is_not_steered(reader):
    there = reader.post("/tiny/prompt", data={"ids": "70"}, headers=ORIGIN).headers["location"]
    answer = reader.get(f"{there}/steer?of=L1H2.ov.0")
    assert answer.status_code == 422
    assert "write a longer one" in words_of(answer.text)
    assert reader.get(f"{there}/edit?edit=L1H2.ov.0:-1").status_code == 200


@pytest.mark.parametrize("generation", ["off", "local"])
def test_where_nothing_is_generated_the_rest_is_there(serve, tiny_data, tmp_path_factory, generation):
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("mute") / "data")
    mute = serve(data, "tiny", prompts="public", generation=generation, wait_seconds=30)
    place = mute.post("/tiny/prompt", data={"text": TEXT}, headers=ORIGIN).headers["location"]
    assert mute.get(f"{place}/edit", params={"edit": GONE}).status_code == 200
    for path in (f"{place}/edit", f"/api/v1{place}/edit", f"{place}/edit/continuation"):
        answer = mute.get(path, params={"edit": GONE, "more": 4})
        if answer.status_code == 200:  # a stream tells it in its own way
            assert "--generation" in unescape(answer.text)
        else:
            assert answer.status_code == 403
            assert "--generation" in unescape(answer.text)


def test_prompts_of_others_are_not_here(reader, place):
    other = re.sub("/p/[0-9a-f]{16}/", "/p/0123456789abcdef/", place)
    for path in (other, f"/api/v1{other}"):
        assert reader.get(path, params={"edit": GONE}).status_code == 404


THREE = {"text": TEXT, "attract": "so it is", "repel": "and then that"}


@pytest.fixture(scope="module")
def drawn(reader):
    answer = reader.post("/tiny/sara", data=THREE, headers=ORIGIN)
    assert answer.status_code == 303
    return answer.headers["location"]


def contrasted(reader, drawn, **options):
    answer = reader.get(f"/api/v1{drawn}", params=dict(parse_qsl(urlsplit(drawn).query)) | options)
    assert answer.status_code == 200, answer.text
    return check_answer("sara", answer.json())


def test_a_prompt_is_drawn_to_another(reader, drawn):
    found = contrasted(reader, drawn, random=8, study="1")
    assert (found["rule"], found["amount"], found["layer"]) == ("fixed", 1, 1)
    for name in ("attract", "repel"):
        assert "".join(token["token"] for token in found[name]["tokens"]).strip() == THREE[name]
    first = zip(found["attract"]["tokens"], found["repel"]["tokens"], strict=False)
    differ = next(pair for pair in first if pair[0] != pair[1])
    assert [found["favoured"]["id"], found["against"]["id"]] == [token["id"] for token in differ]
    assert found["named"][:2] == [found["favoured"], found["against"]]
    chances = [found[name]["after"] for name in ("favoured", "against")]
    assert found["odds"]["after"] == pytest.approx(math.log(chances[0] / chances[1]), rel=1e-4, abs=1e-4)
    assert len(found["odds"]["random"]) == len(found["random"]) == 8
    assert len(found["likeness"]) == 3
    assert found["kept"][-1] == pytest.approx(1)
    assert len(found["study"]["fixed"]) == len(found["study"]["last"]) == len(found["study"]["front"]) == 8
    page = reader.get(found["links"]["page"])
    said = words_of(page.text)
    assert "Drawn to another prompt SARA, fixed" in said
    assert "with roles swapped" in said
    assert "Does what keeps the energy keep the meaning?" in said
    assert "depends on the SVD routine's signs" not in said
    assert ("all histories are alike" in said) == (found["sink"] >= 20)
    assert reader.get(found["links"]["json"]).json() == found


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("published", "It depends on the SVD routine's signs"),
        ("last", "vectors of the same lengths"),
        ("front", "The first position is left out"),
    ],
)
def test_each_rule_says_its_own(reader, drawn, rule, words):
    found = contrasted(reader, drawn, rule=rule)
    assert found["rule"] == rule
    assert (found["score_range"] == [0, 0]) == (rule in {"last", "front"})
    assert words in words_of(reader.get(f"{drawn}&rule={rule}").text)


def test_swapped_prompts_swap_the_answer(reader, drawn):
    there = contrasted(reader, drawn, token="#70", against="#71")
    said = dict(parse_qsl(urlsplit(drawn).query))
    back = contrasted(reader, drawn, attract=said["repel"], repel=said["attract"], token="#70", against="#71")
    assert back["odds"]["after"] == pytest.approx(there["odds"]["swapped"], abs=1e-3)
    assert back["swapped"] == pytest.approx(there["divergence"], rel=1e-2, abs=1e-7)


def test_a_drawn_prompt_goes_on_as_a_stream(reader, drawn):
    first = reader.get(f"{drawn}&more=4&pull=2")
    link = unescape(re.search(r'hx-sse:connect="([^"]+)"', first.text)[1])
    assert "event: end" in reader.get(link).text
    found = contrasted(reader, drawn, more=4, pull=2)["continuation"]
    assert len(found["changed"]["tokens"]) == 4


def test_the_form_keeps_what_was_typed_and_says_what_is_wrong(reader):
    form = reader.get("/tiny/sara")
    assert form.status_code == 200
    assert "/tiny/sara" in reader.get("/tiny").text
    same = reader.post("/tiny/sara", data=THREE | {"repel": "so it is"}, headers=ORIGIN)
    assert same.status_code == 422
    assert "nothing lies between them" in words_of(same.text)
    assert TEXT in same.text
    short = reader.post("/tiny/sara", data=THREE | {"repel": "t"}, headers=ORIGIN)
    assert "What repels: This is one token" in words_of(short.text)
    long = reader.post("/tiny/sara", data=THREE | {"attract": "x" * 40}, headers=ORIGIN)
    assert "What attracts: This is 40 tokens" in words_of(long.text)
    assert reader.post("/tiny/sara", data=THREE, headers={"Origin": "http://elsewhere"}).status_code == 403


def test_a_link_may_carry_all_three_texts(reader):
    three = {"text": "so that the sea", "attract": "she was his and", "repel": "they that it is"}
    made = reader.post("/tiny/sara", data=three, headers=ORIGIN).headers["location"]
    page = reader.get(made).text
    found = contrasted(reader, made)
    carried = unescape(re.search(r'id="carried"[^>]* value="http://testserver([^"]+)"', page)[1])
    said = dict(parse_qsl(urlsplit(carried).query))
    assert {name: said[name] for name in three} == three
    for key in (found["key"], found["attract"]["key"], found["repel"]["key"]):
        reader.post(f"/tiny/p/{key}/delete", headers=ORIGIN)
    assert reader.get(made).status_code == 404
    assert reader.get(carried).status_code == 200
    again = contrasted(reader, made)
    for name in ("odds", "attract", "repel"):
        assert again[name] == found[name]
    assert reader.get(carried.replace("she", "x" * 40)).status_code == 422


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("attract=", "attract is the key of a prompt"),
        ("repel=0123456789abcdef", "Write it anew, at tiny/sara"),
        ("layer=2", "layer goes from 0 to 1"),
        ("rule=other", "'fixed', 'published', 'last' or 'front'"),
        ("pull=6", "5"),
        ("pull=nan", "pull"),
        ("token=%2370&against=%2370", "two tokens"),
        ("token=qqqq", "no single token"),
        ("more=64", "leaves"),
    ],
)
def test_contrasts_that_mean_nothing_are_said_with_what_would_do(reader, drawn, query, words):
    changed = dict(parse_qsl(query, keep_blank_values=True))
    path, said = urlsplit(drawn).path, dict(parse_qsl(urlsplit(drawn).query)) | changed
    for place in (path, f"/api/v1{path}"):
        answer = reader.get(place, params=said)
        assert answer.status_code == 422, answer.text[:200]
        assert words in words_of(answer.text)


def test_one_prompt_twice_and_one_token_are_refused(reader, drawn):
    path, said = urlsplit(drawn).path, dict(parse_qsl(urlsplit(drawn).query))
    same = reader.get(path, params=said | {"repel": said["attract"]})
    assert "nothing lies between them" in words_of(same.text)
    key = reader.post("/tiny/prompt", data={"ids": "70"}, headers=ORIGIN).headers["location"].rpartition("/")[2]
    short = reader.get(path, params=said | {"repel": key})
    assert "two tokens at least" in words_of(short.text)
