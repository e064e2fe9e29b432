"""A recipe alone is enough: what it makes is what its maker makes of the words that it was named by."""

import json
from dataclasses import replace

import numpy as np
import pytest

from app.core import gram
from app.core.address import parse
from app.core.steps import run, single_step
from app.explorer import recipes
from app.explorer.inventory import bases_of
from app.explorer.layout import LAYOUT, Mislaid
from app.explorer.making import decompositions, full, heads, make, vectors
from app.explorer.making.context import Bench
from app.explorer.making.finding import alike, bank, composition, moments, readings, shadow, tokens, words
from app.explorer.making.judging import census, controls, gallery, rotation
from app.explorer.making.make import MAKERS, Context
from app.models.selection import EVERY, Selection
from app.store.artifacts import ArtifactStore, parse_recipe
from tests.explorer.steps import run_steps

OV, QK = parse("llama/L1/H2/ov"), parse("llama/L1/H2/qk")
SELECTION = Selection(ascii=True, starts=True, frequent=3, readout="cosine")


@pytest.fixture(scope="module")
def model(relatives):
    return relatives.library.model("llama")


@pytest.fixture(scope="module")
def context(relatives, bench_of, model, tmp_path_factory):
    return Context(bench_of("llama", "raw").tables, model, relatives.store)


def keep_bank(model, context):
    """The bank's layers, which some makers begin with."""
    for part in (recipes.bank(model, layer, "folded") for layer in range(2)):
        context.store.save(part, *run(make.run_maker(part, context)))


@pytest.fixture(scope="module")
def wanted(model, context):
    """Kind -> recipes, each with what its maker is told of them without a recipe."""

    def bench(processing, selection=EVERY):
        return Bench(context.tables, model, processing, context.store, selection)

    keep_bank(model, context)

    def of(place, basis, parameters, distance=0, selection=EVERY):
        place = replace(place, basis=basis)
        recipe = recipes.decomposition(model, place, "folded", parameters, distance, selection)
        return recipe, lambda: decompositions.decompose_matrix(bench("folded", selection), place, parameters, distance)

    embed, pca = parse("llama/embed"), parse("llama/embed/pca")
    return {
        "decomposition": [
            of(OV, "svd", {}),
            of(QK, "svd", {}, distance=3),
            of(OV, "svd", {}, selection=SELECTION),
            of(embed, "frequency", {"groups": 3}),
            of(parse("llama/L1/mlp-in"), "neuron", {}),
            of(parse("llama/heads/write"), "pca", {}),
            of(embed, "nmf", {"components": 3, "seed": 5}),
        ],
        "layer": [(recipes.layer(model, 1, "raw"), lambda: single_step(lambda: heads.read_layer(bench("raw"), 1)))],
        "scores": [(recipes.scores(model, "raw"), lambda: heads.score_heads(bench("raw")))],
        "gallery": [
            (recipes.gallery(model, layer, "raw"), lambda layer=layer: gallery.build_gallery(bench("raw"), layer))
            for layer in (1, None)
        ],
        "census": [
            (recipes.census_part(model, 0, "raw"), lambda: census.count_layer(bench("raw"), 0)),
            (recipes.census_part(model, None, "raw"), lambda: census.count_ends(bench("raw"))),
        ],
        "control": [
            (
                recipes.control(model, "write", "folded", SELECTION),
                lambda: controls.make_control(bench("folded", SELECTION), "write"),
            )
        ],
        "rotation": [
            (
                recipes.rotation(model, QK, "folded", 4, SELECTION),
                lambda: rotation.measure_rotations(bench("folded", SELECTION), QK, 4),
            )
        ],
        "tokens": [
            (recipes.tokens(model, "read", "folded"), lambda: tokens.compute_token_parts(bench("folded"), "read"))
        ],
        "readings": [
            (recipes.readings(model, 0, "folded"), lambda: readings.compare_with_readers(bench("folded"), 0)),
        ],
        "composition": [(recipes.composition(model, "folded"), lambda: composition.score_composition(bench("folded")))],
        "alike": [(recipes.alike(model, "raw"), lambda: alike.compare_spans(bench("raw")))],
        "vectors": [(recipes.vectors(model, pca, "raw", {}), lambda: vectors.term_vectors(bench("raw"), pca, {}))],
        "full": [
            (
                recipes.full(model, 1, 2, 20, "folded", 7),
                lambda: single_step(lambda: full.read_rows(bench("folded"), 1, 2, 20, 7)),
            )
        ],
        "bank": [
            (recipes.bank(model, 1, "raw"), lambda: bank.build_bank_part(bench("raw"), 1)),
            (recipes.bank(model, None, "folded"), lambda: bank.build_bank_part(bench("folded"), None)),
            (recipes.bank(model, 0, "folded", "neuron"), lambda: bank.build_neuron_part(bench("folded"), 0)),
        ],
        "words": [
            (recipes.words(model, "write", 0, "folded"), lambda: words.compute_words(bench("folded"), "write", 0))
        ],
        "moments": [(recipes.moments(model, "raw"), lambda: moments.compute_moments(bench("raw")))],
        "shadow": [(recipes.shadow(model, "write", "folded"), lambda: shadow.read_shadow(bench("folded"), "write"))],
    }


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "comparison"])
def test_what_a_recipe_makes_is_what_it_was_named_for(wanted, context, kind):
    for recipe, told in wanted[kind]:
        sent = parse_recipe(recipe.to_json())
        assert (sent, sent.hash) == (recipe, recipe.hash)
        (arrays, facts), (expected, expected_facts) = run(make.run_maker(sent, context)), run(told())
        assert set(arrays) == set(expected)
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, expected[name])
        assert json.dumps(facts) == json.dumps(expected_facts)


def test_a_comparison_names_its_fits(model, context):
    place, fit = parse("llama/embed"), {"components": 4, "seed": 1}
    fitted = recipes.decomposition(model, place.in_basis("ica"), "raw", fit)
    arrays, facts = run(make.run_maker(fitted, context))
    context.store.save(fitted, arrays, facts)
    arrays, facts = run(
        make.run_maker(parse_recipe(recipes.comparison(model, place, "raw", {"ica": fit}).to_json()), context)
    )
    assert "ica" in facts["bases"]
    assert set(facts["bases"]) == {"ica", *(name for name in bases_of("embed") if name not in {"nmf", "dictionary"})}
    without = run(make.run_maker(recipes.comparison(model, place, "raw", {}), context))[1]
    assert set(without["bases"]) == set(facts["bases"]) - {"ica"}


@pytest.mark.parametrize("kind", MAKERS)
def test_progress_is_in_one_unit_and_only_rises(wanted, model, context, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(
        gram, "SMALL", 0
    )  # so that this model's matrices are taken apart in as many steps as larger ones
    # A store of its own, so that nothing is there already.
    context = replace(context, store=ArtifactStore(tmp_path, 10**9))
    if kind == "readings":
        keep_bank(model, context)
    fitted = [
        recipes.decomposition(model, parse(f"llama/embed/{basis}"), "raw", fit)
        for basis, fit in (
            ("ica", {"components": 3, "seed": 0}),
            ("dictionary", {"atoms": 4, "sparsity": 2, "seed": 0}),
        )
    ]
    compared = [recipes.comparison(model, parse("llama/L1/mlp-in"), "raw", {})]
    turned = [recipes.rotation(model, parse("llama/L1/mlp-in"), "raw", 0)]
    more = {"comparison": compared, "rotation": turned, "decomposition": fitted}.get(kind, [])
    for recipe in (*(recipe for recipe, _ in wanted.get(kind, [])), *more):
        said = []
        run_steps(make.run_maker(recipe, context), said)
        assert len({total for _, total in said}) == 1, recipe
        assert [done for done, _ in said] == sorted(done for done, _ in said), recipe
        assert all(0 <= done <= total for done, total in said), recipe


def test_every_kind_has_a_maker_and_a_layout():
    assert set(MAKERS) == set(LAYOUT)


def test_what_is_not_laid_out_as_pages_expect_is_no_artifact(model, context, monkeypatch):
    monkeypatch.setattr(
        heads, "score_heads", lambda _: single_step(lambda: ({"ov-top": np.zeros((2, 4), np.int64)}, {}))
    )
    with pytest.raises(Mislaid, match="ov-top is int64"):
        run(make.run_maker(recipes.scores(model, "raw"), context))
