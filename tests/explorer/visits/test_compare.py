"""The page of a comparison: which numbers it takes, which fits, and what it refuses."""

import shutil

import numpy as np
import pytest

from app.core.address import parse
from app.explorer.asking.places import locate_model
from app.explorer.asking.views import Options, check_view
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.layout import MOST_NONZEROS, SPANS
from app.explorer.visits import browse, orders
from app.explorer.visits.compare import visit_comparison

EMBED = parse("tiny/embed")
RAW = Options(weights="raw")


@pytest.fixture(scope="module")
def r(open_explorer, tiny_data, tmp_path_factory):
    """With parts of the embedding by two seeds, neither the default, and a default fit of its sources."""
    data = tmp_path_factory.mktemp("compare") / "data"
    opened = open_explorer(shutil.copytree(tiny_data, data, ignore=shutil.ignore_patterns("artifacts")))
    fit(opened, "nmf", components=4, seed=5)
    fit(opened, "nmf", components=3, seed=9)
    fit(opened, "ica", components=3)
    fit(opened, "ica")
    return opened


def fit(r, basis, **parameters):
    address = EMBED.in_basis(basis)
    model = locate_model(r, address)
    orders.fulfil(
        r, orders.order_matrix(model, address, check_view(model, address, Options("raw", parameters=parameters), "raw"))
    )


def test_a_page_of_bases_side_by_side(r):
    page = visit_comparison(r, EMBED, RAW)
    assert [one.basis for one in page.bases] == ["svd", "pca", "nmf", "ica", "neuron", "frequency"]
    assert [tab.basis for tab in page.absent] == ["dictionary"]
    assert (page.nonzeros, page.most, page.first, page.firsts) == (8, MOST_NONZEROS, 16, SPANS)
    assert page.direction == "svd/0"
    assert [one.basis for one in page.partners] == ["pca", "nmf", "ica", "neuron", "frequency"]
    for i, row in enumerate(page.overlaps):
        assert row[i] == 1
        assert all(0 <= smallest**2 <= mean + 1e-6 for smallest, mean in zip(page.smallest[i], row, strict=True))


def test_the_default_fit_is_taken_where_it_is_there_else_the_first(r):
    parameters = {
        one.basis: {each.name: each.value for each in one.parameters} for one in visit_comparison(r, EMBED, RAW).bases
    }
    assert parameters["nmf"] == {"components": 3, "seed": 9}
    assert parameters["ica"] == {"components": 32, "seed": 0}
    assert parameters["svd"] == {}
    assert {one.basis: one.terms for one in visit_comparison(r, EMBED, RAW).bases}["nmf"] == 3


def test_a_fit_that_comes_later_is_taken_up(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    assert "nmf" not in [one.basis for one in visit_comparison(r, EMBED, RAW).bases]
    fit(r, "nmf", components=2)
    assert "nmf" in [one.basis for one in visit_comparison(r, EMBED, RAW).bases]
    assert "nmf" not in [one.basis for one in visit_comparison(r, EMBED, Options(weights="folded")).bases]


def test_the_fit_that_is_asked_for_is_compared_and_the_others_are_named(r):
    usual = {one.basis: one for one in visit_comparison(r, EMBED, RAW).bases}
    asked = {one.basis: one for one in visit_comparison(r, EMBED, RAW, wanted={"nmf": (4, 5)}).bases}
    assert [choice.value for choice in asked["nmf"].parameters] == [4, 5]
    assert asked["nmf"].terms == 4
    assert asked["nmf"].others == (usual["nmf"].parameters,)
    assert usual["nmf"].others == (asked["nmf"].parameters,)
    assert asked["ica"] == usual["ica"]
    assert [[choice.value for choice in fit] for fit in usual["ica"].others] == [[3, 0]]
    assert usual["svd"].others == ()


def test_a_fit_that_is_not_there_is_told_with_those_that_are(r):
    with pytest.raises(UnknownAddress) as told:
        visit_comparison(r, EMBED, RAW, wanted={"nmf": (5, 0)})
    for said in (
        "embedding nmf is not here with components 5, seed 0",
        "components 3, seed 9; components 4, seed 5.",
        "singular-lens precompute tiny --matrices embed --weights raw --basis nmf --components 5 --seed 0",
    ):
        assert said in str(told.value)
    with pytest.raises(UnknownAddress, match=r"fits that are: none\. singular-lens precompute"):
        visit_comparison(r, EMBED, RAW, wanted={"dictionary": (40, 3, 0)})


@pytest.mark.parametrize(
    ("wanted", "error", "said"),
    [
        ({"nmf": (4,)}, BadOption, "nmf must be 2 numbers with commas between them: components, seed"),
        ({"nmf": (4, 5, 6)}, BadOption, "nmf must be 2 numbers"),
        ({"dictionary": (4, 5)}, BadOption, "dictionary must be 3 numbers .*: atoms, sparsity, seed"),
        ({"nmf": (999, 0)}, BadOption, "components goes from 2 to 32 here"),
    ],
)
def test_a_fit_that_cannot_be_is_refused(r, wanted, error, said):
    with pytest.raises(error, match=said):
        visit_comparison(r, EMBED, RAW, wanted=wanted)


def test_a_fit_of_a_basis_that_the_matrix_does_not_have_is_refused(explorer):
    with pytest.raises(UnknownAddress, match="that has svd, neuron"):
        visit_comparison(explorer, parse("tiny/L1/H2/qk"), Options(), wanted={"nmf": (4, 0)})


def test_the_means_share_is_told(r):
    assert 0 < visit_comparison(r, EMBED, RAW).mean_share < 1


def test_errors_are_those_at_that_many_vectors(r):
    three, eight = visit_comparison(r, EMBED, RAW, nonzeros=3), visit_comparison(r, EMBED, RAW)
    for few, many in zip(three.bases, eight.bases, strict=True):
        assert few.errors == many.errors
        assert (few.error, many.error) == (few.errors[2], few.errors[7])
        assert few.error >= many.error
        assert few.control >= many.control
    assert three.bases[0].error < three.bases[0].control  # the samples lie along their own directions


def test_spans_of_more_vectors_explain_more(r):
    pages = [visit_comparison(r, EMBED, RAW, first=first) for first in SPANS]
    for one in zip(*(page.bases for page in pages), strict=True):
        shares = [each.explained for each in one]
        assert shares == sorted(shares)
        assert 0 < shares[0] <= 1 + 1e-6
    assert pages[2].overlaps[0][1] == pytest.approx(1, abs=1e-5)  # 32 directions are all there are
    assert pages[0].bases[0].explained >= pages[0].bases[5].explained


def test_a_chosen_direction_has_its_nearest_in_every_other_basis(r):
    page = visit_comparison(r, EMBED, RAW, direction="nmf/2")
    assert page.direction == "nmf/2"
    assert page.chosen.address == EMBED.in_basis("nmf").direction(2)
    assert [one.basis for one in page.partners] == ["svd", "pca", "ica", "neuron", "frequency"]
    for one in page.partners:
        assert one.address.basis == one.basis
        assert -1 <= one.cosine <= 1
        assert 0 < one.control <= 1
        browse.visit_direction(
            r, one.address, Options("raw", parameters={each.name: each.value for each in one.parameters})
        )
    assert all(
        one.direction.address == one.address for one in visit_comparison(r, EMBED, RAW, direction="nmf/2").partners
    )


def test_what_was_not_read_out_yet_is_none(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    page = visit_comparison(r, EMBED, RAW)
    assert page.chosen is None
    assert {one.direction for one in page.partners} == {None}
    browse.visit_matrix(r, EMBED, RAW)
    assert visit_comparison(r, EMBED, RAW).chosen == browse.visit_matrix(r, EMBED, RAW).directions[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"nonzeros": 0}, "nonzeros goes from 1 to 32"),
        ({"nonzeros": 33}, "nonzeros goes from 1 to 32"),
        ({"first": 5}, "first must be one of 4, 16, 64"),
        ({"direction": "svd/32"}, "direction goes from svd/0 to svd/31 here"),
        ({"direction": "nmf/3"}, "direction goes from nmf/0 to nmf/2 here"),
        ({"direction": "svd/-1"}, "direction goes from svd/0"),
        ({"direction": "svd/²"}, "direction goes from svd/0"),
        ({"direction": "svd/٣"}, "direction goes from svd/0"),
        ({"direction": "svd/"}, "direction goes from svd/0"),
        ({"direction": "svd/9999999999999"}, "direction goes from svd/0"),
        ({"direction": "dictionary/0"}, "must begin with one of svd, pca, nmf, ica, neuron, frequency"),
        ({"direction": "12"}, "must begin with one of svd"),
        ({"direction": "<script>/1"}, "must begin with one of svd"),
    ],
)
def test_what_is_out_of_range_is_refused_with_the_range(r, words, said):
    with pytest.raises(BadOption, match=said):
        visit_comparison(r, EMBED, RAW, **words)


def test_what_is_no_matrix_here_has_no_comparison(explorer, relatives):
    with pytest.raises(UnknownAddress, match="encoder"):
        visit_comparison(relatives, parse("bert/unembed"), Options())
    with pytest.raises(UnknownAddress, match="mixture"):
        visit_comparison(relatives, parse("mixtral/L0/mlp-in"), Options())


def test_a_head_has_its_singular_directions_and_its_coordinates(explorer):
    page = visit_comparison(explorer, parse("tiny/L1/H2/qk"), Options(), first=4, direction="neuron/31")
    assert [one.basis for one in page.bases] == ["svd", "neuron"]
    assert page.absent == ()
    (partner,) = page.partners
    assert partner.address == parse("tiny/L1/H2/qk").in_basis("svd").direction(partner.address.index)


@pytest.mark.parametrize("number", [3, 127])
def test_a_neuron_is_compared_by_its_own_number(explorer, oracle_of, number):
    matrix = oracle_of("gpt2").dense("mlp-in", "raw")
    units = matrix.samples / np.linalg.norm(matrix.samples, axis=1, keepdims=True)
    directions = np.linalg.svd(matrix.samples)[2]
    address, raw = parse("tiny/L1/mlp-in"), Options(weights="raw")
    page = visit_comparison(explorer, address, raw, direction=f"neuron/{number}")
    (partner,) = (one for one in page.partners if one.basis == "svd")
    cosines = np.abs(directions @ units[number])
    assert (partner.address.index, abs(partner.cosine)) == (cosines.argmax(), pytest.approx(cosines.max(), abs=1e-5))
    browse.visit_direction(explorer, address.in_basis("neuron").direction(number), raw)
    chosen = visit_comparison(explorer, address, raw, direction=f"neuron/{number}").chosen
    assert chosen is not None
    assert (chosen.address, chosen.unit) == (address.in_basis("neuron").direction(number), number)
    (nearest,) = (one for one in visit_comparison(explorer, address, raw).partners if one.basis == "neuron")
    assert nearest.address.index == np.abs(units @ directions[0]).argmax()
    with pytest.raises(BadOption, match="from neuron/0 to neuron/127 here"):
        visit_comparison(explorer, address, raw, direction="neuron/128")
