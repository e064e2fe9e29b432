import io
import shutil
import sys
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from app.core.address import parse
from app.explorer.asking.views import Options
from app.explorer.visits.vectors import visit_vectors
from app.web.api.vectors import vector_file

OV = "/tiny/L1/H2/ov"


def loaded(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Disposition"].endswith('.npz"')
    return np.load(io.BytesIO(answer.content), allow_pickle=False)


def test_a_matrix_is_its_vectors_times_their_strengths(client, pin):
    file = loaded(client, f"{OV}?format=npz")
    page = client.get(f"/api/v1{OV}").json()
    assert file["index"].tolist() == list(range(len(file["strength"])))
    assert np.allclose(file["strength"], page["singular_values"], rtol=1e-6)
    assert (file["left_is"], file["right_is"], file["weights"]) == ("read", "write", page["weights"])
    assert str(file["fingerprint"]).startswith(pin)
    assert np.allclose(file["left"] @ file["left"].T, np.eye(len(file["left"])), atol=1e-5)


@pytest.mark.parametrize("place", ["/tiny/L1/H2/ov/svd/1", "/tiny/L1/mlp-out/neuron/3", "/tiny/embed/pca/2"])
def test_of_a_direction_its_own_come(client, place):
    whole, own = loaded(client, f"{place.rpartition('/')[0]}?format=npz"), loaded(client, f"{place}?format=npz")
    index = int(place.rpartition("/")[2])
    row = whole["index"].tolist().index(index)
    assert own["index"].tolist() == [index]
    for name in {"left", "right", "strength"} & set(whole.files):
        assert np.array_equal(own[name][0], whole[name][row])
    assert str(own["address"]) == place.removeprefix("/")


def test_the_file_is_the_same_however_the_arrays_came(client):
    found = visit_vectors(client.app.state.resources, parse("tiny/L1/H2/ov"), Options())
    turned = replace(found, sides=dict(reversed(found.sides.items())))
    assert list(found.sides) != list(turned.sides)
    assert vector_file(found) == vector_file(turned)


def test_the_vectors_are_those_whose_tokens_the_page_shows(client, gpt2_folder):
    unembedding = load_file(gpt2_folder / "model.safetensors")["transformer.wte.weight"].astype(np.float64)
    file, page = loaded(client, f"{OV}?format=npz&weights=raw"), client.get(f"/api/v1{OV}?weights=raw").json()
    for vector, direction in zip(file["right"], page["directions"], strict=False):
        scores = unembedding @ vector.astype(np.float64)
        shown = direction["right"]["plus"]
        assert np.allclose([scores[token["id"]] for token in shown], [token["score"] for token in shown], atol=1e-5)


def test_the_same_vectors_are_the_same_file(client):
    first, again = (client.get(f"{OV}?format=npz") for _ in range(2))
    assert first.content == again.content
    assert client.get(f"{OV}?format=npz", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("place", [OV, f"{OV}/svd/1", "/tiny/L1/mlp-out/neuron", "/tiny/embed/pca/2"])
def test_parquet_holds_what_npz_holds(client, place):
    answer = client.get(f"{place}?format=parquet")
    assert answer.headers["Content-Disposition"].endswith('.parquet"')
    table, file = pq.read_table(io.BytesIO(answer.content)), loaded(client, f"{place}?format=npz")
    assert table.num_rows == len(file["index"])
    for name in {"index", "strength", "left", "right"} & set(file.files):
        assert np.array_equal(np.array(table[name].to_pylist(), file[name].dtype), file[name]), name
    origin = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    said = ("left_is", "right_is", "address", "weights", "fingerprint")
    assert {name: origin[name] for name in said} == {name: str(file[name]) for name in said}
    assert client.get(f"{place}?format=parquet").content == answer.content


def test_without_pyarrow_parquet_is_refused_with_the_way_out(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = client.get(f"{OV}?format=parquet")
    assert answer.status_code == 422
    assert "format=npz holds the same" in answer.text
    assert "singular-lens[parquet]" in answer.text


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/tiny?format=npz", "there for matrices and directions"),
        ("/tiny/L1/H2?format=npz", "there for matrices and directions"),
        (f"{OV}?format=npz&ascii=1", "vectors are the same whatever they are read as"),
        (f"{OV}?format=npz&rotated=1", "vectors are the same whatever they are read as"),
        (f"{OV}?format=npz&readout=cosine", "readout: vectors are the same whatever they are read as"),
        (f"{OV}?format=npy", "csv"),
        ("/tiny?format=parquet", "there for matrices and directions"),
        (f"{OV}?format=parquet&ascii=1", "vectors are the same whatever they are read as"),
    ],
)
def test_what_there_is_no_file_of_is_said(client, path, words):
    answer = client.get(path)
    assert answer.status_code == 422
    assert words in answer.text


@pytest.mark.parametrize(
    ("path", "words"), [(f"{OV}/svd/99?format=npz", "99"), ("/tiny/L1/mlp-in/nmf?format=npz", "was not computed here")]
)
def test_what_is_not_here_is_not_found(client, path, words):
    answer = client.get(path)
    assert answer.status_code == 404
    assert words in answer.text


def test_too_many_vectors_are_not_begun(serve, data, tmp_path, monkeypatch):
    monkeypatch.setattr("app.explorer.visits.vectors.MOST_VECTORS", 1000)
    visitor = serve(shutil.copytree(data, tmp_path / "data"), "tiny")
    answer = visitor.get(f"{OV}?format=npz")
    assert answer.status_code == 422
    assert "Reproduce in Python" in answer.text


@pytest.mark.parametrize(
    "path", ["/api/v1/tiny", f"/api/v1{OV}", "/api/v1/nowhere", f"{OV}?format=csv", f"{OV}?format=npz"]
)
def test_pages_of_other_hosts_may_read_what_is_for_programs(client, path):
    assert client.get(path).headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/tiny", OV, "/nowhere"])
def test_pages_for_people_stay_on_their_host(client, path):
    assert "Access-Control-Allow-Origin" not in client.get(path).headers


@pytest.mark.parametrize("file", ["csv", "npz"])
def test_a_file_that_is_not_there_yet_is_no_page(serve, fresh_data, file):
    """What a program would read is a sentence, and no success."""
    impatient = serve(fresh_data, "tiny", wait_seconds=0.0)
    answer = impatient.get(f"{OV}?format={file}")
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert int(answer.headers["Retry-After"]) > 0
    assert "L1H2 OV of tiny" in answer.text


def test_the_description_is_sent_once_and_may_be_read_from_anywhere(client):
    answer = client.get("/openapi.json")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert client.get("/openapi.json", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
