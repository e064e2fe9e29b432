"""The statistics of use that a server has of a model: those on the operator's text before those on what the model writes.

Knows no page and no number of theirs.
"""

from dataclasses import dataclass

from app.explorer import recipes
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


def find_statistics(store: ArtifactStore, model: OpenModel, processing: Processing) -> Recipe | None:
    """Find the recipe of the statistics that pages show; None where there are none. Proves nothing."""
    found = [
        recipe
        for recipe in store.recipes(model.fingerprint, "use")
        if recipe == recipes.use(model, processing, number_in(recipe, "text"))
    ]
    return max(found, key=lambda recipe: (number_in(recipe, "text") > 0, recipe.hash), default=None)


def load_statistics(store: ArtifactStore, model: OpenModel, processing: Processing) -> Statistics | None:
    """Load the statistics that pages show; None where there are none."""
    recipe = find_statistics(store, model, processing)
    # Loading what is not there says that the page may change at any time: it would not be kept.
    held = None if recipe is None else store.load(recipe)
    if recipe is None or held is None:
        return None
    return Statistics(recipe.hash[:12], held.arrays, "given" if number_in(recipe, "text") else "own")
