"""The client against a real server: what it gives is what the server says."""

import csv
import io
from contextlib import suppress

import httpx
import numpy as np
import pytest

from app.client import LensError

HEAD = "tiny/L1/H3/ov"


def csv_rows(base, path):
    return list(csv.DictReader(io.StringIO(httpx.get(f"{base}/{path}", timeout=60).text, newline="")))


def test_a_page_is_its_json(lens, base):
    page = lens[HEAD]
    assert page.json == httpx.get(f"{base}/api/v1/{HEAD}").json()
    assert page.rank == page["rank"] == page.json["rank"]
    assert "directions" in page
    assert "directions" in dir(page)
    assert dict(page) == page.json
    assert (page.url, page.path) == (f"{base}/{HEAD}", HEAD)
    with pytest.raises(AttributeError, match="has no nothing: it has address"):
        _ = page.nothing


def test_links_lead_to_the_same_page(lens):
    page = lens[HEAD]
    assert "@" in page.pinned
    for link in (page.pinned, page.url, f"{page.url}#p", f"/{HEAD}/", f"api/v1/{HEAD}", f"{HEAD}?weights=folded"):
        assert lens[link].singular_values == page.singular_values
    assert lens[f"{page.url}?weights=raw"].weights == "raw"
    with pytest.raises(LensError, match="another server"):
        lens[f"https://lens.example/{HEAD}"]


@pytest.mark.parametrize("path", ["tiny/L1/H3", HEAD, f"{HEAD}/svd/2", "tiny/embed/svd", "hostile/L1/H2/ov"])
def test_a_table_is_the_csv_with_its_tokens_read(lens, base, path):
    table, rows = lens.get(path, k=20).to_pandas(), csv_rows(base, f"{path}?format=csv&k=20")
    assert len(table) == len(rows) > 0
    assert list(table) == list(rows[0])
    for name in rows[0]:
        given, said = table[name].tolist(), [row[name] for row in rows]
        if name in {"plus", "minus"}:
            assert all(len(tokens) == 20 for tokens in given)
        elif name == "singular_value":
            assert given == list(map(float, said))
    if "/svd/" in path:
        sides = [lens[path].json[side] for side in ("left", "right")]
        said = [one["token"] for side in sides for ray in ("plus", "minus") for one in side[ray]]
        assert table["token"].tolist() == said


def test_the_three_kinds_of_table_say_the_same(lens):
    page = lens[HEAD]
    frame, polars, arrow = page.to_pandas(), page.to_polars(), page.to_arrow()
    assert list(frame) == polars.columns == arrow.column_names
    assert frame["plus"].tolist() == polars["plus"].to_list() == arrow["plus"].to_pylist()
    assert frame["singular_value"].tolist() == polars["singular_value"].to_list() == arrow["singular_value"].to_pylist()
    assert np.isnan(frame["merit"]).all()
    assert polars["merit"].to_list() == arrow["merit"].to_pylist() == [None] * len(frame)


def test_lists_of_the_json_are_tables(lens):
    page = lens[HEAD]
    table = page.to_pandas("directions")
    assert table["index"].tolist() == [one["index"] for one in page.directions]
    assert table["right.plus"].tolist() == [
        [token["token"] for token in one["right"]["plus"]] for one in page.directions
    ]
    assert lens[f"{HEAD}/svd/2"].to_arrow("left.plus")["id"].to_pylist()
    with pytest.raises(LensError, match=r"no list called rank: it has .*directions"):
        page.to_pandas("rank")


def test_the_whole_table_comes_whichever_page_is_shown(lens):
    first, last = lens.get("tiny/embed/svd", page=1), lens.get("tiny/embed/svd", page=2)
    assert first.directions != last.directions
    assert last.to_pandas()["direction"].nunique() == last.rank


def test_options_reach_the_server(lens):
    raw = lens.get(HEAD, weights="raw")
    assert raw.weights == "raw"
    assert raw.to_pandas()["singular_value"].max() == pytest.approx(raw.singular_values[0])
    assert raw.vectors()["weights"] == "raw"
    assert lens.get(HEAD, ascii=True, starts=False, find=None).filter == {"ascii": 1}


def test_a_table_comes_alone(lens, monkeypatch):
    page = lens.get(HEAD, k=3)
    monkeypatch.setattr(type(lens._talk), "read_json", None)
    for table in (lens.table(HEAD, k=3), lens.table(f"{HEAD}?k=3")):
        assert table.to_arrow() == page.to_arrow()
    with pytest.raises(LensError, match="k is a number"):
        lens.table(HEAD, k="many")


def test_vectors_are_those_of_the_file(lens, base):
    held = lens.get(HEAD, sort="order").vectors()
    file = np.load(io.BytesIO(httpx.get(f"{base}/{HEAD}?format=npz").content), allow_pickle=False)
    assert set(held) == set(file.files)
    assert all(np.array_equal(held[name], file[name]) for name in held)


def test_models_are_listed(lens):
    assert list(lens) == ["tiny", "hostile"]
    assert [model["state"] for model in lens.models()] == ["imported", "imported"]


def test_several_addresses_come_in_turn(lens):
    pages = lens.each([HEAD, "tiny/L9"], weights="raw")
    assert next(pages).weights == "raw"
    with pytest.raises(LensError, match="L9"):
        next(pages)


def test_a_search_finds_what_its_page_finds(lens, base):
    found = lens.search("tiny", "that", order="alignment")
    table = found.to_pandas()
    assert table["direction"].tolist()[: len(found.hits)] == [hit["address"] for hit in found.hits]
    assert len(table) == len(csv_rows(base, "tiny/search?q=that&order=alignment&format=csv"))
    assert found.url == f"{base}{found.json['page']}"


def test_a_token_is_named_by_its_text_or_number(lens):
    token = lens.token("tiny", " that")
    assert token.token == " that"
    assert lens.token("tiny", token.id).json == token.json
    assert token.path == f"tiny/token/{token.id}"
    with pytest.raises(LensError, match="no single token"):
        lens.token("tiny", "qqqq")


def test_a_prompt_is_run_and_changed(lens):
    prompt = lens.prompt("tiny", "And God said that", weights="raw")
    assert "".join(token["token"] for token in prompt.tokens) == "And God said that"
    assert sum(prompt.to_pandas("next")["chance"]) <= 1
    without = lens.edit(prompt, "L1H3.ov.0:-1", random=8)
    assert (without.weights, without.draws, len(without.random)) == ("raw", 8, 8)
    assert lens.steer(prompt, "L1H3.ov.0p", c=2).amount == 2
    other = lens.prompt("tiny", "and it was good")
    drawn = lens.sara(prompt, other, "and it was evil")
    assert drawn.attract["key"] == other.key
    with pytest.raises(LensError, match="no prompt that was run"):
        lens.edit(lens["tiny"], "L1H3.ov.0:-1")
    with pytest.raises(LensError, match="a prompt is no file") as raised:
        prompt.to_pandas()
    assert "to_pandas('tokens')" in raised.value.__notes__[0]


def test_an_experiment_is_waited_for(lens):
    tried = lens.experiment("tiny", ["And God said", "In the\nbeginning"], edit="L1H3.ov.0:-1")
    assert (tried.n_left, len(tried.trials)) == (0, 2)
    assert tried.to_pandas()["text"].tolist() == ["And God said", "In the beginning"]
    with pytest.raises(LensError, match="colon and an amount"):
        lens.experiment("tiny", ["And God said"], edit="L1")


def test_what_is_not_there_is_said_as_the_server_says_it(lens, base):
    with pytest.raises(LensError, match="tiny has layers L0 to L1") as raised:
        lens["tiny/L99"]
    assert (raised.value.status, raised.value.address) == (404, f"{base}/api/v1/tiny/L99")
    with pytest.raises(LensError, match="vectors are of one matrix"):
        lens["tiny"].vectors()
    with pytest.raises(LensError, match="format=csv is there for heads"):
        lens["tiny"].to_pandas()


@pytest.mark.parametrize("address", ["../-/status", "tiny/../../etc/passwd", "tiny/%2e%2e/x", "tiny/./L1", ".."])
def test_no_address_leads_up(lens, address):
    with pytest.raises(LensError, match="is no address"):
        lens[address]


@pytest.mark.parametrize("address", ["tiny/L1?x=<b>", "tiny/..x", "//evil.example/tiny", "tiny/\u202e", "a:b", "%"])
def test_no_address_leads_elsewhere(lens, base, address, monkeypatch):
    asked = []
    send = httpx.Client.send
    monkeypatch.setattr(
        httpx.Client, "send", lambda self, request, **said: asked.append(request.url) or send(self, request, **said)
    )
    with suppress(LensError):
        assert lens[address].url.startswith(f"{base}/tiny")
    assert asked
    assert {url.host for url in asked} == {"127.0.0.1"}
