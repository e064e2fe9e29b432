"""What directions do on text, against the heads' own outputs, and against what the library refuses."""

import numpy as np
import pytest
import torch

from app.core.circuits import ov
from app.core.folding import fold_head
from app.core.steps import run
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.layout import check_layout, count_first
from app.explorer.making.make import MakerInputs, run_maker
from app.models.live.assembly import assemble_model
from app.models.live.forward import run_model

FAMILIES = ("gpt2", "llama", "gemma2")


@pytest.fixture(scope="module", params=FAMILIES)
def made(context_of, request):
    """The statistics of a family's model, with the context that they were made in."""
    context = context_of(request.param, "folded" if request.param != "gemma2" else "raw")
    recipe = recipes.use(context.model, context.processing)
    return context, run(run_maker(recipe, MakerInputs(context.tables, context.model, context.store)))[0]


def outputs_of(context, ids, layer, head):
    """What a head writes at each position but the first of each window, from the library's own values: [positions d]."""
    weights = context.model.weights()
    model = assemble_model(weights, context.model.manifest)
    plain, norms = weights.head(layer, head), weights.norms(layer, head)
    used = fold_head(plain, norms) if context.processing == "folded" else plain
    written = torch.cat([run_model(model, window).mixed[layer, 1:, head] for window in ids]) @ used.W_O
    return used, written.double().numpy()


@pytest.mark.parametrize(("layer", "head"), [(0, 1), (1, 3)])
def test_shares_are_those_of_the_variance_of_what_the_head_writes(made, layer, head):
    context, arrays = made
    used, written = outputs_of(context, torch.from_numpy(arrays["ids"]).long(), layer, head)
    _, strength, right = np.linalg.svd(ov(used).dense().double().numpy(), full_matrices=False)
    rank = len(arrays["used"][layer, head])
    variances = (written @ right[:rank].T).var(axis=0)
    np.testing.assert_allclose(arrays["used"][layer, head], variances / variances.sum(), atol=2e-4)
    np.testing.assert_allclose(arrays["spread"][layer, head] * strength[:rank], np.sqrt(variances), rtol=2e-3)
    np.testing.assert_allclose(arrays["even"][layer, head], strength[:rank] ** 2 / (strength**2).sum(), atol=1e-5)
    value, low, high = arrays["first"][layer, head]
    assert value == pytest.approx(arrays["used"][layer, head][: count_first(rank)].sum(), abs=1e-5)
    assert low <= value <= high


def test_curves_end_at_everything_and_positions_are_shares(made):
    _, arrays = made
    check_layout("use", arrays)
    np.testing.assert_allclose(arrays["fitted"][..., -1], 1, atol=1e-5)
    np.testing.assert_allclose(arrays["used"].sum(axis=-1), 1, atol=1e-5)
    assert ((arrays["positive"] >= 0) & (arrays["positive"] <= 1)).all()
    assert (arrays["skew"][..., 1] <= arrays["skew"][..., 2]).all()
    assert len(set(map(tuple, arrays["ids"].tolist()))) == len(arrays["ids"])
    assert len(set(arrays["ids"][:, 0].tolist())) == 1


@pytest.mark.parametrize(("family", "why"), [("bert", "is not run here"), ("mixtral", "is not run here")])
def test_models_that_are_not_run_are_refused_by_name(context_of, family, why):
    context = context_of(family, "raw")
    recipe = recipes.use(context.model, "raw")
    with pytest.raises(ComputationFailed, match=why):
        run(run_maker(recipe, MakerInputs(context.tables, context.model, context.store)))
