"""The table of makers: which maker makes which kind of artifact from a recipe. Knows no queue, no page and no process."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from app.core.basis import BASES
from app.core.steps import Steps, single_step
from app.explorer.errors import ComputationFailed
from app.explorer.layout import ArtifactKind, check_layout
from app.explorer.library import OpenModel, report_damage
from app.explorer.making import comparison, decompositions, full, heads, vectors
from app.explorer.making.context import ArraysAndFacts, Context
from app.explorer.making.finding import alike, bank, composition, moments, readings, shadow, tokens, words
from app.explorer.making.judging import census, controls, gallery, rotation
from app.explorer.making.using import axes, linear, statistics, unlikely
from app.explorer.recipes import layer_of, number_in, parameters_of, place_of, token_filter_of
from app.store.artifacts import ArtifactStore, Recipe

if TYPE_CHECKING:
    from app.core.address import Address, BasisName
    from app.explorer.making.tables import Tables
    from app.explorer.view import End, Processing

RecipeMaker = Callable[[Context, Recipe], Steps[ArraysAndFacts]]


@dataclass(frozen=True)
class MakerInputs:
    """The inputs of a maker besides the recipe: token tables, model and store."""

    tables: "Tables"
    model: OpenModel
    """The model with the recipe's fingerprint."""
    store: ArtifactStore

    def context_for(self, recipe: Recipe) -> Context:
        """Return the context of the recipe's computation."""
        processing = cast("Processing", recipe.processing)
        return Context(self.tables, self.model, processing, self.store, token_filter_of(recipe))


def run_maker(recipe: Recipe, inputs: MakerInputs) -> Steps[ArraysAndFacts]:
    """Make the arrays and facts that the recipe names, step by step, without looking for them in the store or keeping
    them there.

    BadOption where the request cannot be met, ComputationFailed for damaged weights, MemoryError; Mislaid if a maker's
    arrays are not those of the layout.
    """
    kind = cast("ArtifactKind", recipe.kind)
    with report_damage(inputs.model.header.slug):
        arrays, facts = yield from MAKERS[kind](inputs.context_for(recipe), recipe)
    check_layout(kind, arrays)
    return arrays, facts


def _make_decomposition(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    place = place_of(recipe, context.model.header.slug)
    if BASES[place.basis or "svd"].is_of_text:
        return single_step(partial(_read_axes, context, place, number_in(recipe, "statistics")))
    parameters = parameters_of(recipe, place.basis or "svd")
    return decompositions.decompose_matrix(context, place, parameters, number_in(recipe, "distance"))


def _read_axes(context: Context, place: "Address", number: int) -> ArraysAndFacts:
    assert place.layer is not None
    assert place.head is not None
    (found,) = axes.read_axes(context, place.layer, [place.head], axes.load_outputs(context, number))
    return found


def _make_vectors(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    place = place_of(recipe, context.model.header.slug)
    parameters = parameters_of(recipe, place.basis or "svd")
    return vectors.term_vectors(context, place, parameters, number_in(recipe, "distance"))


def _make_comparison(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    fits: dict[BasisName, dict[str, int]] = {
        name: fit for name in BASES if (fit := parameters_of(recipe, name, prefix=f"{name}-"))
    }
    return comparison.compare_bases(context, place_of(recipe, context.model.header.slug), fits)


def _make_rotation(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return rotation.measure_rotations(
        context, place_of(recipe, context.model.header.slug), number_in(recipe, "distance")
    )


def _make_full(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    place = place_of(recipe, context.model.header.slug)
    assert place.layer is not None
    assert place.head is not None
    token, distance = number_in(recipe, "token"), number_in(recipe, "distance")
    return single_step(partial(full.read_rows, context, place.layer, place.head, token, distance))


def _make_layer(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    layer = layer_of(recipe)
    assert layer is not None
    return single_step(partial(heads.read_layer, context, layer))


def _make_scores(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return heads.score_heads(context)


def _make_gallery(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return gallery.build_gallery(context, layer_of(recipe))


def _make_census(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    layer = layer_of(recipe)
    if layer is None:
        return census.count_ends(context)
    if recipe.basis == "used":
        return single_step(partial(census.count_axes, context, layer, number_in(recipe, "statistics")))
    return census.count_layer(context, layer)


def _make_control(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return controls.make_control(context, recipe.subject.rpartition("/")[2])


def _make_bank(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    layer = layer_of(recipe)
    if recipe.basis == "neuron":
        assert layer is not None
        return bank.build_neuron_part(context, layer)
    return bank.build_bank_part(context, layer)


def _make_words(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    _, end, part = recipe.subject.split("/")
    return words.compute_words(context, end, int(part))


def _make_moments(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return moments.compute_moments(context)


def _make_shadow(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return shadow.read_shadow(context, cast("End", recipe.subject.rpartition("/")[2]))


def _make_tokens(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return tokens.compute_token_parts(context, recipe.subject.rpartition("/")[2])


def _make_use(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return statistics.measure_use(context, number_in(recipe, "text"))


def _make_use_outputs(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return statistics.measure_outputs(context, number_in(recipe, "text"))


def _make_use_streams(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return statistics.measure_streams(context, number_in(recipe, "text"))


def _make_use_part(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return statistics.measure_part(context, number_in(recipe, "text"), number_in(recipe, "part"))


def _make_use_text(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    raise ComputationFailed("The text is not here any more: name its file again with --text.")


def _make_linear(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    start, end = number_in(recipe, "from"), number_in(recipe, "to")
    return linear.map_streams(context, number_in(recipe, "text"), start, end, parameters_of(recipe, "nmf", "nmf-"))


def _make_unlikely(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return unlikely.measure_unlikely(context, number_in(recipe, "text"))


def _make_readings(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    layer = layer_of(recipe)
    assert layer is not None
    return readings.compare_with_readers(context, layer)


def _make_composition(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return composition.score_composition(context)


def _make_alike(context: Context, recipe: Recipe) -> Steps[ArraysAndFacts]:
    return alike.compare_spans(context)


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
    "use": _make_use,
    "use-outputs": _make_use_outputs,
    "use-streams": _make_use_streams,
    "use-part": _make_use_part,
    "use-text": _make_use_text,
    "linear": _make_linear,
    "unlikely": _make_unlikely,
}
