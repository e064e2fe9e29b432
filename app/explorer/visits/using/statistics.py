"""The statistics of use that a server has of a model: those on the operator's text before those on what the model writes.

Knows no page and no number of theirs.
"""

from dataclasses import dataclass
from typing import cast

from app.explorer import recipes
from app.explorer.asking.using import list_statistics
from app.explorer.library import OpenModel
from app.explorer.pages.using.statistics import ReferenceText
from app.explorer.recipes import number_in
from app.explorer.view import Processing
from app.store.artifacts import Arrays, ArtifactStore, Recipe


@dataclass(frozen=True)
class Statistics:
    """Statistics of use, and the text that they are of."""

    name: str
    """Digits that name them."""
    arrays: Arrays
    text: ReferenceText


@dataclass(frozen=True)
class MeanStreams:
    """The mean stream of a model on a reference text."""

    recipe: Recipe
    name: str
    """Digits that name it."""
    text: ReferenceText
    n_tokens: int
    """Positions of that text."""


def find_streams(store: ArtifactStore, model: OpenModel) -> MeanStreams | None:
    """Find the mean stream that pages rest on, of the operator's text first; it is the same in all weights.

    None where there is none. Proves nothing.
    """
    found = [
        recipe
        for recipe in store.recipes(model.fingerprint, "use/streams")
        if recipe == recipes.use_streams(model, cast("Processing", recipe.processing), number_in(recipe, "text"))
    ]
    chosen = max(found, key=lambda recipe: (number_in(recipe, "text") > 0, recipe.hash), default=None)
    if chosen is None:
        return None
    windows, tokens = (number_in(chosen, name) for name in ("windows", "tokens"))
    n_tokens = windows * (min(tokens, model.manifest.n_ctx) - 1)
    return MeanStreams(chosen, chosen.hash[:12], "given" if number_in(chosen, "text") else "own", n_tokens)


def find_statistics(store: ArtifactStore, model: OpenModel, processing: Processing) -> Recipe | None:
    """Find the recipe of the statistics that pages show; None where there are none. Proves nothing."""
    return next(iter(list_statistics(store, model, processing)), None)


def load_statistics(store: ArtifactStore, model: OpenModel, processing: Processing) -> Statistics | None:
    """Load the statistics that pages show; None where there are none."""
    recipe = find_statistics(store, model, processing)
    # Loading what is not there says that the page may change at any time: it would not be kept.
    held = None if recipe is None else store.load(recipe)
    if recipe is None or held is None:
        return None
    return Statistics(name_statistics(recipe), held.arrays, "given" if number_in(recipe, "text") else "own")


def name_statistics(recipe: Recipe) -> str:
    """Name the statistics of that recipe on pages that rest on them."""
    return recipe.hash[:12]
