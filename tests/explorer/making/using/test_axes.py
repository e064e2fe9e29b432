"""The axes of heads' outputs, as artifacts: against the covariance that they are fitted to, and beside the plain matrix."""

import numpy as np
import pytest

from app.core.address import parse
from app.core.circuits import ov
from app.core.steps import run
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.layout import MIXED
from app.explorer.making.context import Context
from app.explorer.making.heads import read_head_tensors
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.using import axes
from app.store.artifacts import ArtifactStore

LAYER, HEAD = 1, 2
PLACE = parse(f"llama/L{LAYER}/H{HEAD}/ov/used")


@pytest.fixture(scope="module")
def context(context_of, tmp_path_factory):
    """A context whose store has the statistics in folded weights."""
    found = context_of("llama", "folded")
    store = ArtifactStore(tmp_path_factory.mktemp("axes"), 10**9)
    parts = recipes.use_parts(found.model, "folded", 0)
    for recipe in (*parts, *recipes.use_wholes(found.model, "folded")[:2]):
        store.write(recipe, *run(run_maker(recipe, MakerInputs(found.tables, found.model, store))))
    return Context(found.tables, found.model, "folded", store)


def make(context, recipe):
    return run(run_maker(recipe, MakerInputs(context.tables, context.model, context.store)))


@pytest.fixture(scope="module")
def made(context):
    """The head's axes, read out and as vectors."""
    parameters = {"statistics": recipes.number_of_statistics(context.model, "folded")}
    arrays, facts = make(context, recipes.decomposition(context.model, PLACE, "folded", parameters))
    return arrays, facts, make(context, recipes.vectors(context.model, PLACE, "folded", parameters))[0]


def test_terms_add_up_to_the_matrix_and_their_shares_are_those_of_its_output(context, made):
    arrays, facts, vectors = made
    W = ov(read_head_tensors(context, LAYER, HEAD)).dense().numpy()
    np.testing.assert_allclose((vectors["left"].T * arrays["strength"]) @ vectors["right"], W, atol=1e-5)
    singular = np.linalg.svd(W)[2][: len(arrays["strength"])]
    cosines = vectors["right"] @ singular.T
    nearest = np.sort(np.abs(cosines), axis=1)[:, ::-1][:, :MIXED]
    np.testing.assert_allclose(nearest, arrays["mixture"], atol=1e-4)
    whole = context.store.load(recipes.use_outputs(context.model, "folded"))
    M = whole.arrays["covariance"][:, LAYER, HEAD].astype(np.float64).mean(axis=0)
    signs = _signs(context, singular)
    spread = np.einsum("ij,jk,ik->i", cosines, M * np.outer(signs, signs), cosines)
    np.testing.assert_allclose(spread / spread.sum(), arrays["merit"], atol=1e-4)
    assert (np.diff(arrays["merit"]) <= 0).all()
    for name in ("merit", "held", "share"):
        assert arrays[name].sum() == pytest.approx(1, abs=1e-5)
    assert facts["scores"]["output-participation"] == pytest.approx(1 / np.square(arrays["merit"]).sum(), rel=1e-4)
    assert (facts["text"], arrays["explained"][-1]) == ("own", pytest.approx(1, abs=1e-6))


def _signs(context, singular):
    """The sign that the house gives each singular direction, where another routine may give the other."""
    recipe = recipes.vectors(context.model, PLACE.in_basis("svd"), "folded", {})
    return np.sign((make(context, recipe)[0]["right"] * singular).sum(axis=1))


def test_heads_read_together_are_as_each_alone_and_count_in_the_census(context, made):
    number = recipes.number_of_statistics(context.model, "folded")
    outputs = axes.load_outputs(context, number)
    heads = range(context.model.manifest.n_heads)
    together = axes.read_axes(context, LAYER, heads, outputs)
    for name, array in together[HEAD][0].items():
        np.testing.assert_array_equal(array, made[0][name])
    recipe = recipes.census_of_axes(context.model, LAYER, "folded", number)
    with pytest.raises(ComputationFailed, match="L1H0 OV used is not here"):
        make(context, recipe)
    for head, found in zip(heads, together, strict=True):
        place = parse(f"llama/L{LAYER}/H{head}/ov/used")
        context.store.write(recipes.decomposition(context.model, place, "folded", {"statistics": number}), *found)
    counted, _ = make(context, recipe)
    assert len(counted["z"]) == sum(2 * len(found["strength"]) for found, _ in together)


def test_statistics_that_are_gone_are_named_with_what_computes_them(context):
    with pytest.raises(ComputationFailed, match=r"statistics 7, .* are not here: singular-lens statistics llama"):
        axes.load_outputs(context, 7)
