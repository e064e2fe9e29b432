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
from app.explorer.making.context import Context
from app.explorer.making.finding import alike, bank, composition, moments, readings, shadow, tokens, words
from app.explorer.making.judging import census, controls, gallery, rotation
from app.explorer.making.make import MAKERS, MakerInputs
from app.explorer.making.using import axes, linear, statistics, unlikely
from app.explorer.making.using.prompts import MAKERS as PROMPT_MAKERS
from app.explorer.making.using.prompts import STEPPED
from app.models.token_filter import EVERY, TokenFilter
from app.store.artifacts import ArtifactStore, parse_recipe
from tests.explorer.steps import run_steps

OV, QK = parse("llama/L1/H2/ov"), parse("llama/L1/H2/qk")
TOKEN_FILTER = TokenFilter(ascii=True, starts=True, frequent=3, readout="cosine")


@pytest.fixture(scope="module")
def model(relatives):
    return relatives.library.model("llama")


@pytest.fixture(scope="module")
def inputs(context_of, model, tmp_path_factory):
    """A store of their own: others would show on their pages what is kept here."""
    store = ArtifactStore(tmp_path_factory.mktemp("make"), 10**9)
    return MakerInputs(context_of("llama", "raw").tables, model, store)


def keep_bank(model, inputs):
    """The bank's layers, which some makers begin with."""
    for part in (recipes.bank(model, layer, "folded") for layer in range(2)):
        inputs.store.save(part, *run(make.run_maker(part, inputs)))


def keep_text(model, store):
    """A text under the number 9, with no statistics of it: some makers begin with its tokens alone."""
    ids = np.random.default_rng(0).integers(model.manifest.d_vocab, size=(8, 20)).astype(np.int32)
    store.save(recipes.use(model, "folded", 9), {"ids": ids}, {})


def keep_statistics(model, inputs):
    """The statistics that axes of outputs are fitted to, and the axes of a layer."""
    kept = [*recipes.use_parts(model, "folded", 0), *recipes.use_wholes(model, "folded")[:2]]
    number = recipes.number_of_statistics(model, "folded")
    for head in range(model.manifest.n_heads):
        place = parse(f"llama/L0/H{head}/ov/used")
        kept.append(recipes.decomposition(model, place, "folded", {"statistics": number}))
    for recipe in kept:
        inputs.store.save(recipe, *run(make.run_maker(recipe, inputs)))


@pytest.fixture(scope="module")
def wanted(model, inputs):
    """Kind -> recipes, each with what its maker is told of them without a recipe."""

    def in_weights(processing, token_filter=EVERY):
        return Context(inputs.tables, model, processing, inputs.store, token_filter)

    keep_bank(model, inputs)
    keep_text(model, inputs.store)
    keep_statistics(model, inputs)
    number = recipes.number_of_statistics(model, "folded")
    of_axes = {"statistics": number}

    def outputs():
        return axes.load_outputs(in_weights("folded"), number)

    def of(place, basis, parameters, distance=0, token_filter=EVERY):
        place = replace(place, basis=basis)
        recipe = recipes.decomposition(model, place, "folded", parameters, distance, token_filter)
        return recipe, lambda: decompositions.decompose_matrix(
            in_weights("folded", token_filter), place, parameters, distance
        )

    embed, pca = parse("llama/embed"), parse("llama/embed/pca")
    return {
        "decomposition": [
            of(OV, "svd", {}),
            of(QK, "svd", {}, distance=3),
            of(OV, "svd", {}, token_filter=TOKEN_FILTER),
            of(embed, "frequency", {"groups": 3}),
            of(parse("llama/L1/mlp-in"), "neuron", {}),
            of(parse("llama/heads/write"), "pca", {}),
            of(embed, "nmf", {"components": 3, "seed": 5}),
            (
                recipes.decomposition(model, replace(OV, basis="used"), "folded", of_axes),
                lambda: single_step(lambda: axes.read_axes(in_weights("folded"), 1, [2], outputs())[0]),
            ),
        ],
        "layer": [
            (recipes.layer(model, 1, "raw"), lambda: single_step(lambda: heads.read_layer(in_weights("raw"), 1)))
        ],
        "scores": [(recipes.scores(model, "raw"), lambda: heads.score_heads(in_weights("raw")))],
        "gallery": [
            (recipes.gallery(model, layer, "raw"), lambda layer=layer: gallery.build_gallery(in_weights("raw"), layer))
            for layer in (1, None)
        ],
        "census": [
            (recipes.census_part(model, 0, "raw"), lambda: census.count_layer(in_weights("raw"), 0)),
            (recipes.census_part(model, None, "raw"), lambda: census.count_ends(in_weights("raw"))),
            (
                recipes.census_of_axes(model, 0, "folded", number),
                lambda: single_step(lambda: census.count_axes(in_weights("folded"), 0, number)),
            ),
        ],
        "control": [
            (
                recipes.control(model, "write", "folded", TOKEN_FILTER),
                lambda: controls.make_control(in_weights("folded", TOKEN_FILTER), "write"),
            )
        ],
        "rotation": [
            (
                recipes.rotation(model, QK, "folded", 4, TOKEN_FILTER),
                lambda: rotation.measure_rotations(in_weights("folded", TOKEN_FILTER), QK, 4),
            )
        ],
        "tokens": [
            (recipes.tokens(model, "read", "folded"), lambda: tokens.compute_token_parts(in_weights("folded"), "read"))
        ],
        "readings": [
            (recipes.readings(model, 0, "folded"), lambda: readings.compare_with_readers(in_weights("folded"), 0)),
        ],
        "composition": [
            (recipes.composition(model, "folded"), lambda: composition.score_composition(in_weights("folded")))
        ],
        "use": [(recipes.use(model, "folded"), lambda: statistics.measure_use(in_weights("folded"), 0))],
        "use-outputs": [
            (recipes.use_outputs(model, "folded"), lambda: statistics.measure_outputs(in_weights("folded"), 0))
        ],
        "use-streams": [
            (recipes.use_streams(model, "folded"), lambda: statistics.measure_streams(in_weights("folded"), 0))
        ],
        "use-part": [
            (recipes.use_parts(model, "folded", 0)[1], lambda: statistics.measure_part(in_weights("folded"), 0, 1))
        ],
        "linear": [
            (
                recipes.linear(model, "folded", 1, 2, 9, None),
                lambda: linear.map_streams(in_weights("folded"), 9, 1, 2, {}),
            )
        ],
        "unlikely": [
            (recipes.unlikely(model, "folded", 9), lambda: unlikely.measure_unlikely(in_weights("folded"), 9))
        ],
        "alike": [(recipes.alike(model, "raw"), lambda: alike.compare_spans(in_weights("raw")))],
        "vectors": [
            (recipes.vectors(model, pca, "raw", {}), lambda: vectors.term_vectors(in_weights("raw"), pca, {})),
            (
                recipes.vectors(model, replace(OV, basis="used"), "folded", of_axes),
                lambda: vectors.term_vectors(in_weights("folded"), replace(OV, basis="used"), of_axes),
            ),
        ],
        "full": [
            (
                recipes.full(model, 1, 2, 20, "folded", 7),
                lambda: single_step(lambda: full.read_rows(in_weights("folded"), 1, 2, 20, 7)),
            )
        ],
        "bank": [
            (recipes.bank(model, 1, "raw"), lambda: bank.build_bank_part(in_weights("raw"), 1)),
            (recipes.bank(model, None, "folded"), lambda: bank.build_bank_part(in_weights("folded"), None)),
            (recipes.bank(model, 0, "folded", "neuron"), lambda: bank.build_neuron_part(in_weights("folded"), 0)),
        ],
        "words": [
            (recipes.words(model, "write", 0, "folded"), lambda: words.compute_words(in_weights("folded"), "write", 0))
        ],
        "moments": [(recipes.moments(model, "raw"), lambda: moments.compute_moments(in_weights("raw")))],
        "shadow": [
            (recipes.shadow(model, "write", "folded"), lambda: shadow.read_shadow(in_weights("folded"), "write"))
        ],
    }


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind not in {"comparison", "use-text"}])
def test_what_a_recipe_makes_is_what_it_was_named_for(wanted, inputs, kind):
    for recipe, told in wanted[kind]:
        sent = parse_recipe(recipe.to_json())
        assert (sent, sent.hash) == (recipe, recipe.hash)
        (arrays, facts), (expected, expected_facts) = run(make.run_maker(sent, inputs)), run(told())
        assert set(arrays) == set(expected)
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, expected[name])
        assert json.dumps(facts) == json.dumps(expected_facts)


def test_a_comparison_names_its_fits(model, inputs):
    place, fit = parse("llama/embed"), {"components": 4, "seed": 1}
    fitted = recipes.decomposition(model, place.in_basis("ica"), "raw", fit)
    arrays, facts = run(make.run_maker(fitted, inputs))
    inputs.store.save(fitted, arrays, facts)
    arrays, facts = run(
        make.run_maker(parse_recipe(recipes.comparison(model, place, "raw", {"ica": fit}).to_json()), inputs)
    )
    assert "ica" in facts["bases"]
    assert set(facts["bases"]) == {"ica", *(name for name in bases_of("embed") if name not in {"nmf", "dictionary"})}
    without = run(make.run_maker(recipes.comparison(model, place, "raw", {}), inputs))[1]
    assert set(without["bases"]) == set(facts["bases"]) - {"ica"}


@pytest.mark.parametrize("kind", MAKERS)
def test_progress_is_in_one_unit_and_only_rises(wanted, model, inputs, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(
        gram, "SMALL", 0
    )  # so that this model's matrices are taken apart in as many steps as larger ones
    # A store of its own, so that nothing is there already.
    inputs = replace(inputs, store=ArtifactStore(tmp_path, 10**9))
    if kind == "readings":
        keep_bank(model, inputs)
    keep_text(model, inputs.store)
    if kind in {"decomposition", "vectors", "census"}:
        keep_statistics(model, inputs)
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
        run_steps(make.run_maker(recipe, inputs), said)
        assert len({total for _, total in said}) == 1, recipe
        assert [done for done, _ in said] == sorted(done for done, _ in said), recipe
        assert all(0 <= done <= total for done, total in said), recipe


def test_every_kind_has_a_maker_and_a_layout():
    assert set(MAKERS) | set(PROMPT_MAKERS) | set(STEPPED) == set(LAYOUT)


def test_what_is_not_laid_out_as_pages_expect_is_no_artifact(model, inputs, monkeypatch):
    monkeypatch.setattr(
        heads, "score_heads", lambda _: single_step(lambda: ({"ov-top": np.zeros((2, 4), np.int64)}, {}))
    )
    with pytest.raises(Mislaid, match="ov-top is int64"):
        run(make.run_maker(recipes.scores(model, "raw"), inputs))
