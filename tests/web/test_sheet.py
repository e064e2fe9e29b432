import csv
import io
import json

import pytest


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


def test_no_cell_is_a_formula(hostile):
    answer = hostile.get("/hostile/L1/H2/ov/svd/1?format=csv")
    cells = [cell for row in csv.reader(io.StringIO(answer.text, newline="")) for cell in row]
    numbers = [cell for cell in cells if cell[:1] in "+-=@" and cell not in {"+", "-"}]
    assert all(float(number) < 0 for number in numbers)
