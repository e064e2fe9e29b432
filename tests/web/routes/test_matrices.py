"""The JSON of matrices in every basis, and what it says where something is not there; pages say the same."""

import re
import shutil

import pytest

from app.core.address import parse
from app.core.basis import BASES
from app.explorer.library import Library
from app.explorer.making.tables import Tables
from app.jobs.precompute import precompute
from app.models.catalog import Catalog
from app.store.artifacts import ArtifactStore
from app.store.jobs import Task
from app.web.routes.matrices import PLACES, PREFIX
from tests.answers import check_answer

KINDS = ("L1/mlp-in", "L1/mlp-out", "embed", "unembed", "pos", "heads/write", "heads/read", "L1/H2/ov", "L1/H2/qk")
COMPUTED = [name for name, basis in BASES.items() if not basis.is_fitted and not basis.is_of_text]

FITS = (
    ("nmf", (("components", 4), ("seed", 0))),
    ("nmf", (("components", 4), ("seed", 7))),
    ("dictionary", (("atoms", 40), ("seed", 0), ("sparsity", 3))),
)


@pytest.fixture(scope="module")
def client(serve, tiny_data, tmp_path_factory):
    """A visitor of the tiny model with parts of the embedding by two seeds, and a dictionary of it."""
    data = tmp_path_factory.mktemp("matrices") / "data"
    shutil.copytree(tiny_data, data, ignore=shutil.ignore_patterns("artifacts"))
    model = Library(Catalog(data)).model("tiny")
    for basis, parameters in FITS:
        task = Task(("embed",), ("raw",), basis, parameters)
        list(precompute(ArtifactStore(data / "artifacts", 10**9), Tables("cpu"), model, task))
    return serve(data, "tiny")


def api(client, place):
    return client.get(f"{PREFIX}/tiny/{place}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_matrix_has_a_twin_in_every_basis_that_a_visit_computes(client, kind):
    bases = api(client, kind).json()["bases"]
    assert bases[0] == "svd"
    for basis in (name for name in bases if name in COMPUTED):
        answer = api(client, f"{kind}/{basis}")
        assert answer.status_code == 200
        found = check_answer("matrix", answer.json())
        assert (found["matrix"], found["basis"], found["bases"]) == (parse(f"tiny/{kind}").kind, basis, bases)
        first = found["directions"][0]
        one = client.get(f"{PREFIX}/{first['address']}")
        assert one.status_code == 200
        alone = check_answer("direction", one.json())
        assert alone["singular_value"] == first["singular_value"]
        for side in ("left", "right"):
            n = len(first[side]["plus"])
            assert alone[side]["plus"][:n] == first[side]["plus"]
        page = client.get(f"/tiny/{kind}/{basis}")
        assert page.status_code == 200
        assert f"/api/v1/tiny/{kind}" in page.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_matrix_without_a_basis_is_its_singular_directions(client, kind):
    plain, named = (api(client, place).json() for place in (kind, f"{kind}/svd"))
    assert plain == named
    assert plain["links"]["json"] == f"{PREFIX}/tiny/{kind}"


def test_a_fit_that_is_there_says_how_it_was_fitted(client):
    found = api(client, "embed/nmf?components=4&weights=raw").json()
    assert found["parameters"] == {"components": 4, "seed": 0}
    assert found["rank"] == len(found["directions"]) == 4
    assert found["directions"][0]["left"]["minus"] == []
    assert "components=4" in found["links"]["page"]
    one = api(client, "embed/nmf/3?components=4&weights=raw").json()
    assert one["parameters"] == {"components": 4, "seed": 0}


@pytest.mark.parametrize("tail", ["", "/0"])
def test_a_fit_that_is_absent_is_404_with_its_command_and_a_page_that_lists_what_is_there(client, tail):
    asked = f"embed/nmf{tail}?components=5&weights=raw"
    answer = api(client, asked)
    assert answer.status_code == 404
    command = "singular-lens precompute tiny --matrices embed --weights raw --basis nmf --components 5 --seed 0"
    assert command in answer.json()["detail"]
    page = client.get(f"/tiny/{asked}")
    assert page.status_code == 200
    assert command in page.text
    assert "nmf with components 4, seed 0" in page.text
    assert 'href="/tiny/embed/nmf?weights=raw&amp;components=4"' in page.text


def test_an_absent_fit_has_no_file_either(client):
    answer = client.get("/tiny/embed/nmf?components=5&weights=raw&format=csv")
    assert answer.status_code == 404
    assert "singular-lens precompute" in answer.text


WRONG = [
    ("L1/H2/ov/pca", 404, "that has svd, used, neuron"),
    ("pos/neuron", 404, "that has svd, pca"),
    ("L1/mlp-in/frequency", 404, "that has svd, pca, nmf, ica, neuron"),
    ("L1/mlp-gate", 404, "it has mlp-in, mlp-out"),
    ("L2/mlp-in", 404, "layers L0 to L1"),
    ("embed/fourier", 404, "expected one of svd, used, pca, nmf"),
    ("embed/svd/32", 404, "0 to 31"),
    ("embed/svd/01", 404, "is not a direction"),
    ("L1/mlp-in/neuron/128", 404, "0 to 127"),
    ("embed/nmf/4?components=4&weights=raw", 404, "directions 0 to 3"),
    ("embed/frequency?groups=1", 422, "groups goes from 2 to 32 here"),
    ("embed/frequency?groups=33", 422, "groups goes from 2 to 32 here"),
    ("embed/frequency?groups=100001", 422, "groups goes from 2 to 32 here"),
    ("embed/nmf?components=99999999999999999999", 422, "components goes from 2 to 32 here"),
    ("embed/nmf?components=-1", 422, "components goes from 2 to 32 here"),
    ("embed/nmf/9?components=5", 404, "at most directions 0 to 4"),
    ("embed/frequency?groups=two", 422, "groups"),
    ("embed/nmf?components=33", 422, "components goes from 2 to 32 here"),
    ("heads/write/dictionary?atoms=9999", 422, "atoms goes from 2 to 128 here"),
    ("embed/dictionary?sparsity=33", 422, "sparsity goes from 1 to 32 here"),
    ("embed/nmf?atoms=4", 422, "atoms means nothing here: nmf has components, seed"),
    ("embed/pca?components=4", 422, "components means nothing here: pca has no parameters"),
    ("embed?seed=1", 422, "seed means nothing here: svd has no parameters"),
    ("embed?distance=1", 422, "distance must be 0"),
    ("embed?page=9", 422, "There is no page 9"),
    ("embed/compare?nonzeros=33", 422, "nonzeros goes from 1 to 32"),
    ("embed/compare?first=5", 422, "first must be one of 4, 16, 64"),
    ("embed/compare?weights=raw&direction=svd/32", 422, "svd/0 to svd/31"),
    ("embed/compare?direction=nmf/0", 422, "must begin with one of svd, pca"),
    ("embed/compare?nmf=4", 422, "nmf must be 2 numbers"),
    ("embed/compare?nmf=x", 422, "nmf"),
    ("embed/compare?weights=raw&nmf=99,0", 422, "components goes from 2 to 32 here"),
    ("embed/compare?weights=raw&nmf=5,0", 404, "components 4, seed 0; components 4, seed 7"),
    ("embed/compare?nmf=4,0", 404, "fits that are: none"),
    ("pos/compare?ica=4,0", 404, "that has svd, pca"),
]


@pytest.mark.parametrize(("place", "status", "said"), WRONG)
def test_what_is_wrong_is_said_with_what_is_right(client, place, status, said):
    answer = api(client, place)
    assert answer.status_code == status
    assert said in str(answer.json()["detail"])
    page = client.get(f"/tiny/{place}")
    assert page.status_code == status
    assert "<h1" in page.text


def test_an_encoder_has_no_unembedding(relatives):
    for url in (f"{PREFIX}/bert/unembed", f"{PREFIX}/bert/unembed/pca", "/bert/unembed"):
        answer = relatives.get(url)
        assert answer.status_code == 404
        assert "it is an encoder" in answer.text


@pytest.mark.parametrize(("prefix"), [PREFIX, ""])
def test_tied_weights_as_stored_have_one_page(client, prefix):
    for tail in ("", "/pca", "/svd/3", "/frequency/0"):
        query = "?weights=raw&groups=4" if "frequency" in tail else "?weights=raw"
        answer = client.get(f"{prefix}/tiny/unembed{tail}{query}")
        assert answer.status_code == 307
        assert answer.headers["Location"] == f"{prefix}/tiny/embed{tail}{query}"
        assert client.get(answer.headers["Location"]).status_code == 200
    assert client.get(f"{prefix}/tiny/unembed").status_code == 200  # folded, it is another matrix


@pytest.mark.parametrize(("prefix"), [PREFIX, ""])
def test_untied_weights_have_two(relatives, prefix):
    for weights in ("raw", "folded"):
        assert relatives.get(f"{prefix}/llama/unembed?weights={weights}").status_code == 200
    raw = [relatives.get(f"{PREFIX}/llama/{end}?weights=raw").json()["singular_values"] for end in ("embed", "unembed")]
    assert raw[0] != raw[1]


def test_a_pin_holds_for_matrices_and_ends_in_404_where_it_is_another(client):
    plain = api(client, "embed").json()
    pin = plain["fingerprint"][:12]
    pinned = client.get(f"{PREFIX}/tiny@{pin}/embed")
    assert pinned.json()["singular_values"] == plain["singular_values"]
    assert client.get(f"{PREFIX}/tiny@0123456789ab/embed").status_code == 404
    moved = client.get(f"{PREFIX}/tiny@{pin}/unembed?weights=raw")
    assert moved.headers["Location"] == f"{PREFIX}/tiny@{pin}/embed?weights=raw"


def test_bases_side_by_side_as_json_and_as_a_page(client):
    answer = api(client, "embed/compare?weights=raw&first=4&direction=pca/2&nonzeros=3")
    found = check_answer("comparison", answer.json())
    assert [one["basis"] for one in found["bases"]] == ["svd", "pca", "nmf", "dictionary", "neuron", "frequency"]
    assert (found["direction"], found["first"], found["nonzeros"], found["weights"]) == ("pca/2", 4, 3, "raw")
    assert found["bases"][2]["parameters"] == {"components": 4, "seed": 0}
    page = client.get(found["page"])
    assert page.status_code == 200
    for one in found["partners"]:
        assert f'href="/{one["address"]}' in page.text
    assert "Not fitted yet" in page.text
    assert client.get(found["json"]).json() == found


def test_a_comparison_pins_the_fits_that_it_shows(client):
    usual = api(client, "embed/compare?weights=raw").json()
    asked = api(client, "embed/compare?weights=raw&nmf=4,7").json()
    assert [one["parameters"]["seed"] for one in (usual["bases"][2], asked["bases"][2])] == [0, 7]
    for found, shown, other in ((usual, "nmf=4%2C0", "nmf=4%2C7"), (asked, "nmf=4%2C7", "nmf=4%2C0")):
        for link in (found["page"], found["json"]):
            assert shown in link
            assert "dictionary=40%2C3%2C0" in link
        assert client.get(found["json"]).json() == found
        page = client.get(found["page"]).text
        (pinned,) = re.findall(r'<input id="link" value="([^"]+)"', page)
        assert shown in pinned
        assert f'<input type="hidden" name="nmf" value="{shown[4:].replace("%2C", ",")}">' in page
        assert '<input type="hidden" name="weights" value="raw">' in page
        (choice,) = re.findall(rf'href="([^"]*{other}[^"]*)">components', page)
        assert client.get(choice.replace("&amp;", "&")).status_code == 200
        assert "it is taken out first, for every basis and for random vectors" in page
    assert 0 < usual["mean_share"] < 1


def test_a_dictionary_says_how_it_is_packed(client):
    asked = "embed/dictionary?weights=raw&atoms=40&sparsity=3"
    found = check_answer("matrix", api(client, asked).json())["packing"]
    assert sum(found["counts"]) == 40 * 39 / 2
    assert [need["who"] for need in found["needs"]] == ["atoms", "random", "pca"]
    assert all(len(need["quartiles"]) == len(found["thresholds"]) for need in found["needs"])
    assert len(found["lonely"]) == found["n_lonely"] <= min(found["n_far"], found["n_coherent"]) <= 40
    page = client.get(f"/tiny/{asked}").text
    assert "without the samples&#39; mean (" in page or "without the samples' mean (" in page
    assert f"{found['n_coherent']} of 40 atoms have top tokens more alike" in page
    assert "<small>quartiles " in page
    assert api(client, "embed").json()["packing"] is None


@pytest.mark.parametrize("place", ["L1/H2/qk", "L0/mlp-out", "pos", "heads/read"])
def test_every_kind_is_compared(client, place):
    assert api(client, f"{place}/compare").status_code == 200
    assert client.get(f"/tiny/{place}/compare").status_code == 200


@pytest.mark.parametrize("place", ["", "/L1", "/L1/H2", "/embed/svd", "/embed/svd/0"])
def test_only_matrices_are_compared(client, place):
    assert client.get(f"/tiny{place}/compare").status_code == 404


def test_every_depth_of_every_place_is_described(client):
    paths = client.get("/openapi.json").json()["paths"]
    for place in PLACES:
        for tail in ("", "/compare", "/{basis}", "/{basis}/{index}"):
            described = paths[f"{PREFIX}{place}{tail}"]["get"]
            assert described["summary"]
            named = {each["name"] for each in described["parameters"]}
            assert {"weights"} <= named
            assert ("nonzeros" in named) == (tail == "/compare")
            assert ("components" in named) == (tail != "/compare")
