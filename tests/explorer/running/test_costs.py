import pytest

from app.core.address import parse
from app.core.steps import run
from app.explorer import recipes
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from app.explorer.running.costs import controls_of, cost_of
from app.models.token_filter import EVERY, TokenFilter
from app.store.artifacts import ArtifactStore

FILTER = TokenFilter(frequent=100)


@pytest.fixture
def model(explorer):
    return explorer.library.model("tiny")


def recipe_of(model, path, processing="folded", token_filter=EVERY):
    return recipes.decomposition(model, parse(f"tiny/{path}"), processing, {}, 0, token_filter)


@pytest.mark.parametrize("processing", ["folded", "raw"])
@pytest.mark.parametrize("token_filter", [EVERY, FILTER, TokenFilter(readout="cosine")])
@pytest.mark.parametrize("path", ["L1/H2/ov/svd", "L1/H2/qk/svd", "L1/mlp-in/svd", "L1/mlp-out/svd", "embed/pca"])
def test_the_controls_are_those_that_making_it_leaves_behind(model, tmp_path, path, processing, token_filter):
    store = ArtifactStore(tmp_path / "artifacts", 10**9)
    recipe = recipe_of(model, path, processing, token_filter)
    expected = {store.path(control) for control in controls_of(model, recipe)}
    run(run_maker(recipe, MakerInputs(Tables("cpu"), model, store)))
    assert set(store.root.rglob("control/**/*.safetensors")) == expected


def test_a_head_is_cheap_once_its_controls_are_there(model):
    recipe = recipe_of(model, "L1/H2/ov/svd", token_filter=FILTER)
    controls = controls_of(model, recipe)
    assert len(controls) == 2
    assert cost_of(recipe, ()) == "cheap"
    assert cost_of(recipe, controls[1:]) == "dear"
    assert [cost_of(control, ()) for control in controls] == ["dear"] * 2


def test_whatever_reads_more_than_a_head_is_not_cheap(model):
    costs = {
        "dear": [
            recipe_of(model, "L1/mlp-in/svd"),
            recipe_of(model, "embed/svd"),
            recipes.rotation(model, parse("tiny/L1/H2/ov"), "folded"),
            recipes.comparison(model, parse("tiny/L1/H2/ov"), "folded", {}),
            recipes.layer(model, 1, "folded"),
            recipes.scores(model, "folded"),
        ],
        "batch": [recipes.gallery(model, 1, "folded"), recipes.census_part(model, None, "folded")],
        "cheap": [recipes.full(model, 1, 2, 5, "folded", 0)],
    }
    for cost, of_it in costs.items():
        assert [cost_of(recipe, ()) for recipe in of_it] == [cost] * len(of_it)
