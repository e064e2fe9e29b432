"""What pages, their JSON and their files say of a quantised copy, and that other models' say none of it."""

import csv
import html
import io
import re
import shutil
from dataclasses import replace

import pytest

from app.core.address import parse
from app.explorer.header import Quantised
from app.explorer.pages.directions import Badge, Determinacy, Rest, Turn
from app.explorer.pages.maps import HomePage, ModelEntry
from app.explorer.visits import browse
from app.web.view.copies import copy_of, describe_determined, describe_turn, name_bits
from tests.answers import check_answer
from tests.pages import DIRECTION_PAGE, HEAD_PAGE, MODEL, NOTABLE_PAGE
from tests.quantised import mark_quantised

COPY = replace(MODEL, name="SmolLM2-135M-Instruct", quantised=Quantised("Q4_1", 4))
WHOSE = "4-bit copy of SmolLM2-135M-Instruct: not the original's numbers"
SIDES = ("read", "write")


@pytest.fixture(scope="module")
def copied(serve, tiny_data, tmp_path_factory):
    """A visitor of the tiny model as a quantised copy; the values of its second layer have uneven levels."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("copied") / "data")
    return serve(mark_quantised(data, 0.1, uneven=("1.attn.W_V",)), "tiny")


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("m/L3/H1/ov", "4-bit copy"),
        ("m/L5/H1/ov", "4-bit copy"),  # of its two factors one is finer
        ("m/L3/mlp-out", "6-bit copy"),
        ("m/L2/mlp-out", "4-bit copy"),
        ("m/embed", "8-bit copy"),
        ("m/unembed/pca", "16-bit copy"),
        ("m/heads/write", "4-bit copy"),
    ],
)
def test_a_matrix_is_called_after_its_own_kind(address, word):
    others = {"embed.W_E": "Q8_0", "unembed.W_U": "BF16", "blocks.3.mlp.W_out": "Q6_K", "blocks.5.attn.W_V": "Q6_K"}
    model = replace(MODEL, quantised=Quantised("Q4_K", 4, tuple(others.items())))
    assert name_bits(model, parse(address)) == word
    assert name_bits(MODEL, parse(address)) == ""


def said(page) -> str:
    """The text of a page, its tags away."""
    return html.unescape(re.sub(r"<[^>]*>", "", page.text))


def matrix_of(rank, **found):
    return replace(HEAD_PAGE.ov, rank=rank, sides=SIDES, determinacy=Determinacy(**found) if found else None)


@pytest.mark.parametrize(
    ("rank", "found", "sentence"),
    [
        (64, {}, "how far its rounding turns these directions is not estimated."),
        (
            64,
            {"first": 4, "degrees": 9.2, "later": 0, "rest": Rest(0.976, 0.9812)},
            "directions 0–3 are determined to about 10 degrees; from 4 on only their span is (97.6% of the span from 4 on "
            "stays on the read side, 98.1% on the write side).",
        ),
        (
            64,
            {"first": 4, "degrees": 14.9, "later": 6, "rest": Rest(0.976, 0.98)},
            "directions 0–3 are determined to about 15 degrees, and 6 of the 60 after them; of the others only their span is "
            "(97.6% of the span from 4 on stays on the read side, 98.0% on the write side).",
        ),
        (
            9,
            {"first": 1, "degrees": 0.7, "later": 1, "rest": Rest(0.9, 0.9)},
            "direction 0 is determined to about a degree, and 1 of the 8 after it; of the others only their span is (90.0% of "
            "the span from 1 on stays on the read side, 90.0% on the write side).",
        ),
        (
            9,
            {"first": 8, "degrees": 3.0, "later": 0, "rest": Rest(0.9, 0.8)},
            "directions 0–7 are determined to about 3 degrees; the last one is not (90.0% of the span from 8 on stays on the "
            "read side, 80.0% on the write side).",
        ),
        (
            9,
            {"first": 9, "degrees": 0.1, "later": 0, "rest": None},
            "all 9 directions are determined to less than a degree.",
        ),
        (
            1,
            {"first": 1, "degrees": 2.5, "later": 0, "rest": None},
            "its one direction is determined to about 3 degrees.",
        ),
        (
            9,
            {"first": 0, "degrees": None, "later": 0, "rest": Rest(0.9, 0.8)},
            "no direction is determined, only the span of all is (90.0% of the span of all stays on the read side, 80.0% on "
            "the write side).",
        ),
        (
            9,
            {"first": 0, "degrees": None, "later": 2, "rest": Rest(0.9, 0.8)},
            "direction 0 is not determined, 2 of the others are; of the rest only their span is (90.0% of the span of all "
            "stays on the read side, 80.0% on the write side).",
        ),
    ],
)
def test_what_is_determined_in_a_sentence(rank, found, sentence):
    assert describe_determined(matrix_of(rank, **found)) == sentence


def test_how_far_a_direction_is_turned_in_a_sentence():
    one = replace(DIRECTION_PAGE, turn=Turn(7.2, 0.2), badge=None)
    assert describe_turn(one) == (
        "another rounding like it turns this direction by about 8 degrees on the read side and less than a degree on the "
        "write side: it is determined."
    )
    assert describe_turn(replace(one, turn=Turn(7.2, 23.0))).endswith(
        "23 degrees on the write side: it is not determined by itself."
    )
    warned = describe_turn(replace(one, badge=Badge("subspace", 17.7, 5, 8)))
    assert warned.endswith("determined. Towards its neighbours, directions 5 to 8, it can be up to 18 degrees.")


def test_whose_copy_it_is():
    assert copy_of(COPY) == WHOSE
    assert copy_of(MODEL) == ""


@pytest.mark.parametrize("place", ["L0/H2", "L0/H2/qk", "L0/mlp-out", "embed", "unembed/pca"])
def test_a_matrix_says_which_directions_are_determined(copied, client, place):
    text = said(copied.get(f"/tiny/{place}"))
    assert text.count("4-bit copy: ") == (2 if place == "L0/H2" else 1)
    assert "determined" in text
    assert "not estimated" not in text
    assert "4-bit copy" not in said(client.get(f"/tiny/{place}"))


@pytest.mark.parametrize("place", ["L1/H2/ov", "heads/write", "embed/neuron"])
def test_a_matrix_says_where_it_is_not_estimated(copied, place):
    assert f"4-bit copy: {describe_determined(matrix_of(8))}" in said(copied.get(f"/tiny/{place}"))
    assert copied.get(f"/api/v1/tiny/{place}").json()["determinacy"] is None


@pytest.mark.parametrize("index", [0, 7])
def test_a_direction_says_how_far_it_is_turned(copied, client, index):
    place = f"tiny/L0/H2/ov/svd/{index}"
    found, page = copied.get(f"/api/v1/{place}").json(), copied.get(f"/{place}")
    turn, badge = (found[name] for name in ("turn", "badge"))
    one = replace(DIRECTION_PAGE, turn=Turn(turn["left"], turn["right"]), badge=badge and Badge(*badge.values()))
    assert describe_turn(one) in said(page)
    assert "one subspace" not in said(page)
    assert turn["determined"] == (max(turn["left"], turn["right"]) < 15)
    assert client.get(f"/api/v1/{place}").json()["turn"] is None
    assert "another rounding" not in said(client.get(f"/{place}"))
    unknown = place.replace("L0", "L1")
    assert copied.get(f"/api/v1/{unknown}").json()["turn"] is None
    assert "another rounding" not in said(copied.get(f"/{unknown}"))


def test_the_model_its_list_and_its_citation_say_whose_copy_it_is(copied, client, monkeypatch):
    whose = "4-bit copy of tiny: not the original's numbers"
    page = copied.get("/tiny")
    assert said(page).count(whose) == 3  # below the name, at the facts and in the citation
    assert "float32, as Q4_1 before" in said(page)
    assert f", {whose}}}" in said(copied.get("/tiny/L0/H2/ov")).split("@misc")[1]
    assert "copy of" not in said(client.get("/tiny"))
    for model, times in ((COPY, 1), (MODEL, 0)):
        entry = ModelEntry("smollm2", "imported", model, "", 0, 0)
        monkeypatch.setattr(browse, "visit_home", lambda _r, entry=entry: HomePage((entry, entry)))
        assert said(client.get("/")).count(WHOSE) == 2 * times


def test_the_gallery_greys_what_is_not_determined_and_says_so(client, monkeypatch):
    (ray,) = NOTABLE_PAGE.rays
    rays = tuple(replace(ray, turn=turn) for turn in (Turn(3.0, 20.4), Turn(3.0, 14.0), None))
    for model in (COPY, MODEL):
        page = replace(NOTABLE_PAGE, model=model, rays=rays)
        monkeypatch.setattr(browse, "visit_gallery", lambda *_words, page=page: page)
        items = client.get("/tiny/notable").text.split('<ol class="gallery">')[1].split("</ol>")[0].split("<li")[1:]
        assert [item.startswith(' class="loose"') for item in items] == [True, False, False]
        told = [html.unescape(re.sub(r"<[^>]*>", "", item)) for item in items]
        assert ["not determined: another rounding turns it by about 21 degrees" in item for item in told] == [
            True,
            False,
            False,
        ]
    found = client.get("/api/v1/tiny/notable").json()["rays"]
    assert [one["turn"] and one["turn"]["determined"] for one in found] == [False, True, None]


def test_what_programs_get_has_its_form(copied):
    for place, route in (
        ("", "model"),
        ("/L0/H2/ov", "matrix"),
        ("/L1/H2", "head"),
        ("/L0/H2/ov/svd/1", "direction"),
    ):
        check_answer(route, copied.get(f"/api/v1/tiny{place}").json())
    assert copied.get("/api/v1/tiny").json()["model"]["quantised"] == {"kind": "Q4_1", "bits": 4}


def test_files_have_how_far_each_side_is_turned(copied, client):
    for place in ("tiny/L0/H2/ov", "tiny/L0/H2/ov/svd/1", "tiny/L1/H2"):
        rows = list(csv.DictReader(io.StringIO(copied.get(f"/{place}?format=csv").text)))
        page = copied.get(f"/api/v1/{place}").json()
        tables = [page[kind] for kind in ("ov", "qk")] if "qk" in page else [page]
        directions = [one for table in tables for one in table.get("directions", [table])]
        turns = {
            (one["address"], one[side]["side"]): one["turn"] and one["turn"][side]
            for one in directions
            for side in ("left", "right")
        }
        assert all(row["turn_degrees"] == str(turns[row["direction"], row["side"]] or "") for row in rows)
        assert "turn_degrees" not in client.get(f"/{place}?format=csv").text
        plain = client.get(f"/{place}?format=csv").text.splitlines()[0].split(",")
        assert [name for name in rows[0] if name != "turn_degrees"] == plain
