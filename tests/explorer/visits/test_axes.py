"""The axes that heads' outputs vary along: pages of an OV in the basis `used`, once statistics are there."""

import dataclasses
import shutil

import numpy as np
import pytest

from app.core.address import parse
from app.explorer import recipes
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, NotBuilt, UnknownAddress
from app.explorer.making.tables import Tables
from app.explorer.visits import browse, census, compare, vectors
from app.jobs.precompute import precompute
from app.store.artifacts import ArtifactStore
from app.store.jobs import Task
from app.web.urls.urls import Urls

OV = parse("tiny/L1/H2/ov")
USED, QK = OV.in_basis("used"), parse("tiny/L1/H2/qk")
FOLDED = Options(weights="folded")
OF_AXES = Task(("ov",), ("folded",), "used")


@pytest.fixture(scope="module")
def r(open_explorer, tiny_data, tmp_path_factory):
    """An explorer of a model whose statistics were computed in folded weights, and then the axes of every head."""
    r = open_explorer(shutil.copytree(tiny_data, tmp_path_factory.mktemp("axes") / "data"))
    model = r.library.model("tiny")
    store = ArtifactStore(r.store.root, 10**9)
    for task in (Task(("use",), ("folded",)), OF_AXES):
        *_, last = precompute(store, Tables("cpu"), model, task)
    assert last.matrices_done == last.matrices == model.header.n_layers * model.header.n_heads
    *_, again = precompute(store, Tables("cpu"), model, OF_AXES)
    assert (again.matrices_done, again.matrices_found) == (0, last.matrices)
    return r


def test_a_head_says_first_what_its_first_axis_is_a_mixture_of(r, patiently):
    page = patiently(browse.visit_matrix, r, USED, FOLDED)
    found = patiently(vectors.visit_vectors, r, USED, FOLDED)
    singular = patiently(vectors.visit_vectors, r, OV, FOLDED)
    cosines = np.abs(found.sides["right"] @ singular.sides["right"].T)
    for row, direction in enumerate(page.directions):
        mixture = direction.axis.mixture
        assert [one.index for one in mixture] == np.argsort(-cosines[row])[: len(mixture)].tolist()
        assert [one.cosine for one in mixture] == pytest.approx(np.sort(cosines[row])[::-1][: len(mixture)], abs=1e-5)
        assert all(str(one.address) == f"tiny/L1/H2/ov/svd/{one.index}" for one in mixture)
    assert page.axes.first == page.directions[0].axis
    assert (page.axes.text, page.axes.first_share) == ("own", page.directions[0].merit)
    one = patiently(browse.visit_direction, r, USED.direction(3), FOLDED)
    assert (one.axis, one.merit) == (page.directions[3].axis, page.directions[3].merit)
    assert sum(direction.merit for direction in page.directions) == pytest.approx(1, abs=1e-5)
    assert sum(direction.energy_share for direction in page.directions) == pytest.approx(1, abs=1e-5)


def test_links_name_the_statistics_that_axes_are_fitted_to(r, patiently):
    page = patiently(browse.visit_matrix, r, USED, FOLDED)
    number = recipes.number_of_statistics(r.library.model("tiny"), "folded")
    (choice,) = page.view.parameters
    assert (choice.name, choice.value, choice.default) == ("statistics", number, number)
    urls = Urls("", "")
    assert "statistics" not in urls.page(USED.direction(0), page.view)
    assert f"statistics={number}" in urls.pinned_url(USED, page.model.pin, page.view)
    assert "statistics" not in urls.pinned_url(OV, page.model.pin, page.view)
    said = dataclasses.replace(FOLDED, parameters={"statistics": number})
    assert patiently(browse.visit_matrix, r, USED, said) == page
    with pytest.raises(UnknownAddress, match=f"statistics 7 are not here: .* {number} on this server"):
        browse.visit_matrix(r, USED, dataclasses.replace(FOLDED, parameters={"statistics": 7}))
    with pytest.raises(UnknownAddress, match=f"Such statistics are not here: .* {number} on this server"):
        browse.visit_matrix(r, USED, dataclasses.replace(FOLDED, parameters={"statistics": -1}))
    with pytest.raises(BadOption, match="statistics means nothing here"):
        browse.visit_matrix(r, OV, said)


def test_an_operators_text_is_shown_first_and_the_other_stays_where_it_was(r, open_explorer, patiently, tmp_path):
    r = open_explorer(shutil.copytree(r.store.root.parent, tmp_path / "data"))
    model = r.library.model("tiny")
    for of in (recipes.use, recipes.use_outputs):
        held = r.store.read(of(model, "folded"))
        r.store.write(of(model, "folded", 77), held.arrays, held.facts)
    own, given = (recipes.number_of_statistics(model, "folded", text) for text in (0, 77))
    page = patiently(browse.visit_matrix, r, USED, FOLDED)
    assert (page.view.parameters[0].value, page.axes.text) == (given, "given")
    page = patiently(browse.visit_matrix, r, USED, dataclasses.replace(FOLDED, parameters={"statistics": own}))
    assert (page.view.parameters[0].value, page.axes.text) == (own, "own")
    assert f"statistics={own}" in Urls("", "").page(USED.direction(0), page.view)


def test_without_statistics_the_command_is_named_and_there_is_no_tab(r, explorer, patiently):
    with pytest.raises(NotBuilt, match="singular-lens statistics tiny --weights raw computes it") as caught:
        browse.visit_matrix(r, USED, Options(weights="raw"))
    assert caught.value.command == "singular-lens statistics tiny --weights raw"
    for here, bases in ((r, ("svd", "used", "neuron")), (explorer, ("svd", "neuron"))):
        assert patiently(browse.visit_matrix, here, OV, FOLDED).bases == bases
        head = patiently(browse.visit_head, here, OV.parent, FOLDED)
        assert (head.ov.bases, head.qk.bases) == (bases, ("svd", "neuron"))
    with pytest.raises(UnknownAddress, match="that has svd, neuron"):
        browse.visit_matrix(r, QK.in_basis("used"), FOLDED)


def test_a_model_that_is_not_run_has_no_such_basis(relatives):
    with pytest.raises(UnknownAddress, match=r"bert, which is not run here, .*: OV has svd, neuron"):
        browse.visit_matrix(relatives, parse("bert/L0/H0/ov/used"), Options())


def test_axes_are_compared_with_the_other_bases(r, patiently):
    page = patiently(compare.visit_comparison, r, OV, FOLDED)
    assert [one.basis for one in page.bases] == ["svd", "used", "neuron"]
    (used,) = (one for one in page.bases if one.basis == "used")
    (partner,) = (one for one in page.partners if one.basis == "used")
    shown = patiently(browse.visit_matrix, r, USED, FOLDED)
    assert used.parameters == partner.parameters == shown.view.parameters
    nearest = max(
        (one.cosine, direction.index)
        for direction in shown.directions
        for one in direction.axis.mixture
        if one.index == 0
    )
    assert (abs(partner.cosine), partner.address.index) == (pytest.approx(nearest[0], abs=1e-5), nearest[1])
    with pytest.raises(UnknownAddress, match="statistics 7 are not here"):
        compare.visit_comparison(r, OV, FOLDED, wanted={"used": (7,)})


def test_the_census_counts_axes_beside_directions(r, patiently):
    """Shares at p < .01 are those of each head's own page."""
    page = patiently(census.visit_census, r, parse("tiny"), FOLDED)
    while not page.is_whole:
        page = patiently(census.visit_census, r, parse("tiny"), FOLDED)
    heads = [parse(f"tiny/L{layer}/H{head}/ov/used") for layer in range(2) for head in range(4)]
    pages = [patiently(browse.visit_matrix, r, head, dataclasses.replace(FOLDED, whole=True)) for head in heads]
    for side, kind in (("left", "ov-read"), ("right", "ov-write")):
        ends = [
            ray.p[-1] < 0.01
            for one in pages
            for direction in one.directions
            for ray in (getattr(direction, side).rays.plus, getattr(direction, side).rays.minus)
        ]
        (found,) = (one for one in page.axes if (one.kind, one.among) == (kind, "all"))
        assert found.shares[0].axes.value == pytest.approx(np.mean(ends))
        (own,) = (one for one in page.kinds if one.kind == kind)
        assert found.shares[0].directions == own.readable
    assert "axes" in {one.about for one in page.findings}
