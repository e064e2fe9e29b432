"""Fits of the tiny model: what a visitor sees before and after, and what strangers' files in the folder do."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from app.core.address import parse
from app.core.basis import BASES
from app.core.decomposition import approximate_matrix
from app.explorer import recipes
from app.explorer.asking.places import locate_model
from app.explorer.asking.tasks import wish_of_view
from app.explorer.asking.views import check_view
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.making.subjects import read_subject
from app.explorer.making.tables import Tables
from app.explorer.pages.matrices import FitPage, MatrixPage
from app.explorer.visits import browse, fits, jobs, orders
from app.explorer.visits.browse import Options
from app.jobs.precompute import precompute
from app.store.artifacts import Recipe
from app.store.jobs import Task
from app.store.sealed import Contents, seal_contents
from tests.explorer.steps import run_steps

NMF = parse("tiny/embed/nmf")


@pytest.fixture(scope="module")
def r(open_explorer, tiny_data, tmp_path_factory):
    """With two fits of the embedding's parts, one of its sources and one dictionary, all as stored."""
    data = tmp_path_factory.mktemp("fits") / "data"
    opened = open_explorer(shutil.copytree(tiny_data, data, ignore=shutil.ignore_patterns("artifacts")))
    for basis, parameters in (
        ("nmf", {"components": 4, "seed": 0}),
        ("nmf", {"components": 3, "seed": 7}),
        ("ica", {"components": 5, "seed": 0}),
        ("dictionary", {"atoms": 40, "sparsity": 3, "seed": 1}),
    ):
        task = Task(("embed",), ("raw",), basis, tuple(parameters.items()))
        list(precompute(opened.store, Tables("cpu"), opened.library.model("tiny"), task))
    return opened


def raw(**parameters):
    return Options(weights="raw", parameters=parameters)


def there(r, address, weights="raw"):
    model = locate_model(r, address)
    shown = check_view(model, address, Options(weights=weights), "folded")
    return [tuple(choice.value for choice in fit) for fit in fits.computed_fits(r, model, address, shown)]


def test_a_fit_that_is_absent_says_what_is_there_and_what_computes_it(r):
    for verb, address in ((browse.visit_matrix, NMF), (browse.visit_direction, NMF.direction(2))):
        page = verb(r, address, raw(components=6))
        assert isinstance(page, FitPage)
        assert page.address == NMF
        assert page.command == (
            "singular-lens precompute tiny --matrices embed --weights raw --basis nmf --components 6 --seed 0"
        )
        assert page.task == Task(("embed",), ("raw",), "nmf", (("components", 6), ("seed", 0)))
        assert [tuple(choice.value for choice in fit) for fit in page.there] == [(3, 7), (4, 0)]
        assert page.job is None
        assert [tab.basis for tab in page.tabs] == [name for name, basis in BASES.items() if "embed" in basis.kinds]


def test_a_job_that_is_at_it_is_named(r):
    page = browse.visit_matrix(r, NMF, raw(components=6))
    model = r.library.model("tiny")
    job = r.jobs.new("tiny", model.fingerprint, page.task)
    try:
        with r.jobs.hold_job(job.id):
            r.jobs.write(job)
            assert browse.visit_matrix(r, NMF, raw(components=6)).job.id == job.id
            assert browse.visit_matrix(r, NMF, raw(components=7)).job is None
    finally:
        shutil.rmtree(r.data / "jobs")


def test_the_last_job_that_was_to_fit_it_is_named_however_it_ended(r):
    """Also one of many matrices, if this one is of a kind that it was to compute."""
    fingerprint = locate_model(r, NMF).fingerprint
    task = Task(("embed", "L1/mlp-in"), ("folded", "raw"), "nmf", (("components", 9), ("seed", 0)))
    for created, state in enumerate(("failed", "cancelled"), 1):
        job = replace(r.jobs.new("tiny", fingerprint, task), state=state, created=float(created), message=state)
        r.jobs.write(job)
        page = browse.visit_matrix(r, NMF, raw(components=9))
        assert (page.job.id, page.job.state, page.job.message) == (job.id, state, state)
    assert browse.visit_matrix(r, NMF, raw(components=10)).job is None
    assert browse.visit_matrix(r, parse("tiny/L0/mlp-in/nmf"), raw(components=9)).job is None
    assert browse.visit_matrix(r, parse("tiny/L1/mlp-in/nmf"), raw(components=9)).job is not None


def test_a_direction_that_no_such_fit_can_have_is_not_offered_to_be_fitted(r):
    with pytest.raises(UnknownAddress, match="directions 0 to 5"):
        browse.visit_direction(r, NMF.direction(6), raw(components=6))


def test_what_is_computed_on_a_visit_is_never_absent(r):
    model = r.library.model("tiny")
    for basis in ("svd", "pca", "neuron", "frequency"):
        address = parse(f"tiny/embed/{basis}")
        assert fits.missing_fit_page(r, model, address, check_view(model, address, Options(), "raw")) is None


def test_a_fit_that_is_there_is_its_page(r):
    page = browse.visit_matrix(r, NMF, raw(components=4))
    assert isinstance(page, MatrixPage)
    assert page.rank == len(page.directions) == 4
    assert list(page.singular_values) == sorted(page.singular_values, reverse=True)
    one = browse.visit_direction(r, NMF.direction(3), raw(components=4))
    assert one.singular_value == page.singular_values[3]
    with pytest.raises(UnknownAddress, match="directions 0 to 3"):
        browse.visit_direction(r, NMF.direction(4), raw(components=4))


def test_parts_have_one_ray_and_any_other_fit_two(r):
    for row in browse.visit_matrix(r, NMF, raw(components=4)).directions:
        assert len(row.left.plus) == len(row.right.plus) == 8
        assert row.left.minus == row.right.minus == ()
        assert all(token.score > 0 for token in row.left.plus)  # a part's weights never cancel
    ica = browse.visit_matrix(r, parse("tiny/embed/ica"), raw(components=5))
    assert all(len(row.right.minus) == 8 for row in ica.directions)
    assert ica.bias_term == "mean"
    assert 0 <= dict(ica.scores)["gaussian-share"] <= 1


@pytest.mark.parametrize(
    ("basis", "parameters"),
    [("nmf", {"components": 4}), ("ica", {"components": 5}), ("dictionary", {"atoms": 40, "sparsity": 3, "seed": 1})],
)
def test_the_error_of_a_fit_is_what_its_terms_leave(r, context_of, oracle_of, basis, parameters):
    address = parse(f"tiny/embed/{basis}")
    page = browse.visit_matrix(r, address, raw(**parameters))
    product = run_steps(read_subject(context_of("gpt2", "raw"), address)).product
    terms = run_steps(BASES[basis].decompose(product, {choice.name: choice.value for choice in page.view.parameters}))
    exact = oracle_of("gpt2").dense("embed", "raw").matrix
    expected = np.linalg.norm(exact - approximate_matrix(product, terms).numpy()) / np.linalg.norm(exact)
    assert dict(page.scores)["error"] == pytest.approx(expected, rel=1e-4)
    span = 1 - page.curve.explained[-1]
    assert span**0.5 <= expected + 1e-6
    if terms.mean is None:  # which explains something besides
        assert all(own <= best + 1e-6 for own, best in zip(page.curve.explained, page.curve.svd, strict=True))
    kept = r.store.load(fitted(r, address, page)).arrays["vectors"]
    np.testing.assert_allclose(kept, terms.right, atol=1e-6)


def fitted(r, address, page):
    return recipes.decomposition(
        r.library.model("tiny"), address, page.view.weights, {each.name: each.value for each in page.view.parameters}
    )


def test_a_fit_of_other_weights_or_another_matrix_is_not_listed(r):
    assert there(r, NMF) == [(3, 7), (4, 0)]
    assert there(r, NMF, "folded") == []
    assert there(r, parse("tiny/unembed/nmf"), "folded") == []
    assert there(r, parse("tiny/L0/mlp-in/nmf")) == []
    assert there(r, parse("tiny/embed/dictionary")) == [(40, 3, 1)]


def test_what_a_server_computes_by_itself_is_there_for_others(r):
    """An order through the queue keeps the same file that a job writes."""
    address, model = parse("tiny/L1/mlp-out/ica"), r.library.model("tiny")
    shown = check_view(model, address, raw(components=3), "raw")
    assert fits.missing_fit_page(r, model, address, shown) is not None
    orders.fulfil(r, orders.order_matrix(model, address, shown))
    assert there(r, address) == [(3, 0)]
    assert browse.visit_matrix(r, address, raw(components=3)).rank == 3


@pytest.mark.parametrize(
    ("basis", "parameters", "said"),
    [
        ("nmf", {"components": 301}, "components goes from 2 to 32 here"),
        ("nmf", {"components": 1}, "components goes from 2 to 32 here"),
        ("dictionary", {"atoms": 257}, "atoms goes from 2 to 256 here"),
        ("dictionary", {"sparsity": 0}, "sparsity goes from 1 to 32 here"),
        ("ica", {"atoms": 4}, "atoms means nothing here: ica has components, seed"),
        ("svd", {"seed": 4}, "seed means nothing here: svd has no parameters"),
    ],
)
def test_parameters_beyond_their_range_are_refused_with_it(r, basis, parameters, said):
    with pytest.raises(BadOption, match=said):
        browse.visit_matrix(r, parse(f"tiny/embed/{basis}"), raw(**parameters))


HOSTILE = [
    (("components", float("nan")), ("seed", 0)),
    (("components", float("inf")), ("seed", 0)),
    (("components", 4.5), ("seed", 0)),
    (("components", 10**9), ("seed", 0)),
    (("components", -1), ("seed", 0)),
    (("<script>", 3), ("seed", 0)),
    (("components", 5), ("seed", 0), ("distance", 3)),
    (("components", 5), ("seed", 0)),  # for other tokens than are kept
    (),
]


@pytest.mark.parametrize("parameters", HOSTILE, ids=str)
def test_files_of_strangers_are_no_fits(r, parameters):
    """Whatever their headers say, only files that this version would look for are listed."""
    model = r.library.model("tiny")
    kept = tuple(sorted((*parameters, ("tokens", 7))))
    recipe = Recipe(model.fingerprint, "decomposition", "embed", "raw", "nmf", kept)
    path = r.store.path(recipe)
    path.write_bytes(seal_contents(Contents(recipe.to_json(), "{}", {"strength": np.ones(2, np.float32)})))
    try:
        assert there(r, NMF) == [(3, 7), (4, 0)]
    finally:
        path.unlink()


def test_files_that_are_none_are_passed_over(r):
    folder = r.store.path(fitted(r, NMF, browse.visit_matrix(r, NMF, raw(components=4)))).parent
    whole = sorted(folder.glob("*.safetensors"))
    strangers = {
        "empty": b"",
        "long": (2**62).to_bytes(8, "little") + b"{}",
        "no-json": (3).to_bytes(8, "little") + b"{{{",
        "nested": _header("[" * 100_000),
        "list": _header(json.dumps([1, 2])),
        "extra": _header(json.dumps({"parameters": [], "boom": 1})),
        "copy": whole[0].read_bytes(),
    }
    for name, data in strangers.items():
        (folder / f"{name}.safetensors").write_bytes(data)
    (folder / "folder.safetensors").mkdir()
    try:
        assert there(r, NMF) == [(3, 7), (4, 0)]
        assert isinstance(browse.visit_matrix(r, NMF, raw(components=6)), FitPage)
    finally:
        for name in strangers:
            (folder / f"{name}.safetensors").unlink()
        (folder / "folder.safetensors").rmdir()


def _header(recipe):
    header = json.dumps({"__metadata__": {"recipe": recipe, "facts": "{}"}}).encode()
    return len(header).to_bytes(8, "little") + header


def test_a_damaged_fit_is_absent(open_explorer, fresh_data, caplog):
    r = open_explorer(fresh_data)
    model = r.library.model("tiny")
    address = parse("tiny/L0/mlp-in/nmf")
    shown = check_view(model, address, raw(components=2), "raw")
    list(precompute(r.store, Tables("cpu"), model, wish_of_view(model, address, shown).task))
    path = r.store.path(orders.order_matrix(model, address, shown).recipe)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    page = browse.visit_matrix(r, address, raw(components=2))
    assert isinstance(page, FitPage)
    assert page.there == ()
    assert "set aside" in caplog.text


def test_the_chosen_values_alone(r):
    page = browse.visit_matrix(r, NMF, raw(components=4))
    assert fits.parameter_values(page.view.parameters) == {"components": 4, "seed": 0}
    assert page.view.parameters[0] == replace(page.view.parameters[0], low=2, high=32, default=32)
    assert jobs.command_of(wish_of_view(r.library.model("tiny"), NMF, page.view)).endswith("--components 4 --seed 0")
