import html
import inspect
import io
import re
import shutil
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from safetensors.numpy import load_file

from app.explorer.pages.maps import HomePage, ModelEntry
from app.explorer.visits import browse, orders
from app.models.token_filter import TokenFilter
from app.web.urls.urls import Urls
from app.web.view.glossary import NOTES, TERMS
from tests.pages import CENSUS_PAGE, DIRECTION_PAGE, MATRIX_PAGE, NOTABLE_PAGE

PLACES = ("", "/L1", "/L1/H2", "/L1/H2/ov", "/L1/H2/qk/svd", "/L1/H2/ov/svd/3", "/notable")
PLACES += ("/blind", "/blind?seed=7&answers=lrlrlrlrlr&weights=raw", "/L1/H2/ov?rotated=1", "/L1/H2/ov/svd/3?rotated=1")
PLACES += ("/L1/H2/full", "/L1/H2/full?token=+that", "/L1/H3/full?token=%235&weights=raw")
HEAD = "/tiny/L1/H2"
FEW = "ascii=1&frequent=100"
"""Leaves 77 of 304 tokens: too few for a control."""


def links(tags, html, tag="a"):
    return [attributes.get("href", "") for name, attributes in tags(html).found if name == tag]


def test_one_model_is_the_front_page(client):
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/tiny")


def test_several_models_are_listed_with_their_states(serve, fresh_data, tags):
    page = serve(fresh_data, "tiny", "no-such-folder/here").get("/")
    assert page.status_code == 200
    assert "/tiny" in links(tags, page.text)
    assert "2 layers × 4 heads" in page.text


def test_the_list_comes_back_while_a_model_is_on_its_way(client, monkeypatch):
    def home(_r):
        return HomePage(
            (ModelEntry("a", "importing", None, "Checking it", 2, 5), ModelEntry("b", "failed", None, "No", 0, 0))
        )

    monkeypatch.setattr(browse, "visit_home", home)
    answer = client.get("/")
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in answer.text
    assert 'hx-get="/" hx-trigger="every 2s"' in answer.text
    assert "Refresh" not in answer.headers  # it would reload with JavaScript too
    assert '<progress value="2" max="5"' in answer.text
    assert "<p>Checking it <progress" in answer.text


@pytest.mark.parametrize("place", PLACES)
def test_every_kind_of_page_is_whole_and_well_formed(client, tags, place):
    answer = client.get(f"/tiny{place}")
    assert answer.status_code == 200
    found = tags(answer.text).found
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [tag for tag, _ in found].count("h1") == 1
    labelled = {attributes.get("for") for tag, attributes in found if tag == "label"}
    fields = {attributes["id"] for tag, attributes in found if tag == "input" and "id" in attributes}
    assert fields - labelled <= {"single-keys"}  # its label is around it


@pytest.mark.parametrize("place", PLACES)
def test_no_link_of_a_page_leads_nowhere(client, tags, place):
    html = client.get(f"/tiny{place}").text
    places = {link.partition("#")[0] for link in links(tags, html) + links(tags, html, "link")}
    assert places
    for link in sorted(places - {""}):
        assert client.get(link).status_code in {200, 307}, link


@pytest.mark.parametrize("place", PLACES)
def test_no_anchor_of_a_page_leads_nowhere(client, tags, place):
    html = client.get(f"/tiny{place}").text
    ids = {attributes.get("id") for _, attributes in tags(html).found}
    anchors = {link for link in links(tags, html) if "#" in link}
    assert {link[1:] for link in anchors if link.startswith("#")} <= ids
    assert {link.partition("#")[2] for link in anchors if "/-/glossary#" in link} <= {*TERMS, "keys", "tokens"}


def test_a_page_names_its_twin(client, tags):
    found = tags(client.get(HEAD + "?sort=gap").text).found
    twins = [a["href"] for tag, a in found if tag == "link" and a.get("type") == "application/json"]
    assert twins == ["/api/v1/tiny/L1/H2?sort=gap"]


def test_the_map_links_every_head_and_says_value_and_rank(client, tags):
    cells = [a for tag, a in tags(client.get("/tiny").text).found if tag == "a" and a.get("title", "").startswith("L")]
    heads = [f"/tiny/L{layer}/H{head}" for layer in range(2) for head in range(4)]
    assert [cell["href"] for cell in cells if "/H" in cell["href"]] == heads
    mlps = [f"/tiny/L{layer}/mlp-{part}" for layer in range(2) for part in ("in", "out")]
    assert [cell["href"] for cell in cells if "mlp" in cell["href"]] == mlps
    cells = [cell for cell in cells if "/H" in cell["href"]]
    assert sorted(int(cell["title"].split("rank ")[1].split(" of")[0]) for cell in cells) == list(range(1, 9))


def test_the_chosen_score_stays_when_the_weights_are_switched(client, tags):
    html = client.get("/tiny?score=qk-top").text
    assert "/tiny?weights=raw&score=qk-top" in links(tags, html)


@pytest.mark.parametrize("place", ["/L0", "/L0/H2", "/L0/H2/ov", "/L0/H2/ov/svd/3"])
def test_neighbours_are_linked_for_people_and_keys(client, tags, place):
    found = tags(client.get(f"/tiny{place}").text).found
    for rel in ("prev", "next"):
        hrefs = {attributes["href"] for _, attributes in found if attributes.get("rel") == rel}
        assert len(hrefs) == (0 if (place, rel) == ("/L0", "prev") else 1)


def test_the_address_of_a_decomposition_shows_the_matrix(client):
    rows = [client.get(f"/tiny/L1/H2/ov{tail}").text.split("<tbody>")[1].split("</tbody>")[0] for tail in ("", "/svd")]
    assert rows[0] == rows[1]


def test_raw_weights_say_what_is_missing(client):
    assert NOTES["raw-read"] in client.get(HEAD + "?weights=raw").text
    assert NOTES["raw-read"] not in client.get(HEAD).text


FAMILY_PLACES = (
    "/llama/L1/H2?distance=4",
    "/llama/L1/H2/qk?distance=4&sort=gap&weights=raw",
    "/neox/L0/H3/qk/svd/1?distance=63",
    "/smollm3/L0/H3/qk?distance=1",
    "/bert",
    "/bert/L1/H2/ov",
    "/bert/L1/H2/full?token=%2320",
    "/llama/L1/H2/full?token=%2320&distance=4",
    "/smollm3/L0/H3/full?token=%2320",
    "/mixtral",
)


@pytest.mark.parametrize("place", FAMILY_PLACES)
def test_no_link_of_a_familys_page_leads_nowhere(relatives, tags, place):
    html = relatives.get(place).text
    found = tags(html).found
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(ids) == len(set(ids))
    places = {link.partition("#")[0] for link in links(tags, html) + links(tags, html, "link")}
    for link in sorted(places - {""}):
        assert relatives.get(link).status_code in {200, 307}, link


@pytest.mark.parametrize("place", ["/llama/L1/H2", "/llama/L1/H2/qk", "/llama/L1/H2/qk/svd/3"])
def test_a_distance_is_chosen_by_link_or_form_and_is_named(relatives, tags, place):
    page = relatives.get(f"{place}?weights=raw&distance=4").text
    found = tags(page).found
    (chosen,) = (a for tag, a in found if tag == "a" and a.get("id") == "distance-4")
    assert (chosen["href"], chosen["aria-current"]) == (f"{place}?weights=raw&distance=4", "true")
    (zero,) = (a for tag, a in found if tag == "a" and a.get("id") == "distance-0")
    assert zero["href"] == f"{place}?weights=raw"
    (field,) = (a for tag, a in found if tag == "input" and a.get("name") == "distance" and a["type"] == "number")
    assert (field["value"], field["min"], field["max"]) == ("4", "0", "63")
    assert "at distance 4" in page
    assert NOTES["no-rotation"] not in page
    assert NOTES["no-rotation"] in relatives.get(place).text
    assert relatives.get(place, params={"weights": "raw", "distance": "0"}).status_code == 200


def test_the_distance_stays_on_the_way_through_qk(relatives, tags):
    hrefs = links(tags, relatives.get("/llama/L1/H2/qk/svd/3?distance=4").text)
    for place in ("/llama/L1/H2", "/llama/L1/H2/qk", "/llama/L1/H2/qk/svd/2", "/llama/L1/H2/qk/svd/4"):
        assert f"{place}?distance=4" in hrefs
    assert "/llama/L1" in hrefs
    head = links(tags, relatives.get("/llama/L1/H2?distance=4").text)
    assert "/llama/L1/H2/ov/svd/0" in head
    assert "/llama/L1/H2/qk/svd/0?distance=4" in head
    assert "/smollm3/L1/H0/qk" in links(tags, relatives.get("/smollm3/L0/H3/qk?distance=4").text)


def test_no_distance_is_offered_where_it_means_nothing(relatives, tags):
    for place in ("/llama/L1/H2/ov", "/smollm3/L1/H2/qk", "/bert/L1/H2/qk", "/llama/L1"):
        fields = [a.get("name") for tag, a in tags(relatives.get(place).text).found if tag == "input"]
        assert "distance" not in fields


def test_what_is_sent_cited_or_saved_names_the_distance(relatives):
    page = relatives.get("/llama/L1/H2/qk/svd/3?distance=4").text
    assert "/L1/H2/qk/svd/3?weights=folded&amp;distance=4" in page
    assert "folded weights, at distance 4, of" in page
    answer = relatives.get("/llama/L1/H2/qk?distance=4&format=csv")
    assert "llama-L1H2-QK-folded-distance-4-" in answer.headers["Content-Disposition"]
    near = relatives.get("/llama/L1/H2/qk?format=csv")
    assert "distance" not in near.headers["Content-Disposition"]
    assert answer.text != near.text


def test_an_encoder_offers_raw_weights_only_and_says_why(relatives, tags):
    for place in ("/bert", "/bert/L1/H2/ov", "/bert/notable"):
        page = relatives.get(place).text
        assert "weights=folded" not in "".join(links(tags, page))
        assert "norms stand after its attention" in page
    refused = relatives.get("/bert/L1/H2/ov?weights=folded")
    assert refused.status_code == 422
    assert "norms stand after its attention" in refused.text


def test_a_mixture_of_experts_says_why_its_mlp_has_no_page(relatives):
    assert "4 in each MLP" in relatives.get("/mixtral").text
    answer = relatives.get("/mixtral/L1/mlp-in")
    assert answer.status_code == 404
    assert "a mixture of 4 experts, not one matrix" in answer.text
    assert 'href="/mixtral/L1"' in answer.text


def test_a_model_says_how_it_was_checked(client, tags):
    page = client.get("/tiny").text
    checks = client.get("/api/v1/tiny").json()["model"]["checks"]
    assert (
        f"Verified against the reference forward pass: largest relative error {max(checks.values()):.0e}".replace(
            "e-0", "e-"
        )
        in page
    )
    for name in checks:
        assert f"<dt>{name}</dt>" in page


def test_a_word_that_nothing_has_says_so(client):
    page = client.get(HEAD + "?find=zzzzz")
    assert page.status_code == 200
    assert "0 of 8 directions" in page.text


def test_a_slash_at_the_end_leads_to_the_place_without_it(client):
    answer = client.get("/tiny/L1/")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/tiny/L1")
    assert client.get("/tiny/L1/?weights=raw").headers["Location"] == "/tiny/L1?weights=raw"


@pytest.mark.parametrize("root", ["", "/api/v1"])
def test_what_comes_before_the_stacks_leads_to_the_first(client, pin, root):
    answer = client.get(f"{root}/tiny@{pin}/heads?weights=raw")
    assert (answer.status_code, answer.headers["Location"]) == (307, f"{root}/tiny@{pin}/heads/write?weights=raw")
    assert client.get(answer.headers["Location"]).status_code == 200
    assert client.get(client.get(f"{root}/gpt9/heads").headers["Location"]).status_code == 404
    assert client.get(f"{root}/tiny/heads/sideways").status_code == 404


def test_a_slash_after_that_does_no_harm(client):
    assert client.get("/tiny/heads/").headers["Location"] == "/tiny/heads"


def test_a_line_break_at_the_end_is_no_other_spelling(client):
    assert client.get("/tiny/L1%0a").status_code == 404


def test_control_characters_are_nothing_to_find(client):
    answer = client.get(HEAD, params={"find": "a\0b"})
    assert answer.status_code == 422
    assert "control characters" in answer.text


def test_a_file_has_the_whole_table_and_says_of_which_weights(client, pin):
    answer = client.get(f"{HEAD}/ov?format=csv&weights=raw")
    assert f"tiny-L1H2-OV-raw-{pin[:8]}" in answer.headers["Content-Disposition"]
    assert len({line.split(",")[0] for line in answer.text.splitlines()[1:]}) == 8


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("L1H2", "/tiny/L1/H2"),
        ("l1h2 ov 3", "/tiny/L1/H2/ov/svd/3"),
        ("L1 mlp in neuron 3", "/tiny/L1/mlp-in/neuron/3"),
        ("W_E 3-", "/tiny/embed/svd/3?path=embed.3n#n"),
        ("L1H2.qk.3n", "/tiny/L1/H2/qk/svd/3?path=L1H2.qk.3n#n"),
        ("L1", "/tiny/L1"),
        ("L1H2).", "/tiny/L1/H2"),
        ("census", "/tiny/census"),
        ("tiny/Notable", "/tiny/notable"),
        ("/tiny/L1/H2/full?token=%20a", "/tiny/L1/H2/full?token=+a"),
        ("/-/glossary#z", "/-/glossary#z"),
        ("https://lens.example/tiny/L1/H2/ov/svd/3?weights=raw#n", "/tiny/L1/H2/ov/svd/3?weights=raw#n"),
    ],
)
def test_the_jump_box_leads_there(client, text, place):
    answer = client.get("/tiny/jump", params={"q": text})
    assert (answer.status_code, answer.headers["Location"]) == (303, place)


@pytest.mark.parametrize(
    ("link", "place"),
    [
        ("/tiny/embed/nmf/3?components=5", "/tiny/embed/nmf/3?components=5"),
        ("/tiny/L1/H2?weights=raw", "/tiny/L1/H2?weights=raw"),
        ("/tiny/embed/compare?nonzeros=4", "/tiny/embed/compare?nonzeros=4"),
        ("/tiny/census?weights=raw", "/tiny/census?weights=raw"),
        ("/tiny/L1/H2/full?token=%20a", "/tiny/L1/H2/full?token=+a"),
        ("/tiny/notable?weights=raw", "/tiny/notable?weights=raw"),
        ("/tiny/L1?page=2&page=3", "/tiny/L1?page=2&page=3"),
        ("/-/glossary#z", "/-/glossary#z"),
    ],
)
def test_a_pasted_link_leads_where_it_leads(client, link, place):
    answer = client.get("/tiny/jump", params={"q": f"https://lens.example{link}", "weights": "folded"})
    assert answer.headers["Location"] == place


@pytest.mark.parametrize("link", ["http://[", "https://", "https://lens.example/../etc", "http://a/tiny/L1\r\nX: y"])
def test_a_link_that_is_none_leads_nowhere(client, link):
    assert client.get("/tiny/jump", params={"q": link}).status_code == 404


def test_what_a_pasted_link_asks_is_never_ours_to_obey(client):
    builders = [builder for name, builder in inspect.getmembers(Urls, inspect.isfunction) if name[0] != "_"]
    names = {name for builder in builders for name in inspect.signature(builder).parameters}
    names |= {"always", "kept", "root", "origin", "url", "request", "link", "visited", "asked", "path"}
    assert {"self", "address", "view", "under", "changes"} <= names
    for name in names:
        for place in ("/tiny/L1", "/tiny/census", "/-/glossary"):
            answer = client.get("/tiny/jump", params={"q": f"http://x{place}?{name}=1"})
            assert (answer.status_code, answer.headers["Location"]) == (303, f"{place}?{name}=1")


def test_the_jump_box_keeps_the_pin(client, pin):
    assert client.get(f"/tiny@{pin}/jump?q=L1").headers["Location"] == f"/tiny@{pin}/L1"
    assert client.get(f"/tiny/jump?q=tiny@{pin}/L1").headers["Location"] == f"/tiny@{pin}/L1"


def test_the_jump_box_keeps_the_weights(client):
    assert client.get("/tiny/jump?q=L1&weights=raw").headers["Location"] == "/tiny/L1?weights=raw"
    assert 'name="weights" value="raw"' in client.get("/tiny/L1?weights=raw").text
    assert client.get("/tiny/jump?q=L1&weights=cooked").status_code == 422


@pytest.mark.parametrize("text", ["L9H9", "l1h2 ov 99", "layer 7"])
def test_the_jump_box_says_which_places_there_are(client, text):
    answer = client.get("/tiny/jump", params={"q": text})
    assert answer.status_code == 404
    assert "tiny has" in answer.text or "of tiny" in answer.text


@pytest.mark.parametrize("text", ["", "/", "nonsense", "<script>", "//evil.example/L1", "tiny/../L1"])
def test_the_jump_box_searches_for_what_is_no_place(client, text):
    to = urlsplit(client.get("/tiny/jump", params={"q": text}).headers["Location"])
    assert (to.netloc, to.path) == ("", "/tiny/search")
    assert parse_qs(to.query).get("q", [""]) == [text]


def test_a_head_page_is_light(client):
    packed = int(client.get(HEAD, headers={"Accept-Encoding": "gzip"}).headers["Content-Length"])
    assert packed < 60 * 1024


def test_a_gallery_that_is_there_comes_with_the_model(client):
    assert client.get("/tiny/notable").status_code == 200
    page = client.get("/tiny").text
    assert 'class="notable"' in page
    assert 'hx-trigger="load"' not in page


def test_a_gallery_that_grows_is_kept_by_nobody_and_asks_again(serve, tiny_data, tmp_path, monkeypatch, pin):
    copy = shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))
    client = serve(copy, "tiny")
    whole = client.get(f"/api/v1/tiny@{pin}/notable")
    while not whole.json()["whole"]:
        time.sleep(0.05)
        whole = client.get(f"/api/v1/tiny@{pin}/notable")
    assert whole.headers["Cache-Control"] == "no-cache"
    assert "noscript><meta" not in client.get("/tiny/notable").text
    store = client.app.state.resources.store
    load = store.load
    monkeypatch.setattr(store, "load", lambda recipe: None if recipe.subject.startswith("L1/") else load(recipe))
    monkeypatch.setattr(
        orders, "fulfil_so_far", lambda r, asked: orders.SoFar([r.store.load(asked[0].recipe), None, None], "")
    )
    growing = client.get(f"/api/v1/tiny@{pin}/notable")
    assert (growing.json()["whole"], growing.json()["layers"]) == (False, 1)
    assert growing.headers["Cache-Control"] == "no-store"
    page = client.get("/tiny/notable").text
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page
    assert 'hx-trigger="load delay:2s"' in page
    assert "From 1 of 2 layers so far; the others come as they are read, while this page is open." in page


def test_without_javascript_a_map_that_fills_is_loaded_again_and_a_gallery_of_nobody_says_where_it_grows(
    client, monkeypatch
):
    refresh, elsewhere = '<noscript><meta http-equiv="refresh"', "Without JavaScript the others come on"
    growing, model = replace(NOTABLE_PAGE, whole=False), browse.visit_model

    def shown(score, **changes):
        """Each time another address, so that none is sent again."""
        monkeypatch.setattr(browse, "visit_model", lambda *asked: replace(model(*asked), **changes))
        return client.get(f"/tiny?score={score}").text

    filling = shown("copying", gallery=growing, is_filling=True)
    assert refresh in filling
    assert elsewhere not in filling
    still = shown("ov-top", gallery=growing, is_filling=False)
    assert refresh not in still
    assert elsewhere in still
    assert elsewhere not in shown("qk-top", gallery=NOTABLE_PAGE, is_filling=False)


def test_a_gallery_says_why_a_layer_is_missing_and_asks_seldom(client, monkeypatch):
    page = replace(NOTABLE_PAGE, whole=False, failure="layer-001.safetensors <is damaged>.")
    monkeypatch.setattr(browse, "visit_gallery", lambda *_: page)
    said = client.get("/tiny/notable").text
    assert "Something could not be computed: layer-001.safetensors &lt;is damaged&gt;." in said
    assert 'hx-trigger="load delay:20s"' in said
    assert client.get("/api/v1/tiny/notable").json()["failure"] == page.failure


@pytest.mark.parametrize("place", ["/tiny/L1/H2", "/api/v1/tiny/L1/H2"])
def test_damaged_weights_are_told_by_the_files_name_and_how_to_repair_them(serve, tiny_data, tmp_path, place):
    copy = shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))
    (tokenizer,) = copy.glob("weights/*/tokenizer.json")
    tokenizer.write_bytes(tokenizer.read_bytes().replace(b"the", b"teh"))
    answer = serve(copy, "tiny").get(place)
    assert answer.status_code == 503
    assert "tokenizer.json of these weights is damaged: its checksum does not match" in answer.text
    assert "can repair it with singular-lens import" in answer.text
    assert str(tmp_path) not in answer.text


FULL = "/tiny/L1/H2/full"


def test_a_head_has_a_box_for_a_token(client, relatives, tags):
    def box(visitor, place):
        found = tags(visitor.get(place).text).found
        action = next(a["action"] for tag, a in found if tag == "form" and a["action"].endswith("/full"))
        at = next(i for i, (tag, a) in enumerate(found) if tag == "form" and a["action"] == action)
        end = next(i for i, (tag, _) in enumerate(found) if i > at and tag == "button")
        return action, {a["name"]: a.get("value") for tag, a in found[at:end] if tag == "input"}

    assert box(client, "/tiny/L1/H2?weights=raw&sort=gap&page=1") == (FULL, {"token": "", "weights": "raw"})
    assert box(client, f"{FULL}?token=+that") == (FULL, {"token": "·that"})
    place = "/llama/L1/H2?distance=4"
    assert box(relatives, place) == ("/llama/L1/H2/full", {"token": "", "distance": "4"})
    place = "/llama/L1/H2/full?distance=4&weights=raw&token=%2320"
    assert box(relatives, place)[1].keys() == {"token", "distance", "weights"}


def test_full_circuits_say_where_they_are_and_keep_their_token(client, tags, pin):
    html = client.get(f"{FULL}?token=+that").text
    page = tags(html, {"title", "pre"})
    assert page.texts[0] == "·that in L1H2 full circuits · tiny · singular-lens"
    here = f"{FULL}?token=+that"
    (crumb,) = (a for tag, a in page.found if tag == "a" and a.get("aria-current") == "page")
    assert crumb["href"] == here
    assert {a["href"] for tag, a in page.found if a.get("type") == "application/json"} == {f"/api/v1{here}"}
    assert f"{FULL}?weights=raw&token=+that" in links(tags, html)
    around = {a["rel"]: a["href"] for tag, a in page.found if a.get("rel") in {"prev", "next"}}
    assert around == {rel: f"/tiny/L1/H{head}/full?token=+that" for rel, head in (("prev", 1), ("next", 3))}
    (link,) = (a["value"] for tag, a in page.found if a.get("id") == "link")
    assert link == f"http://testserver/tiny@{pin}/L1/H2/full?weights=folded&token=+that"
    assert link in page.texts[1]
    assert "full circuits of the token ·that" in page.texts[1]


def test_full_circuits_at_a_distance(relatives, tags):
    place = "/llama/L1/H2/full"
    found = tags(relatives.get(f"{place}?token=%2320&distance=4").text).found
    (chosen,) = (a for tag, a in found if tag == "a" and a.get("id") == "distance-4")
    (zero,) = (a for tag, a in found if tag == "a" and a.get("id") == "distance-0")
    assert (chosen["aria-current"], chosen["hx-get"]) == ("true", chosen["href"])
    form = next(a for tag, a in found if tag == "form" and "hx-get" in a)
    assert form["hx-get"] == form["action"] == place
    token = relatives.get(zero["href"])
    assert token.status_code == 200
    assert "distance" not in zero["href"]
    assert "token=" in zero["href"]
    assert relatives.get(f"{place}?token=%2320&distance=64").status_code == 422


def test_a_text_that_is_no_token_is_answered_with_others(client, tags):
    answer = client.get(f"{FULL}?token=THAT&weights=raw")
    assert answer.status_code == 422
    assert "from #0 to #299" in answer.text
    meant = [a["href"] for tag, a in tags(answer.text).found if a.get("class") == "meant"]
    assert f"{FULL}?token=+that&weights=raw" in meant
    assert {client.get(link).status_code for link in meant} == {200}
    assert "/tiny/L1/H2" in links(tags, answer.text)
    json = client.get(f"/api/v1{FULL}?token=THAT")
    assert (json.status_code, json.json()["error"]) == (422, "bad_option")
    assert "·that" in json.json()["detail"]


@pytest.mark.parametrize(
    ("place", "status"),
    [
        (f"{FULL}?token={'x' * 101}", 422),
        (f"{FULL}?token=%00%00", 422),
        (f"{FULL}?token=%2399999999999999999999", 422),
        (f"{FULL}?token=%ff%fe", 422),
        (f"{FULL}?token=<script>alert(1)</script>", 422),
        (f"{FULL}?token=+that&distance=1", 422),
        (f"{FULL}?token=+that&weights=cooked", 422),
        (f"{FULL}/0", 404),
        ("/tiny/L1/H9/full", 404),
        ("/tiny/L01/H2/full", 404),
        ("/tiny/heads/write/full", 404),
        ("/tiny/L1/mlp-in/full", 404),
        ("/tiny@00000000/L1/H2/full", 404),
        ("/nobody/L1/H2/full", 404),
    ],
)
def test_what_full_circuits_do_not_take(client, place, status):
    for root in ("", "/api/v1"):
        answer = client.get(root + place)
        assert answer.status_code == status
        assert "<script>alert" not in answer.text or root


def test_every_hostile_token_has_full_circuits_as_text(hostile, tags):
    from html import escape

    for id_ in range(30):
        page = hostile.get(f"/hostile/L1/H2/full?token=%23{id_}")
        json = hostile.get(f"/api/v1/hostile/L1/H2/full?token=%23{id_}").json()
        assert page.status_code == 200
        assert [tag for tag, _ in tags(page.text).found].count("script") == 3
        again = hostile.get(json["links"]["json"]).json()
        assert again["token"] == json["token"]
        assert escape(json["links"]["page"], quote=True).replace("&#x27;", "&#39;") in page.text
        assert not any(name.startswith("on") for _, a in tags(page.text).found for name in a)


def test_what_a_hostile_text_may_have_meant_is_text_too(hostile, tags):
    for text in ("%3Cscript%3E", "%22", "JAVASCRIPT:alert(1)", "a%CC%81", "%E2%80%AErig"):
        page = hostile.get(f"/hostile/L1/H2/full?token={text}")
        assert page.status_code in {200, 422}
        assert [tag for tag, _ in tags(page.text).found].count("script") == 3
        assert all(a["href"].startswith("/hostile/") for _, a in tags(page.text).found if a.get("class") == "meant")


@pytest.fixture(scope="module")
def census(client):
    """The census of the tiny model, asked for until it is whole."""
    while (page := client.get("/tiny/census").text).count('id="reading"'):
        pass
    return page


def test_a_census_answers_its_questions_and_has_every_kind(client, census, tags):
    assert client.get("/tiny").text.count('href="/tiny/census"') == 1
    assert "Are heads more readable than MLPs, and MLPs than embeddings?" in census
    kinds = client.get("/api/v1/tiny/census").json()["kinds"]
    assert census.count('<figure class="kind">') == len(kinds) == 12
    drawn = [
        attributes["aria-label"]
        for tag, attributes in tags(census).found
        if tag == "svg" and "aria-label" in attributes
    ]
    assert len(drawn) == len(set(drawn)) == 2 * 12 + sum(len(kind["by_layer"]) > 1 for kind in kinds)
    assert "/tiny/census?format=csv" in links(tags, census)
    assert "/tiny/census?weights=raw" in links(tags, census)
    assert 'href="/api/v1/tiny/census"' in census


def test_a_census_in_both_weights_has_both_numbers(client, census):
    while client.get("/api/v1/tiny/census?weights=raw").json()["layers_read"] < 2:
        pass
    assert census.count('<th scope="col">raw</th>') == 0
    assert client.get("/tiny/census").text.count('<th scope="col">raw</th>') == 2
    assert client.get("/tiny/census?weights=raw").text.count('<th scope="col">folded</th>') == 2


def test_a_census_is_the_same_for_people_and_for_programs(client, census, pin):
    answer = client.get("/api/v1/tiny/census")
    told = answer.json()
    assert (told["layers_read"], told["layers"], told["weights"]) == (2, 2, "folded")
    for kind in told["kinds"]:
        assert f"<td>{kind['rays']}</td>" in census
        assert sum(kind["counts"]) == kind["rays"]
    for finding in told["findings"]:
        for sentence in re.split(r"(?<=\.) (?=[A-Z])", finding["answer"]):
            assert sentence in html.unescape(re.sub("</?b>", "", census))
    pinned = client.get(f"/api/v1/tiny@{pin}/census")
    assert pinned.json()["kinds"] == told["kinds"]


def test_a_census_as_a_file(client, census, pin):
    answer = client.get("/tiny/census?format=csv&weights=folded")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="tiny-census-folded-{pin}.csv"'
    header, *lines = answer.text.splitlines()
    assert header == "layer,head,matrix,side,equal_rank_draw,direction,relative_rank,ray,z,p"
    drawn = [line for line in lines if "-span," in line or "-weighted," in line]
    assert len(drawn) > 0
    assert len(lines) - len(drawn) == sum(
        kind["rays"] + kind["unjudged"] for kind in client.get("/api/v1/tiny/census").json()["kinds"]
    )


def test_a_census_shows_what_its_controls_cannot(client, monkeypatch):
    (kind,) = CENSUS_PAGE.kinds
    few = replace(kind, discovered=0.0, at_floor=31, needed_at_floor=46)
    monkeypatch.setattr("app.web.routes.pages.visit_census", lambda *_: replace(CENSUS_PAGE, kinds=(few,)))
    said = client.get("/tiny/census").text
    assert "of those needed: OV write 31 of 46." in said
    monkeypatch.setattr("app.web.routes.pages.visit_census", lambda *_: CENSUS_PAGE)
    assert "of those needed" not in client.get("/tiny/census").text


@pytest.mark.parametrize("is_deep", [True, False])
def test_a_census_says_where_no_depth_can_be_told(client, monkeypatch, is_deep):
    (kind,) = CENSUS_PAGE.kinds
    page = CENSUS_PAGE if is_deep else replace(CENSUS_PAGE, kinds=(replace(kind, depths=()),))
    monkeypatch.setattr("app.web.routes.pages.visit_census", lambda *_: page)
    said = client.get("/tiny/census").text
    assert ("too few to say at which depth" in said) == (not is_deep)
    assert ('id="depths"' in said) == is_deep


def test_a_census_says_what_an_interval_draws(client, monkeypatch):
    monkeypatch.setattr("app.web.routes.pages.visit_census", lambda *_: CENSUS_PAGE)
    said = client.get("/tiny/census").text
    assert "an interval draws whole layers" in said
    assert f"Of {CENSUS_PAGE.n_intervals} intervals at 95% behind these answers, at least one in twenty" in said


def test_a_census_says_how_far_it_is(serve, fresh_data):
    impatient = serve(fresh_data, "tiny", wait_seconds=0.0)
    assert impatient.get("/tiny/census").status_code == 202
    file = impatient.get("/tiny/census?format=csv")
    assert (file.status_code, file.headers["Retry-After"]) == (503, "2")
    assert file.headers["Content-Type"].startswith("text/plain")
    answer = impatient.get("/api/v1/tiny/census")
    assert (answer.status_code, answer.json()["error"]) == (202, "not_ready")
    while (answer := impatient.get("/tiny/census")).status_code == 202:
        assert ">tiny, census · computing…</h1>" in answer.text
    if 'id="reading"' in answer.text:
        assert "layers are read" in answer.text
        assert "Every end as CSV" not in answer.text
    while 'id="reading"' in (page := impatient.get("/tiny/census").text):
        pass
    assert "Every end as CSV" in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nobody/census", 404),
        ("/tiny/census?weights=boiled", 422),
        ("/tiny/census?format=pdf", 422),
        ("/tiny/L1/census", 404),
        ("/tiny@00000000/census", 404),
    ],
)
def test_there_is_no_other_census(client, path, status):
    assert client.get(path).status_code == status


def cells(tags, html, kind):
    """The class and tooltip of each paragraph in cells of that class."""
    found, inside = [], False
    for tag, attributes in tags(html).found:
        if tag in {"td", "th"}:
            inside = kind in attributes.get("class", "").split()
        elif tag == "p" and inside:
            found.append((attributes["class"].split()[0], attributes.get("title")))
    return found


@pytest.mark.parametrize("place", ["/L1/H2", "/L1/H2/qk", "/L1/mlp-out", "/pos"])
def test_a_table_has_a_z_for_every_judged_ray(client, tags, place):
    page = client.get(f"/api/v1/tiny{place}").json()
    tables = [page["ov"], page["qk"]] if "ov" in page else [page]
    judged = [
        one[side]["rays"][ray]
        for table in tables
        for one in table["directions"]
        for side in ("left", "right")
        if one[side]["rays"]
        for ray in ("plus", "minus")
    ]
    found = cells(tags, client.get(f"/tiny{place}").text, "z")
    assert [end for end, _ in found] == ["p", "n"] * (len(judged) // 2)
    assert judged
    for (_, about), one in zip(found, judged, strict=True):
        said = about.partition(" · z ")[2].partition(" · p ")[0].replace("−", "-").split(", ")
        assert [float(z) for z in said] == pytest.approx(one["z"], abs=0.051)


@pytest.mark.parametrize(
    ("place", "label", "of"),
    [("L1/mlp-in", "L1 MLP in neuron 35", ""), ("embed", "embedding neuron 20", "coordinate 20 of the stream, ")],
)
def test_whatever_names_a_neuron_names_it_by_its_own_number(client, place, label, of):
    number = int(label.split()[-1])
    path = f"/tiny/{place}/neuron/{number}"
    page, html = client.get(f"/api/v1{path}").json(), client.get(path).text
    assert (page["label"], page["index"], page["unit"]) == (label, number, number)
    rank = 1 + page["singular_values"].index(page["singular_value"])
    assert f"<h1>{label}</h1>" in html
    assert f"<span>{of}{rank} of {page['rank']} by norm</span>" in html
    assert f"<title>{label} " in html
    assert f"@misc{{singular-lens:tiny:{label.replace(' ', '-')}," in html
    assert (page["links"]["previous"], page["links"]["next"]) == tuple(
        f"/api/v1/tiny/{place}/neuron/{each}" for each in (number - 1, number + 1)
    )
    bars = re.findall(r'href="([^"]*)" class="on" aria-current="page"><title>(\d+) ', html)
    assert bars == [(path, str(number))]
    assert client.get(f"/tiny/jump?q={label}", follow_redirects=False).headers["location"] == path
    table = client.get(f"/tiny/{place}/neuron?find={number}").text if not of else ""
    assert of or f'<th scope="row"><a href="{path}">{number}</a></th>' in table


def test_a_side_of_the_vectors_own_entries_has_no_z(client, tags):
    html = client.get("/tiny/L1/mlp-out").text
    assert "z write</a>" in html
    assert "z neuron" not in html
    assert "sort=readable-right" in html
    assert "sort=readable-left" not in html


def test_a_layer_says_how_many_of_its_ends_stand_out_and_marks_no_other(client):
    for head in range(4):
        client.get(f"/tiny/L1/H{head}")
    heads = client.get("/api/v1/tiny/L1").json()["heads"]
    strongest = [each for pair in heads for circuit in ("ov", "qk") for each in pair[circuit]["strongest"]]
    plus = [each[side]["rays"]["plus"] for each in strongest for side in ("left", "right")]
    judged = [ray for ray in plus if ray["p"][-1] is not None]
    n = sum(ray["p"][-1] < 0.01 and ray["q"] < 0.1 for ray in judged)
    html = client.get("/tiny/L1").text
    assert f"(p < .01 and FDR 10%): {n} of the {len(judged)} sides of ends here" in html
    assert html.count('aria-label="stands out"') == n


def test_a_table_says_how_many_of_its_rays_are_readable_and_leads_to_them(client, tags):
    (read, write) = client.get("/api/v1/tiny/L1/H2/ov").json()["verdicts"]
    html = client.get("/tiny/L1/H2/ov?weights=folded").text
    lines = html.split('<ul class="verdicts">')[1].split("</ul>")[0].split("<li>")[1:]
    for verdict, line in zip((read, write), lines, strict=True):
        assert f"<b>{verdict['side']}</b>" in line
        assert f">{verdict['n_readable']}</a> of {verdict['n_rays']} ends" in line
        assert f"chance: {verdict['n_rays'] / 100:.1f}" in line
        for kind, n in verdict["classes"].items():
            assert (f'only={kind}"' in line) == (n > 0)
    assert "/tiny/L1/H2/ov?only=readable" in links(tags, html)


def test_rows_that_pass_a_filter_are_counted_in_words(client):
    kept = client.get("/api/v1/tiny/L1/H2/ov?only=neither").json()["n_found"]
    assert f"{kept} of 8 directions have no readable end on a side." in client.get("/tiny/L1/H2/ov?only=neither").text
    both = client.get("/tiny/L1/H2/ov?only=neither&find=zzz").text
    assert "0 of 8 directions have no readable end on a side and have “<bdi>zzz</bdi>”" in both


@pytest.mark.parametrize("place", ["/L1/H2", "/L1/H2/qk", "/L1/H2/ov/svd/3", "/embed/neuron/2"])
def test_a_token_filter_is_said_stays_and_can_be_left(client, tags, place):
    html = client.get(f"/tiny{place}?ascii=1&frequent=100").text
    assert "ASCII only, without the first 100 ids" in html
    fields = {a["name"]: a for tag, a in tags(html).found if tag == "input" and "name" in a}
    assert "checked" in fields["ascii"]
    assert "checked" not in fields["starts"]
    offered = {a["value"]: "selected" in a for tag, a in tags(html).found if tag == "option" and a["value"].isdigit()}
    assert offered == {"0": False, "100": True}  # of 304 tokens
    assert any("open" in a for tag, a in tags(html).found if a.get("id") == "token-filters")
    (back,) = [a["href"] for tag, a in tags(html).found if a.get("id") == "all-tokens"]
    assert back == f"/tiny{place}"
    steps = [a["href"] for tag, a in tags(html).found if a.get("rel") == "next"]
    assert all("ascii=1" in step and "frequent=100" in step for step in steps)


@pytest.mark.parametrize(
    ("frequent", "near"),
    [("7", {"0", "100"}), ("490", {"100", "500"}), ("-1", {"0", "100"}), ("9" * 300, {"1000", "5000"})],
)
def test_another_number_of_ids_names_those_that_there_are(client, tags, frequent, near):
    url = f"/L1/H2/ov?ascii=1&frequent={frequent}&sort=gap"
    answer = client.get(f"/tiny{url}")
    assert answer.status_code == 422
    assert client.get(f"/api/v1/tiny{url}").json()["detail"] == "frequent is 0, 100, 500, 1,000 or 5,000."
    meant = {a["href"] for tag, a in tags(answer.text).found if a.get("class") == "meant"}
    assert meant == {f"/tiny/L1/H2/ov?ascii=1&frequent={value}&sort=gap" for value in near}


@pytest.mark.parametrize("odd", ["abc", "", "1.5", "１００", "1e2"])
def test_what_is_no_number_is_told_which_there_are(client, odd):
    answer = client.get("/api/v1/tiny/L1/H2/ov", params={"frequent": odd})
    assert answer.status_code == 422
    assert "0, 100, 500, 1,000 or 5,000" in answer.json()["detail"]


@pytest.mark.parametrize("place", ["/L1/H2", "/L1/H2/ov/svd/3"])
def test_a_filter_that_leaves_too_little_leads_back(client, tags, place):
    answer = client.get(f"/tiny{place}?frequent=500")
    assert answer.status_code == 422
    assert "frequent goes from 0 to 303" in answer.text
    assert f"/tiny{place}" in links(tags, answer.text)
    part = client.get(
        f"/tiny{place}?frequent=500",
        headers={"HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": "div#place"},
    )
    assert part.status_code == 422
    assert 'id="place"' in part.text
    assert f"/tiny{place}" in links(tags, part.text)


def test_what_cannot_be_judged_says_why(client):
    assert "Nothing is judged here: too few trained tokens that pass the filter" in client.get(f"{HEAD}?{FEW}").text
    alone = client.get(f"{HEAD}/ov/svd/1?{FEW}").text
    assert "too few trained tokens that pass the filter for a control" in alone
    assert "entries of the vector itself" in client.get("/tiny/L1/mlp-in/svd/1").text


def test_where_nothing_is_judged_nothing_is_offered_that_needs_it(client):
    for place in ("/tiny/L1/H2/ov", "/tiny/L1/H2/ov/svd/1"):
        whole, less = client.get(place).text, client.get(f"{place}?{FEW}").text
        for offer in ("rotated=1",) + (("sort=readable",) if place.endswith("ov") else ()):
            assert offer in whole
            assert offer not in less
    table = client.get(f"/tiny/L1/H2/ov?{FEW}&rotated=1").text
    assert "rotation</a>" not in table
    assert "There is nothing to hold it against" in client.get(f"/tiny/L1/H2/ov/svd/1?{FEW}&rotated=1").text


@pytest.mark.parametrize("place", ["/L1/H2/ov", "/L1/mlp-out", "/L1/mlp-in"])
def test_each_z_has_its_own_p_among_random_rotations_beside_it(client, place):
    page = client.get(f"/api/v1/tiny{place}?rotated=1").json()
    expected = [
        one[side]["rays"][ray]["rotation_p"]
        for one in page["directions"]
        for side in ("left", "right")
        if one[side]["rays"]
        for ray in ("plus", "minus")
    ]
    html = client.get(f"/tiny{place}?rotated=1").text
    found = re.findall(r'<p class="[pn][^>]*>[^<]* <small class="versus( better)?">rot ([^<•]*)(•?)</small></p>', html)
    assert [float(p) for _, p, _ in found] == pytest.approx(expected, rel=0.05)
    assert [(bool(better), bool(dot)) for better, _, dot in found] == [(p <= 0.05, p <= 0.05) for p in expected]
    columns = html.split('<table class="directions">')[1].split("</thead>")[0].count("<th ")
    rows = re.findall(r"<tfoot>.*?</tfoot>|<tr>\s*<th scope=\"row\"><a .*?</tr>", html, re.DOTALL)
    assert len(rows) == len(page["directions"]) + html.count("<tfoot>")
    for row in rows:
        spans = [int(span) for span in re.findall(r'colspan="(\d+)"', row)]
        assert len(re.findall(r"<t[hd][ >]", row)) + sum(spans) - len(spans) == columns


def test_no_blind_round_is_offered_where_the_gallery_says_nothing_is_judged(client, relatives):
    for visitor, slug, is_judged in ((client, "tiny", True), (relatives, "llama", False)):
        assert ("cannot be told" not in visitor.get(f"/{slug}/notable").text) == is_judged
        assert (f'href="/{slug}/blind' in visitor.get(f"/{slug}").text) == is_judged


def test_a_direction_stands_beside_its_control(client, tags):
    page = client.get("/api/v1/tiny/L1/H2/ov/svd/3").json()
    html = client.get("/tiny/L1/H2/ov/svd/3").text
    pictures = [a for tag, a in tags(html).found if tag == "svg" and "control" in a.get("class", "").split()]
    assert len(pictures) == 2
    for side, control in zip(("left", "right"), page["controls"], strict=True):
        rays = page[side]["rays"]
        assert f"Coherence of {sum(control['counts']):,} random ends" in html
        reasons = ("lead over the other may be chance", "A number is missing")
        known = rays["difference_p"] is not None and all(rays[ray]["p"][-1] is not None for ray in ("plus", "minus"))
        said = reasons[0 if known else 1] if rays["kind"] == "undetermined" else TERMS[rays["kind"]].sentence
        assert said in html
    verdicts = html.split('<section class="judgements"')[1]
    assert verdicts.count("random ends are as alike") + verdicts.count("more alike than all") == 4
    lines = re.findall(r'<p class="outcome">(.*?)</p>', html)
    rays = [page[side]["rays"][ray] for ray in ("plus", "minus") for side in ("left", "right")]
    for line, one in zip(lines, rays, strict=True):
        assert ("●" in line) == ("stands out" in line) == (one["p"][-1] < 0.01 and one["q"] < 0.1)


@pytest.mark.parametrize(("q", "is_named"), [(0.05, True), (0.3, False)])
def test_an_end_that_may_be_chance_is_given_no_name(client, monkeypatch, q, is_named):
    one = DIRECTION_PAGE
    plus = replace(one.right.rays.plus, p=(0.5, 0.5, 0.005), q=q, reading="spelling")
    side = replace(one.right, rays=replace(one.right.rays, plus=plus))
    page = replace(DIRECTION_PAGE, right=side, controls=DIRECTION_PAGE.controls[:1] * 2)
    monkeypatch.setattr(browse, "visit_direction", lambda *_: page)
    said = client.get("/tiny/L1/H2/ov/svd/3").text
    words = said.split('<section class="judgements"')
    assert (">spelling</a></b>" in words[0]) == is_named
    assert (">Readable</a>:</strong>" in words[1]) == is_named
    assert ("Spelling</a>: only words" in words[1]) == is_named
    assert ("which in a list this long may be chance" in words[0]) == (not is_named)
    assert ("which in a list this long may be chance.\n" in words[1]) == (not is_named)


@pytest.mark.parametrize("place", ["", "/L1/H2", "/embed", "/unembed/svd/1", "/embed/compare"])
def test_a_title_names_the_model(client, place):
    name = client.get("/api/v1/tiny").json()["model"]["name"]
    (title,) = re.findall("<title>(.*?)</title>", client.get(f"/tiny{place}").text.split("</head>")[0])
    assert name in title


def test_tables_are_offered_as_files_with_all_that_is_kept(client, tags):
    head = links(tags, client.get("/tiny/L1/H2?sort=gap").text)
    assert {"/tiny/L1/H2/ov?format=npz", "/tiny/L1/H2/qk?format=npz"} <= set(head)
    for place in ("/tiny/L1/H2", "/tiny/L1/H2/ov", "/tiny/embed"):
        (file,) = [url for url in links(tags, client.get(f"{place}?sort=gap").text) if "format=csv" in url]
        assert "k=50" in file
        assert "sort=gap" in file
        assert client.get(file).status_code == 200


@pytest.mark.parametrize("place", ["/L1/H2", "/L1/H2/ov", "/L1/H2/ov/svd/3", "/embed"])
def test_a_filter_is_said_to_judge_only_where_something_is_judged(client, place):
    judged, unjudged = (client.get(f"/tiny{place}?{tokens}").text for tokens in ("frequent=100", FEW))
    assert "judged by their own" in judged
    assert "without the first 100 ids" in unjudged
    assert "judged by their own" not in unjudged


def test_a_side_that_is_not_judged_says_so_beside_one_that_is(client, monkeypatch):
    page = replace(MATRIX_PAGE, view=replace(MATRIX_PAGE.view, token_filter=TokenFilter(frequent=20)))
    assert [one.side for one in page.verdicts] == ["read"]
    monkeypatch.setattr(browse, "visit_matrix", lambda *_: page)
    said = client.get("/tiny/L1/H2/ov").text
    assert "<li><b>write</b> is not judged: too few trained tokens that pass the filter" in said
    assert said.count("is not judged") == 1


@pytest.mark.parametrize(
    "place", ["/L1/H2/ov", "/L1/H2/qk", "/L1/mlp-in", "/embed", "/pos", "/heads/write", "/embed/pca"]
)
def test_where_all_is_judged_that_can_be_nothing_is_said_to_be_unjudged(client, place):
    said = client.get(f"/tiny{place}").text
    assert 'class="verdicts"' in said
    assert "is not judged" not in said


def test_a_gallery_has_a_name_and_both_weights(client, tags):
    html = client.get("/tiny/notable?weights=raw").text
    assert "<h1>Gallery of tiny</h1>" in html
    switch = html.split('aria-label="Weights"')[1].split("</nav>")[0]
    assert '<a href="/tiny/notable">folded</a>' in switch
    assert '<a href="/tiny/notable?weights=raw" aria-current="true">raw</a>' in switch
    assert "/tiny/notable?weights=raw" in links(tags, client.get("/tiny?weights=raw").text)


@pytest.mark.parametrize("place", ["/L1/H2", "/L1/mlp-out", "/L1/H2/ov/svd/3", "/embed/pca/2"])
def test_tokens_are_ranked_by_dot_product_or_cosine(client, tags, place):
    page, other = client.get(f"/tiny{place}").text, client.get(f"/tiny{place}?readout=cosine").text
    assert f'<a href="/tiny{place}?readout=cosine">cosine</a>' in page
    assert f'<a href="/tiny{place}?readout=cosine" aria-current="true">cosine</a>' in other
    assert f'<a href="/tiny{place}">dot</a>' in other
    steps = [a["href"] for tag, a in tags(other).found if a.get("rel") == "next"]
    assert all("readout=cosine" in step for step in steps)
    assert client.get(f"/tiny{place}?readout=angle").status_code == 422


@pytest.mark.parametrize("place", ["", "/L1", "/census", "/notable", "/L1/H2/full", "/embed/compare"])
def test_pages_of_dot_products_only_offer_no_cosines(client, place):
    assert "readout=" not in client.get(f"/tiny{place}").text
    assert client.get(f"/tiny{place}?readout=cosine").status_code == 422


def test_a_cosine_is_the_angle_between_direction_and_token(client, gpt2_folder):
    """Against the checkpoint, by the vectors that the file has."""
    W_E = load_file(gpt2_folder / "model.safetensors")["transformer.wte.weight"].astype(np.float64)
    place = "/tiny/L1/H2/ov/svd/1"
    file = np.load(io.BytesIO(client.get(f"{place}?weights=raw&format=npz").content))
    direction = file["right"][0].astype(np.float64)
    found = client.get(f"/api/v1{place}?weights=raw&readout=cosine").json()
    dot = client.get(f"/api/v1{place}?weights=raw").json()
    assert (found["readout"], dot["readout"]) == ("cosine", "dot")
    cosines = W_E @ direction / np.linalg.norm(W_E, axis=1) / np.linalg.norm(direction)
    for token in (*found["right"]["plus"], *found["right"]["minus"]):
        assert token["score"] == pytest.approx(cosines[token["id"]], abs=1e-6)
    assert [token["id"] for token in found["right"]["plus"]][:10] == np.argsort(-cosines[:300])[:10].tolist()
    assert found["right"]["rays"]["plus"]["z"] != dot["right"]["rays"]["plus"]["z"]
    csv = client.get(f"{place}?weights=raw&readout=cosine&format=csv")
    assert str(found["right"]["plus"][0]["score"]) in csv.text
    assert "cosine" in csv.headers["Content-Disposition"]


@pytest.mark.parametrize(
    "place", ["/tiny", "/tiny/L1", "/tiny/census", "/tiny/notable", "/tiny/blind", "/tiny/embed/compare"]
)
def test_a_filter_of_tokens_is_refused_where_all_are_shown(client, place):
    answer = client.get(f"{place}?ascii=1")
    assert answer.status_code == 422
    assert "ascii" in answer.text
    if place != "/tiny/blind":
        assert client.get(f"/api/v1{place}?ascii=1").status_code == 422


def test_a_matrix_that_is_zero_has_nothing_to_compare(client, monkeypatch):
    nothing = replace(MATRIX_PAGE, rank=0, directions=(), singular_values=(), indices=(), notes=("zero-matrix",))
    for page, is_offered in ((MATRIX_PAGE, True), (nothing, False)):
        monkeypatch.setattr(browse, "visit_matrix", lambda *_words, page=page: page)
        assert ("/ov/compare" in client.get("/tiny/L1/H2/ov").text) == is_offered


@pytest.mark.parametrize("place", ["/L1/H2/ov", "/L1/H2/qk?weights=raw", "/L1/mlp-out"])
def test_the_mark_stands_where_both_thresholds_are_passed(client, tags, place):
    page = client.get(f"/api/v1/tiny{place}").json()
    rays = [
        row[side]["rays"][ray]
        for row in page["directions"]
        for side in ("left", "right")
        if row[side]["rays"]
        for ray in ("plus", "minus")
    ]
    cells = re.findall(r'<p class="([pn](?: stands-out)?)" title="[^"]*">([^<]*)</p>', client.get(f"/tiny{place}").text)
    assert len(cells) == len(rays) > 0
    for (classes, z), one in zip(cells, rays, strict=True):
        stands_out = one["p"][-1] is not None and one["p"][-1] < 0.01 and one["q"] < 0.1
        assert ("stands-out" in classes) == z.endswith("●") == stands_out


def test_a_fit_that_is_not_there_looks_it(client, tags):
    absent = [a for tag, a in tags(client.get("/tiny/embed").text).found if a.get("class") == "absent-fit"]
    assert [a["href"] for a in absent] == [f"/tiny/embed/{name}" for name in ("nmf", "ica", "dictionary")]
    assert all("Not computed on this server" in a["title"] for a in absent)
    assert "absent-fit" not in client.get("/tiny/L1/H2/ov").text


def test_a_bar_says_the_classes_and_how_many_stand_out(client):
    (read, _) = client.get("/api/v1/tiny/L1/H2/ov").json()["verdicts"]
    html = client.get("/tiny/L1/H2/ov").text
    said = {"antipodal": "both ends", "one-sided": "one end", "undetermined": "can&#39;t tell", "neither": "no end"}
    title = ", ".join(f"{words}: {read['classes'][kind]}" for kind, words in said.items())
    assert f"<title>Readable at {title}</title>" in html
    assert f"● {min(read['n_readable'], read['n_found'])}</a> of {read['n_rays']} ends" in html


def test_cells_of_the_map_that_are_not_computed_are_hatched_and_no_others(serve, data, tmp_path, tags):
    fresh = shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))
    client = serve(fresh, "tiny")
    hatched = []
    for places in (
        (),
        ("L0/H0/ov", "L0/H0/qk"),
        tuple(f"L{n}/H{h}/{c}" for n in (0, 1) for h in range(4) for c in ("ov", "qk")),
    ):
        for place in places:
            client.get(f"/tiny/{place}")
        classes = [own.get("class") for tag, own in tags(client.get("/tiny").text).found if tag == "td"]
        hatched.append((classes.count("uncomputed"), classes.count("kept")))
    assert hatched == [(0, 0), (7, 0), (0, 0)]


def test_heads_of_one_value_have_one_number_in_the_list(client, tags):
    page = client.get("/tiny?ranked=all")
    numbers = [int(own["value"]) for tag, own in tags(page.text).found if tag == "li" and "value" in own]
    cells = [cell for row in client.get("/api/v1/tiny").json()["map"]["rows"] for cell in row]
    assert numbers == sorted(cell["rank"] for cell in cells)


@pytest.mark.parametrize(("own_q", "is_said"), [(0.05, True), (0.5, False), (None, False)])
def test_only_an_end_that_stands_out_is_called_something(client, monkeypatch, own_q, is_said):
    (one,) = NOTABLE_PAGE.rays
    shown = replace(NOTABLE_PAGE, rays=(replace(one, reading="one word", own_q=own_q),))
    monkeypatch.setattr(browse, "visit_gallery", lambda *_: shown)
    page = client.get("/tiny/notable").text
    assert (">one word</span>" in page) == ('aria-label="stands out"' in page) == is_said


def test_how_to_read_one_shows_the_chips_of_the_card(client, monkeypatch, tags):
    (one,) = NOTABLE_PAGE.rays
    first = one.readouts[0].tokens[0]
    spelt = [" red", "blue", "green", "pink", "grey", "Red", "RED", " Blue", *map(str, range(30))]
    tokens = tuple(first._replace(id=id_, text=text, shown=text.strip()) for id_, text in enumerate(spelt))
    one = replace(one, readouts=(replace(one.readouts[1], tokens=tokens),))
    shown = HomePage((ModelEntry("tiny", "failed", None, "", 0, 0),) * 2, replace(NOTABLE_PAGE, rays=(one,)))
    monkeypatch.setattr(browse, "visit_home", lambda _: shown)
    page = client.get("/").text
    card, how = page.split('id="how"')
    chips = [[own["title"] for tag, own in tags(part).found if tag == "bdi"] for part in (card, how)]
    assert chips[1] == chips[0][:5]
    assert len(chips[0]) == 10
    assert tags(how, text_of=("bdi",)).texts[:2] == ["red ×3", "blue ×2"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("layer=-1", "layer goes from 0 to 1, or ends"),
        ("layer=10000", "layer goes from 0 to 1, or ends"),
        ("layer=L2", "layer goes from 0 to 1, or ends"),
        ("kind=" + "x" * 99, "kind must be one of ov, qk"),
        ("side=" + "x" * 99, "side must be one of read, write, query, key"),
        ("page=99999999", "There is no page 99999999: there are 1"),
        ("format=csv", "a gallery is no file"),
    ],
)
def test_what_a_gallery_refuses_is_said_in_a_sentence(client, query, said):
    for place in ("/tiny/notable", "/api/v1/tiny/notable"):
        answer = client.get(f"{place}?{query}")
        assert answer.status_code == 422
        assert said in html.unescape(answer.text)


@pytest.mark.parametrize(("layer", "meant"), [("L1", "1"), ("l0", "0"), ("ENDS", "ends")])
def test_a_layer_is_sought_by_the_name_that_pages_give_it(client, layer, meant):
    assert client.get(f"/api/v1/tiny/notable?layer={layer}").json()["sought"]["layer"] == meant


def test_a_score_that_there_is_none_of_names_those_there_are(client):
    assert "score must be one of copying, " in client.get("/tiny?score=" + "x" * 99).text


@pytest.mark.parametrize("place", ["", "/L1"])
def test_page_and_text_of_what_has_no_table_stay_out_of_its_links(client, tags, place):
    hrefs = links(tags, client.get(f"/tiny{place}?page=3&find=xyz&weights=raw").text)
    heads = [href for href in hrefs if href.startswith("/tiny/L1/H")]
    assert heads
    assert not [href for href in heads if "find=" in href or "page=" in href]
