import pytest

from app.core.address import parse
from app.explorer import recipes

PLACE = parse("tiny/L1/H2/ov")


@pytest.fixture
def model(explorer):
    return explorer.library.model("tiny")


def test_what_is_judged_is_named_after_the_measure(model):
    judged = (
        recipes.matrix(model, 1, 2, "ov", "raw"),
        recipes.matrix(model, 1, 2, "qk", "raw", distance=3),
        recipes.decomposition(model, parse("tiny/embed/nmf"), "raw", {"components": 3, "seed": 0}),
        recipes.rotation(model, PLACE, "raw"),
        recipes.layer(model, 1, "raw"),
        recipes.census_part(model, 1, "raw"),
        recipes.census_part(model, None, "raw"),
        recipes.gallery(model, 1, "raw"),
        recipes.control(model, "read", "raw"),
    )
    assert [dict(recipe.parameters).get("measure") for recipe in judged] == [recipes.MEASURE] * len(judged)


def test_what_is_not_judged_outlives_it(model):
    others = (
        recipes.scores(model, "raw"),
        recipes.full(model, 1, 2, 20, "raw", 0),
        recipes.comparison(model, parse("tiny/embed"), "raw", {}),
    )
    assert not any("measure" in dict(recipe.parameters) for recipe in others)


def test_what_says_how_far_a_copy_is_turned_is_not_the_other_weights(copied, model):
    copy = copied.library.model("tiny")
    assert copy.fingerprint == model.fingerprint
    pairs = {
        True: lambda of: (
            recipes.matrix(of, 1, 2, "ov", "raw"),
            recipes.decomposition(of, parse("tiny/embed/pca"), "raw", {}),
            recipes.layer(of, 1, "raw"),
            recipes.gallery(of, 1, "raw"),
        ),
        False: lambda of: (
            recipes.decomposition(of, parse("tiny/embed/nmf"), "raw", {"components": 3, "seed": 0}),
            recipes.decomposition(of, parse("tiny/embed/neuron"), "raw", {}),
            recipes.scores(of, "raw"),
            recipes.census_part(of, 1, "raw"),
        ),
    }
    for is_another, of in pairs.items():
        assert [one != other for one, other in zip(of(copy), of(model), strict=True)] == [is_another] * 4
