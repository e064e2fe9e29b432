import itertools

import pytest

from app.store.prompts import key_of
from app.web.routes import ROUTERS
from tests.answers import check_answer, example_of

HEAD = "/api/v1/tiny/L1/H2"
ORIGIN = {"Origin": "http://testserver"}


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


def _key_of(client, text):
    model = client.app.state.resources.library.model("tiny")
    return key_of(model.fingerprint, model.tokenize_whole(text))


def test_every_described_path_answers(client, banked, job):
    values = {"model": "tiny", "layer": "L1", "head": "H2", "circuit": "qk", "basis": "svd", "index": "0", "id": job.id}
    values |= {"part": "in", "stack": "write", "key": _key_of(client, "so it is")}
    asked = {"/api/v1/{model}/token": "?text=+that", "/api/v1/-/pair": "?a=tiny/L0/H0&b=tiny/L1/H1"}
    asked |= {"/api/v1/{model}/prompt": "?text=so+it+is", "/api/v1/{model}/p/{key}": "?text=so+it+is"}
    asked |= {"/api/v1/{model}/p/{key}/direction": "?of=L1H2.ov.3&text=so+it+is"}
    asked |= {"/api/v1/{model}/p/{key}/why": "?head=L1H2&text=so+it+is", "/api/v1/{model}/pairs": "?of=L1H2.qk.3"}
    asked |= {"/api/v1/{model}/p/{key}/edit": "?edit=L1H2.ov.3:-1&text=so+it+is"}
    asked |= {"/api/v1/{model}/p/{key}/steer": "?of=L1H2.ov.3&text=so+it+is"}
    others = {"attract": "in the sea", "repel": "and then it"}
    for of, text in itertools.product((client, banked), others.values()):
        assert of.get(f"/api/v1/tiny/p/{_key_of(client, text)}", params={"text": text}).status_code == 200
    said = "&".join(f"{name}={key}" for name, text in others.items() for key in [_key_of(client, text)])
    asked |= {"/api/v1/{model}/p/{key}/sara": f"?{said}&text=so+it+is"}
    made = client.post("/tiny/x", data={"prompts": "so it is", "edit": "L1H2.ov.3:-1"}, headers=ORIGIN)
    experiment = made.headers["location"].rpartition("/")[2]
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        assert set(methods) == {"get"}
        of_token = {"id": "7"} if "/token/" in path else {}
        said = "?q=that" if path.endswith("/search") else asked.get(path, "")
        of_experiment = {"key": experiment} if "/x/" in path else {}
        answers = [of.get(path.format(**(values | of_token | of_experiment)) + said) for of in (client, banked)]
        if path.endswith(("/linear", "/unlikely")):  # of a text that neither has run: their own tests have
            assert {answer.json()["error"] for answer in answers} == {"not_built"}
            continue
        # What rests on a bank is there where one is built; jobs are of the other server.
        assert {200, 303} & {answer.status_code for answer in answers}, path


def test_every_answer_has_an_example_of_the_form_that_is_described():
    routes = [route for router in ROUTERS for route in router.routes if route.path.startswith("/api/v1")]
    described = {route.name for route in routes if route.include_in_schema}
    assert len(described) > 20
    for name in described:
        check_answer(name, example_of(name))


def test_a_models_facts_say_how_it_was_checked_and_what_can_be_asked(relatives):
    def facts(family):
        return relatives.get(f"/api/v1/{family}").json()["model"]

    llama, bert = facts("llama"), facts("bert")
    assert (llama["positions"], llama["n_kv_heads"], llama["processings"]) == ("rotary", 2, ["folded", "raw"])
    assert (bert["encoder"], bert["processings"]) == (True, ["raw"])
    assert facts("mixtral")["n_experts"] == 4
    assert {"queries", "keys", "values", "attention pattern", "unembedding"} <= set(llama["checks"])
    assert 0 < max(llama["checks"].values()) < 1e-4


def test_a_distance_is_said_where_it_means_something(relatives):
    head = relatives.get("/api/v1/llama/L1/H2?distance=5").json()
    assert (head["ov"]["distance"], head["qk"]["distance"]) == (None, 5)
    assert head["qk"] == relatives.get("/api/v1/llama/L1/H2/qk?distance=5").json() | {
        name: head["qk"][name] for name in ("directions", "n_pages")
    }
    one = relatives.get("/api/v1/llama/L1/H2/qk/svd/0?distance=5").json()
    assert (one["distance"], one["singular_value"]) == (5, head["qk"]["singular_values"][0])
    assert "distance=5" in one["links"]["pinned"]
    assert relatives.get("/api/v1/llama/L1/H2/qk").json()["distance"] == 0
    assert relatives.get("/api/v1/bert/L1/H2/qk").json()["distance"] is None


@pytest.mark.parametrize(
    ("place", "status", "said"),
    [
        ("llama/L1/H2/qk?distance=64", 422, "distance goes from 0 to 63 here"),
        ("llama/L1/H2/qk?distance=1025", 422, "distance is at most 1024"),
        ("llama/L1/H2/ov/svd/0?distance=1", 422, "belongs to QK"),
        ("bert/L1/H2/qk?distance=1", 422, "no rotary positions"),
        ("bert/L1?weights=folded", 422, "bert has weights=raw only"),
        ("mixtral/L1/mlp-in", 404, "a mixture of 4 experts"),
        ("mixtral/L1/mlp-out/svd/0", 404, "a mixture of 4 experts"),
        ("neox/L1/mlp-gate", 404, "it has mlp-in, mlp-out"),
    ],
)
def test_what_a_family_has_not_is_said_with_what_it_has(relatives, place, status, said):
    answer = relatives.get(f"/api/v1/{place}")
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_the_description_names_the_distance_where_qk_is_shown(client):
    paths = client.get("/openapi.json").json()["paths"]
    named = {
        path for path in paths if "distance" in {each["name"] for each in paths[path]["get"].get("parameters", [])}
    }
    assert {
        path for path in paths if "{head}" in path and not path.endswith(("/alike", "/around", "/compare"))
    } <= named


def test_other_methods_hear_what_is_allowed(client):
    answer = client.post("/api/v1/tiny", headers={"Origin": "http://testserver"})
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert "GET and HEAD" in answer.json()["detail"]
