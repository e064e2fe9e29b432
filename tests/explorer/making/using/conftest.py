"""A model with a text of the tests' own, and what the library makes of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.core.steps import run
from app.explorer import recipes
from app.explorer.layout import check_layout
from app.explorer.making.make import MakerInputs, run_maker
from app.models.live.assembly import assemble_model
from app.models.live.forward import run_model
from app.store.artifacts import ArtifactStore

TEXT = 5
"""The number of the text."""
WINDOWS, TOKENS = 12, 24


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def texted(context_of, request, tmp_path_factory):
    """A model with a text of its own choice, a sink in none of its windows; in a store that no page shows."""
    store = ArtifactStore(tmp_path_factory.mktemp("text"), 10**9)
    context = replace(context_of(request.param, "folded"), store=store)
    ids = np.random.default_rng(1).integers(context.model.manifest.d_vocab, size=(WINDOWS, TOKENS)).astype(np.int32)
    context.store.save(recipes.use(context.model, "folded", TEXT), {"ids": ids}, {})
    return context


@pytest.fixture(scope="module")
def streams(texted):
    """The library's streams at all positions but each window's first: [points, positions, d], in float64."""
    model = assemble_model(texted.model.weights(), texted.model.manifest)
    ids = texted.store.read(recipes.use(texted.model, "folded", TEXT)).arrays["ids"]
    runs = [run_model(model, torch.from_numpy(window).long()) for window in ids]
    return torch.cat([one.streams[:, 1:] for one in runs], 1).double().numpy(), runs


@pytest.fixture(scope="session")
def make():
    """Return make(context, recipe), which makes the arrays of a recipe."""

    def made(context, recipe):
        arrays = run(run_maker(recipe, MakerInputs(context.tables, context.model, context.store)))[0]
        check_layout(recipe.kind, arrays)
        return arrays

    return made
