import re
from collections import Counter

import pytest

from app.core.basis import BASES
from app.core.judging.forms import form_of
from tests.answers import check_answer, example_of

PATHS = {
    "models": "/",
    "jobs": "/-/jobs",
    "job": "/-/jobs/{job}",
    "model": "/tiny?score=qk-top",
    "notable": "/tiny/notable",
    "census": "/tiny/census",
    "blind": "/tiny/blind?answers=lrlrlrlrlr",
    "layer": "/tiny/L1",
    "head": "/tiny/L1/H2?sort=gap",
    "full": "/tiny/L1/H2/full?token=%20that",
    "contrast": "/-/compare?a=tiny/L1/H2&b=L0H1.ov",
    "matrix": "/tiny/L1/H2/qk?weights=raw",
    "decomposition": "/tiny/L1/H2/ov/svd",
    "direction": "/tiny/L1/H2/ov/svd/3",
}


@pytest.mark.parametrize("kind", PATHS)
def test_answers_have_the_form_that_is_described(client, job, kind):
    check_answer(kind, client.get("/api/v1" + PATHS[kind].format(job=job.id)).json())


@pytest.mark.parametrize("place", ["llama/L1/H2?distance=3", "bert/L1/H2/qk", "gpt-oss/L1/H2/ov", "mixtral"])
def test_answers_of_other_families_have_that_form_too(relatives, place):
    kind = {0: "model", 2: "head", 3: "matrix"}[place.count("/")]
    check_answer(kind, relatives.get(f"/api/v1/{place}").json())


@pytest.mark.parametrize(
    ("place", "label"),
    [
        ("L1/mlp-in", "L1 MLP in"),
        ("L1/mlp-out/neuron", "L1 MLP out neuron"),
        ("L1/mlp-in/pca/3", "L1 MLP in pca 3"),
        ("embed/svd/3", "embedding 3"),
        ("embed/frequency", "embedding frequency"),
        ("unembed/svd/3", "unembedding 3"),
        ("pos/svd/1", "positions 1"),
        ("heads/write/svd/1", "OV outputs 1"),
        ("heads/read", "OV inputs"),
    ],
)
def test_every_matrix_and_basis_has_the_same_form(client, place, label):
    kind = "direction" if place[-1].isdigit() else "matrix"
    answer = client.get(f"/api/v1/tiny/{place}")
    page = check_answer(kind, answer.json())
    assert (page["label"], page["address"]) == (label, f"tiny/{place}")
    assert page["matrix"] in place
    assert page["basis"] == next((word for word in place.split("/") if word in BASES), "svd")


def shown(tags, html):
    """Id and score, as its tooltip says them, of every token of a page; of one that is merged, of all that it is."""
    titles = [attributes["title"] for tag, attributes in tags(html).found if tag == "bdi" and "title" in attributes]
    told = []
    for title in titles:
        merged = re.findall(r"(-?[0-9.]+) \(id (\d+)\)", title)
        told += [(id_, score) for score, id_ in merged] or [re.search(r"id (\d+) · (-?[0-9.]+)", title).groups()]
    return told


def said(tokens):
    return [(str(token["id"]), f"{token['score']:.3f}") for token in tokens]


def test_page_and_json_of_a_direction_show_the_same_tokens(client, tags):
    html, json = client.get("/tiny/L1/H2/qk/svd/3").text, client.get("/api/v1/tiny/L1/H2/qk/svd/3").json()
    expected = [token for ray in ("plus", "minus") for side in ("left", "right") for token in json[side][ray]]
    one_by_one = html.split('<details class="kept">')[1].split("</details>")[0]
    assert shown(tags, one_by_one) == said(expected)
    assert len(expected) == 200
    ends = re.findall(r'<ol class="bars">.*?</ol>', html, re.DOTALL)
    for end, (ray, side) in zip(ends, [(r, s) for r in ("plus", "minus") for s in ("left", "right")], strict=True):
        assert end.count("<li>") == 12
        assert set(shown(tags, end)) <= set(said(json[side][ray]))


@pytest.mark.parametrize("query", ["", "?sort=weakest", "?weights=raw", "?sort=closest&page=1", "?find=the"])
def test_page_and_json_of_a_matrix_show_the_same_rows(client, tags, query):
    html, json = client.get(f"/tiny/L0/H1/ov{query}").text, client.get(f"/api/v1/tiny/L0/H1/ov{query}").json()
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    links = [own["href"] for tag, own in tags(body).found if tag == "a" and "/token/" not in own["href"]]
    assert [link.partition("?")[0] for link in links] == ["/" + row["address"] for row in json["directions"]]
    tokens = [
        token
        for row in json["directions"]
        for side in ("left", "right")
        for ray in ("plus", "minus")
        for token in row[side][ray]
    ]
    tokens += [
        one
        for row in json["directions"]
        for side in ("left", "right")
        for one in row[side]["found"]
        if one["place"] > 8
    ]
    # The page's words are merged out of more tokens than a row of JSON has.
    assert not Counter(said(tokens)) - Counter(shown(tags, body))
    assert body.count("<mark>") == 0 or query == "?find=the"


@pytest.mark.parametrize("place", ["L0/H1/ov", "L1/H2/qk", "embed", "L1/mlp-out"])
def test_a_row_counts_a_word_as_often_as_the_page_of_its_direction(client, tags, place):
    """Merged anew from the tokens that a direction's JSON has, all that are kept."""
    html, json = client.get(f"/tiny/{place}").text, client.get(f"/api/v1/tiny/{place}").json()
    rows = re.findall(r"<tr>\n<th.*?</tr>", html.split("<tbody>")[1].split("</tbody>")[0], re.DOTALL)
    n_merged = 0
    for row, direction in zip(rows, json["directions"], strict=True):
        kept = client.get(f"/api/v1/{direction['address']}").json()
        for side, cell in zip(("left", "right"), re.findall(r'<td class="side".*?</td>', row, re.DOTALL), strict=True):
            assert [len(direction[side][ray]) for ray in ("plus", "minus")] == [8, 8]
            if kept[side]["side"] == "neuron":
                continue
            for ray, end in zip(("plus", "minus"), re.findall(r"<p .*?</p>", cell, re.DOTALL), strict=True):
                words = []
                for token in kept[side][ray]:
                    form = form_of(token["token"])
                    same = [word for word in words if form and form_of(word[0]["token"]) == form]
                    if same:
                        same[0].append(token)
                    else:
                        words.append([token])
                counts = [text.partition(" ×")[2] for text in tags(end, {"bdi"}).texts]
                assert counts == [str(len(word)) if len(word) > 1 else "" for word in words[:8]]
                assert shown(tags, end) == [one for word in words[:8] for one in said(word)]
                n_merged += sum(len(word) > 1 for word in words[:8])
    assert n_merged or place != "L0/H1/ov"


@pytest.mark.parametrize("query", ["token=+that", "token=%236&weights=raw"])
def test_page_and_json_of_full_circuits_show_the_same(client, tags, query):
    html, json = (client.get(f"{root}/tiny/L1/H2/full?{query}") for root in ("", "/api/v1"))
    sections = re.findall(r'<section class="full-row".*?</section>', html.text, re.DOTALL)
    for row, section in zip(json.json()["rows"], sections, strict=True):
        ends = re.findall(r'<div class="end [pn]">.*?</div>', section, re.DOTALL)
        for ray, end, html_end in zip("pn", ("plus", "minus"), ends, strict=True):
            words, apart = html_end.split("</ol>")
            listed = shown(tags, words)
            assert listed
            assert set(listed) <= set(said(row["ordinary"][end]))
            own = [token for token in row["apart"] if token["ray"] == ray]
            assert sorted(shown(tags, apart)) == sorted(said(own))
            all_ = row["readout"][end]
            assert len(all_) == 20
            odd = {token["id"] for token in own}
            ordinary = [token for token in all_ if token["id"] not in odd]
            assert row["ordinary"][end][: len(ordinary)] == ordinary
        assert f"{row['own_rank']} of 300</p>" in section


def test_links_of_json_lead_somewhere(client):
    links = client.get("/api/v1/tiny/L1/H2/ov/svd/3").json()["links"]
    for name in ("page", "json", "up", "previous", "next"):
        assert client.get(links[name]).status_code == 200
    assert links["pinned"].startswith("http://testserver/tiny@")


def test_links_of_full_circuits_keep_the_token(client, pin):
    links = client.get("/api/v1/tiny/L1/H2/full?token=·that&weights=raw").json()["links"]
    assert links["pinned"] == f"http://testserver/tiny@{pin}/L1/H2/full?weights=raw&token=+that"
    assert links["up"] == "/api/v1/tiny/L1/H2?weights=raw"
    for name in ("json", "previous", "next"):
        there = client.get(links[name]).json()
        assert (there["token"]["token"], there["weights"]) == (" that", "raw")
    assert client.get(links["page"]).status_code == client.get(links["pinned"]).status_code == 200


def test_the_description_names_every_field(client):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert "Largest scores first." in str(schemas["SideReadout"])
    assert set(schemas["DirectionPage"]["required"]) == set(example_of("direction"))


def test_what_is_null_is_what_the_description_says(client):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    null = {
        (form, name): schemas[form]["properties"][name]["description"].lower().partition("null")[2]
        for form, name in (("Judgement", "q"), ("SideReadout", "rays"))
    }
    before = client.get("/api/v1/tiny/L1").json()["heads"]
    for head in range(len(before)):
        for circuit in ("ov", "qk"):
            client.get(f"/api/v1/tiny/L1/H{head}/{circuit}")
    heads = client.get("/api/v1/tiny/L1").json()["heads"]
    rows = [row for head in heads for circuit in ("ov", "qk") for row in head[circuit]["strongest"]]
    rays = [row[side]["rays"][ray] for row in rows for side in ("left", "right") for ray in ("plus", "minus")]
    assert all((one["q"] is None) == (one["p"][-1] is None) for one in rays)
    assert any(one["q"] is not None for one in rays)
    assert "a layer's page until the matrix is computed" in null["Judgement", "q"]
    (row, *_) = client.get("/api/v1/tiny/embed").json()["directions"]
    assert (row["left"]["side"], row["left"]["rays"]) == ("token", None)
    assert "own entries, tokens among them" in null["SideReadout", "rays"]
