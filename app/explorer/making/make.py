"""The table of makers: which maker makes which kind of artifact from a recipe. Knows no queue, no page and no process."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from app.core.basis import BASES
from app.core.steps import Steps, single_step
from app.explorer.layout import ArtifactKind, check_layout
from app.explorer.library import OpenModel, report_damage
from app.explorer.making import comparison, decompositions, full, heads, vectors
from app.explorer.making.context import ArraysAndFacts, Bench
from app.explorer.making.finding import alike, bank, composition, moments, readings, shadow, tokens, words
from app.explorer.making.judging import census, controls, gallery, rotation
from app.explorer.recipes import layer_of, number_in, parameters_of, place_of, selection_of
from app.store.artifacts import ArtifactStore, Recipe

if TYPE_CHECKING:
    from app.core.address import BasisName
    from app.explorer.making.tables import Tables
    from app.explorer.view import End, Processing

RecipeMaker = Callable[[Bench, Recipe], Steps[ArraysAndFacts]]


@dataclass(frozen=True)
class Context:
    """The inputs of a maker besides the recipe: token tables, model and store."""

    tables: "Tables"
    model: OpenModel
    """The model with the recipe's fingerprint."""
    store: ArtifactStore

    def bench_for(self, recipe: Recipe) -> Bench:
        """Return the context of the recipe's computation."""
        processing = cast("Processing", recipe.processing)
        return Bench(self.tables, self.model, processing, self.store, selection_of(recipe))


def run_maker(recipe: Recipe, context: Context) -> Steps[ArraysAndFacts]:
    """Make the arrays and facts that the recipe names, step by step, without looking for them in the store or keeping
    them there.

    BadOption where the request cannot be met, ComputationFailed for damaged weights, MemoryError; Mislaid if a maker's
    arrays are not those of the layout.
    """
    kind = cast("ArtifactKind", recipe.kind)
    with report_damage(context.model.header.slug):
        arrays, facts = yield from MAKERS[kind](context.bench_for(recipe), recipe)
    check_layout(kind, arrays)
    return arrays, facts


def _make_decomposition(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    place = place_of(recipe, bench.model.header.slug)
    parameters = parameters_of(recipe, place.basis or "svd")
    return decompositions.decompose_matrix(bench, place, parameters, number_in(recipe, "distance"))


def _make_vectors(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    place = place_of(recipe, bench.model.header.slug)
    parameters = parameters_of(recipe, place.basis or "svd")
    return vectors.term_vectors(bench, place, parameters, number_in(recipe, "distance"))


def _make_comparison(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    fits: dict[BasisName, dict[str, int]] = {
        name: fit for name in BASES if (fit := parameters_of(recipe, name, prefix=f"{name}-"))
    }
    return comparison.compare_bases(bench, place_of(recipe, bench.model.header.slug), fits)


def _make_rotation(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return rotation.measure_rotations(bench, place_of(recipe, bench.model.header.slug), number_in(recipe, "distance"))


def _make_full(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    place = place_of(recipe, bench.model.header.slug)
    assert place.layer is not None
    assert place.head is not None
    token, distance = number_in(recipe, "token"), number_in(recipe, "distance")
    return single_step(partial(full.read_rows, bench, place.layer, place.head, token, distance))


def _make_layer(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    layer = layer_of(recipe)
    assert layer is not None
    return single_step(partial(heads.read_layer, bench, layer))


def _make_scores(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return heads.score_heads(bench)


def _make_gallery(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return gallery.build_gallery(bench, layer_of(recipe))


def _make_census(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    layer = layer_of(recipe)
    return census.count_ends(bench) if layer is None else census.count_layer(bench, layer)


def _make_control(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return controls.make_control(bench, recipe.subject.rpartition("/")[2])


def _make_bank(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    layer = layer_of(recipe)
    if recipe.basis == "neuron":
        assert layer is not None
        return bank.build_neuron_part(bench, layer)
    return bank.build_bank_part(bench, layer)


def _make_words(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    _, end, part = recipe.subject.split("/")
    return words.compute_words(bench, end, int(part))


def _make_moments(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return moments.compute_moments(bench)


def _make_shadow(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return shadow.read_shadow(bench, cast("End", recipe.subject.rpartition("/")[2]))


def _make_tokens(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return tokens.compute_token_parts(bench, recipe.subject.rpartition("/")[2])


def _make_readings(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    layer = layer_of(recipe)
    assert layer is not None
    return readings.compare_with_readers(bench, layer)


def _make_composition(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return composition.score_composition(bench)


def _make_alike(bench: Bench, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return alike.compare_spans(bench)


MAKERS: dict[ArtifactKind, RecipeMaker] = {
    "decomposition": _make_decomposition,
    "layer": _make_layer,
    "scores": _make_scores,
    "gallery": _make_gallery,
    "census": _make_census,
    "control": _make_control,
    "rotation": _make_rotation,
    "comparison": _make_comparison,
    "vectors": _make_vectors,
    "full": _make_full,
    "bank": _make_bank,
    "words": _make_words,
    "moments": _make_moments,
    "shadow": _make_shadow,
    "tokens": _make_tokens,
    "readings": _make_readings,
    "composition": _make_composition,
    "alike": _make_alike,
}
