"""A recipe in, an artifact out: which maker makes what kind of artifact. Knows no queue, no page and no process."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from app.core.basis import BASES
from app.core.steps import Steps, in_one
from app.explorer.layout import ArtifactKind, check_layout
from app.explorer.library import OpenModel, damage_told
from app.explorer.making import comparison, decompositions, full, heads, vectors
from app.explorer.making.context import Baked, Bench
from app.explorer.making.finding import alike, bank, composition, moments, readings, shadow, tokens, words
from app.explorer.making.judging import census, controls, gallery, rotation
from app.explorer.recipes import layer_of, number_in, parameters_of, place_of, selection_of
from app.store.artifacts import ArtifactStore, Recipe

if TYPE_CHECKING:
    from app.core.address import BasisName
    from app.explorer.making.tables import Tables
    from app.explorer.view import End, Processing

RecipeMaker = Callable[[Bench, Recipe], Steps[Baked]]


@dataclass(frozen=True)
class Context:
    """What is needed besides a recipe: what to read with, whose weights, and where other artifacts are."""

    tables: "Tables"
    model: OpenModel
    """With the fingerprint that the recipe names."""
    store: ArtifactStore

    def bench_for(self, recipe: Recipe) -> Bench:
        """What the recipe's maker needs to begin."""
        processing = cast("Processing", recipe.processing)
        return Bench(self.tables, self.model, processing, self.store, selection_of(recipe))


def make(recipe: Recipe, context: Context) -> Steps[Baked]:
    """The arrays and facts that the recipe names, step by step; not looked for in the store, nor kept there.

    BadOption where what is asked for cannot be had, ComputationFailed for damaged weights, MemoryError; Mislaid if a maker
    gives what no page expects.
    """
    kind = cast("ArtifactKind", recipe.kind)
    with damage_told(context.model.header.slug):
        arrays, facts = yield from MAKERS[kind](context.bench_for(recipe), recipe)
    check_layout(kind, arrays)
    return arrays, facts


def _decomposition(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    place = place_of(recipe, bench.model.header.slug)
    parameters = parameters_of(recipe, place.basis or "svd")
    return decompositions.decomposition(bench, place, parameters, number_in(recipe, "distance"))


def _vectors(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    place = place_of(recipe, bench.model.header.slug)
    parameters = parameters_of(recipe, place.basis or "svd")
    return vectors.vectors(bench, place, parameters, number_in(recipe, "distance"))


def _comparison(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    fits: dict[BasisName, dict[str, int]] = {
        name: fit for name in BASES if (fit := parameters_of(recipe, name, prefix=f"{name}-"))
    }
    return comparison.comparison(bench, place_of(recipe, bench.model.header.slug), fits)


def _rotation(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    return rotation.read_rotations(bench, place_of(recipe, bench.model.header.slug), number_in(recipe, "distance"))


def _full(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    place = place_of(recipe, bench.model.header.slug)
    assert place.layer is not None
    assert place.head is not None
    token, distance = number_in(recipe, "token"), number_in(recipe, "distance")
    return in_one(partial(full.read_rows, bench, place.layer, place.head, token, distance))


def _layer(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    layer = layer_of(recipe)
    assert layer is not None
    return in_one(partial(heads.read_layer, bench, layer))


def _scores(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    return heads.score_heads(bench)


def _gallery(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    return gallery.gather(bench, layer_of(recipe))


def _census(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    layer = layer_of(recipe)
    return census.count_ends(bench) if layer is None else census.count_layer(bench, layer)


def _control(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    return controls.take_control(bench, recipe.subject.rpartition("/")[2])


def _bank(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    layer = layer_of(recipe)
    if recipe.basis == "neuron":
        assert layer is not None
        return bank.gather_neurons(bench, layer)
    return bank.gather(bench, layer)


def _words(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    _, end, part = recipe.subject.split("/")
    return words.take_words(bench, end, int(part))


def _moments(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    return moments.take_moments(bench)


def _shadow(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    return shadow.cast_shadow(bench, cast("End", recipe.subject.rpartition("/")[2]))


def _tokens(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    return tokens.take_tokens(bench, recipe.subject.rpartition("/")[2])


def _readings(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    layer = layer_of(recipe)
    assert layer is not None
    return readings.hold_against_readers(bench, layer)


def _composition(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    return composition.compose(bench)


def _alike(bench: Bench, recipe: Recipe) -> Steps[Baked]:
    return alike.compare_spans(bench)


MAKERS: dict[ArtifactKind, RecipeMaker] = {
    "decomposition": _decomposition,
    "layer": _layer,
    "scores": _scores,
    "gallery": _gallery,
    "census": _census,
    "control": _control,
    "rotation": _rotation,
    "comparison": _comparison,
    "vectors": _vectors,
    "full": _full,
    "bank": _bank,
    "words": _words,
    "moments": _moments,
    "shadow": _shadow,
    "tokens": _tokens,
    "readings": _readings,
    "composition": _composition,
    "alike": _alike,
}
