import pytest
from pydantic import TypeAdapter

from app.web.examples import EXAMPLES
from app.web.routes import api

HEAD = "/api/v1/tiny/L1/H2"


def test_a_direction_has_the_fields_that_programs_rely_on(client):
    one = client.get(HEAD + "/ov/svd/3").json()
    assert one["address"] == "tiny/L1/H2/ov/svd/3"
    assert (one["label"], one["matrix"], one["basis"], one["index"]) == ("L1H2 OV 3", "ov", "svd", 3)
    assert one["left"]["side"] == "read"
    assert one["right"]["side"] == "write"
    assert set(one["left"]["plus"][0]) == {"id", "token", "score"}
    assert one["singular_value"] == pytest.approx(one["singular_values"][3])


def test_a_pin_gives_the_same_numbers_under_its_own_address(client, pin):
    plain, pinned = client.get(HEAD + "/ov").json(), client.get(f"/api/v1/tiny@{pin}/L1/H2/ov").json()
    assert pinned["address"] == f"tiny@{pin}/L1/H2/ov"
    assert pinned["singular_values"] == plain["singular_values"]


def test_a_head_is_its_two_matrices(client):
    head = client.get(HEAD).json()
    for circuit in ("ov", "qk"):
        alone = client.get(f"{HEAD}/{circuit}").json()
        assert head[circuit]["singular_values"] == alone["singular_values"]
        n = len(head[circuit]["directions"])
        assert head[circuit]["directions"] == alone["directions"][:n]


def test_raw_and_folded_are_different_numbers_and_say_which(client):
    folded, raw = (client.get(f"{HEAD}/ov?weights={weights}").json() for weights in ("folded", "raw"))
    assert (folded["weights"], raw["weights"]) == ("folded", "raw")
    assert folded["singular_values"] != raw["singular_values"]


def test_every_described_path_answers(client):
    values = {"model": "tiny", "layer": "L1", "head": "H2", "circuit": "qk", "basis": "svd", "index": "0"}
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        assert set(methods) == {"get"}
        assert client.get(path.format(**values)).status_code == 200, path


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_have_the_form_that_is_described(client, name):
    document = client.get("/openapi.json").json()
    (route,) = (route for route in api.router.routes if route.name == name)
    example = document["paths"][route.path]["get"]["responses"]["200"]["content"]["application/json"]["example"]
    assert example == EXAMPLES[name]
    TypeAdapter(route.response_model).validate_python(example)


def test_other_methods_hear_what_is_allowed(client):
    answer = client.post("/api/v1/tiny")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET"
