import csv
import io
import json
import shutil

import pytest

from app.explorer.library import Library
from app.explorer.making.tables import Tables
from app.jobs.precompute import precompute
from app.models.catalog import Catalog
from app.store.artifacts import ArtifactStore
from app.store.jobs import Task
from app.web.api.sheet import census_sheet


@pytest.fixture(scope="module")
def fitted(serve, tiny_data, tmp_path_factory):
    """A visitor of the tiny model, of which one matrix was fitted."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("fitted") / "data")
    model, store = Library(Catalog(data)).model("tiny"), ArtifactStore(data / "artifacts", 10**9)
    task = Task(("L1/mlp-in",), ("folded",), "nmf", (("components", 4), ("seed", 0)))
    list(precompute(store, Tables("cpu"), model, task))
    return serve(data, "tiny")


def rows(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


@pytest.mark.parametrize("slug", ["tiny", "hostile"])
def test_a_directions_file_has_every_token_of_the_page(client, hostile, slug):
    visitor = {"tiny": client, "hostile": hostile}[slug]
    place = f"/{slug}/L1/H2/ov/svd/1"
    page = visitor.get("/api/v1" + place).json()
    expected = [
        (page[side]["side"], sign, token["id"], token["token"], token["score"])
        for side in ("left", "right")
        for sign, ray in (("+", "plus"), ("-", "minus"))
        for token in page[side][ray]
    ]
    found = [
        (row["side"], row["ray"], int(row["id"]), json.loads(row["token"]), float(row["score"]))
        for row in rows(visitor, place + "?format=csv")
    ]
    assert found == expected


@pytest.mark.parametrize("place", ["/tiny/L1/H2", "/tiny/L1/H2/qk", "/tiny/L1/H2/qk/svd"])
def test_a_tables_file_has_its_rows(client, place):
    found = rows(client, place + "?format=csv&sort=weakest")
    page = client.get(f"/api/v1{place}?sort=weakest").json()
    tables = [page[circuit] for circuit in ("ov", "qk")] if "ov" in page else [page]
    expected = [row["address"] for table in tables for row in table["directions"] for _side in range(2)]
    assert [row["direction"] for row in found] == expected


@pytest.mark.parametrize(
    ("place", "side"),
    [
        ("L1/mlp-in/neuron/3", "neuron"),
        ("pos/svd/1", "position"),
        ("heads/write/pca/1", "head"),
        ("embed/frequency/0?groups=4", "token"),
    ],
)
def test_other_sides_and_bases_have_their_own_entries_and_numbers(client, place, side):
    path, _, query = f"/tiny/{place}".partition("?")
    page = client.get(f"/api/v1{path}?{query}").json()
    found = rows(client, f"{path}?format=csv&{query}")
    json_side = next(one for one in (page["left"], page["right"]) if one["side"] == side)
    mine = [row for row in found if row["side"] == side]
    texts = [json.loads(row["token"]) for row in mine]
    assert texts == [token["token"] for ray in ("plus", "minus") for token in json_side[ray]]
    assert side == "token" or all(text.startswith(("neuron ", "position ", "L")) for text in texts)
    assert page["unit"] is None or texts == [f"neuron {page['unit']}"]
    assert all(row["basis"] == page["basis"] and row["direction"] == page["address"] for row in found)
    for name in ("merit", "unit", "gap"):
        assert {row[name] for row in found} == {"" if page[name] is None else str(page[name])}


HEADLINED = ("coherence", "z", "p")
FORMS = ("forms_z", "forms_p", "beyond_z", "beyond_p", "beyond_share", "n_forms", "letterless", "reading")
JUDGED = (*HEADLINED, "q", "spelling_z", "spelling_p", *FORMS, "rotation_p")


def written(number):
    return "" if number is None else str(number)


def numbers(one):
    """What a judgement's columns say of it, by their names."""
    one = one or {name: [None] for name in HEADLINED}
    return {name: written(one[name][-1] if name in HEADLINED else one.get(name)) for name in JUDGED}


@pytest.mark.parametrize("place", ["L1/H2/ov", "L1/H2/ov?rotated=1", "L1/mlp-in", "L1/mlp-in?rotated=1", "pos/pca"])
def test_a_tables_file_has_the_judgement_of_both_rays(client, place):
    path, _, query = f"/tiny/{place}".partition("?")
    page = client.get(f"/api/v1{path}?{query}").json()["directions"]
    expected = [one[side]["rays"] for one in page for side in ("left", "right")]
    assert any(expected)
    found = rows(client, f"{path}?format=csv&{query}")[: len(expected)]
    for row, rays in zip(found, expected, strict=True):
        assert row["class"] == (rays["kind"] if rays else "")
        assert row["difference_p"] == written(rays["difference_p"] if rays else None)
        for ray in ("plus", "minus"):
            said = {name: row[f"{ray}_{name}"] for name in JUDGED if f"{ray}_{name}" in row}
            assert ("rotation_p" in said) == bool(query)
            assert said.items() <= numbers(rays and rays[ray]).items()
            assert set(JUDGED) - set(said) <= {"rotation_p"}
    assert bool(query) == any(row.get("plus_rotation_p") for row in found)


@pytest.mark.parametrize("query", ["", "rotated=1"])
def test_a_directions_file_has_the_judgement_of_each_ray(client, query):
    page = client.get(f"/api/v1/tiny/L1/mlp-out/svd/1?{query}").json()
    found = rows(client, f"/tiny/L1/mlp-out/svd/1?format=csv&{query}")
    rays = {page[side]["side"]: page[side]["rays"] for side in ("left", "right")}
    assert rays["neuron"] is None
    assert rays["write"]["kind"]
    for row in found:
        own = rays[row["side"]]
        assert row["class"] == (own["kind"] if own else "")
        assert row["difference_p"] == written(own["difference_p"] if own else None)
        said = {name: row[name] for name in JUDGED if name in row}
        assert set(JUDGED) - set(said) == (set() if query else {"rotation_p"})
        assert said.items() <= numbers(own and own["plus" if row["ray"] == "+" else "minus"]).items()
    assert bool(query) == any(row.get("rotation_p") for row in found)


def test_a_file_of_some_tokens_is_named_by_them(client):
    answer = client.get("/tiny/L1/H2/ov?format=csv&ascii=1&frequent=100")
    assert "-folded-ascii-1-frequent-100-" in answer.headers["Content-Disposition"]


def test_a_basis_with_one_ray_a_term_has_no_other(fitted):
    found = rows(fitted, "/tiny/L1/mlp-in/nmf/0?components=4&format=csv")
    assert {row["ray"] for row in found} == {"+"}
    table = rows(fitted, "/tiny/L1/mlp-in/nmf?components=4&format=csv")
    assert {row["minus"] for row in table} == {""}
    assert all(row["plus"] for row in table)


def test_a_file_of_a_fit_is_named_by_its_parameters(fitted):
    answer = fitted.get("/tiny/L1/mlp-in/nmf?components=4&format=csv")
    assert "tiny-L1-MLP-in-nmf-folded-components-4-seed-0-" in answer.headers["Content-Disposition"]
    stack = fitted.get("/tiny/heads/write?format=csv")
    assert "tiny-OV-outputs-folded-" in stack.headers["Content-Disposition"]


def test_no_cell_is_a_formula(hostile):
    answer = hostile.get("/hostile/L1/H2/ov/svd/1?format=csv")
    cells = [cell for row in csv.reader(io.StringIO(answer.text, newline="")) for cell in row]
    numbers = [cell for cell in cells if cell.startswith(tuple("+-=@")) and cell not in {"+", "-"}]
    assert all(float(number) < 0 for number in numbers)


def test_a_sheet_in_parts_is_the_sheet_and_no_part_is_asked_for_early():
    asked = []

    def parts():
        for place in range(3):
            asked.append(place)
            yield {"layer": [None, place], "p": [0.5, None]}

    found = census_sheet(parts())
    assert next(found) == "layer,p\r\n,0.5\r\n0,\r\n"
    assert asked == [0]
    assert list(found) == [",0.5\r\n1,\r\n", ",0.5\r\n2,\r\n"]


@pytest.mark.parametrize("k", [1, 3, 50])
def test_a_tables_file_has_as_many_tokens_as_asked_for(client, k):
    of_page = client.get("/api/v1/tiny/L1/H2/ov/svd/0").json()
    row = rows(client, f"/tiny/L1/H2/ov?format=csv&k={k}")[0]
    for end in ("plus", "minus"):
        expected = [token["token"] for token in of_page["left"][end][:k]]
        assert row[end] == " ".join(map(json.dumps, expected))


def test_how_many_tokens_is_a_question_of_files(client):
    for path in ("/tiny/L1/H2/ov?k=9", "/tiny/L1/H2/ov?format=npz&k=9"):
        answer = client.get(path)
        assert answer.status_code == 422
        assert "k means nothing here: it is for format=csv." in answer.text
    for k in (0, 51):
        assert client.get(f"/tiny/L1/H2/ov?format=csv&k={k}").status_code == 422
