"""The cost class of a recipe, and the controls that have to be made before it. Knows no queue."""

from collections.abc import Sequence
from typing import cast

from app.explorer import recipes
from app.explorer.inventory import SIDES, end_of
from app.explorer.library import OpenModel
from app.explorer.running.line import Cost
from app.explorer.view import Processing
from app.models.token_filter import EVERY
from app.store.artifacts import Recipe

JUDGED_KINDS = {"decomposition", "rotation", "layer", "gallery", "census", "full"}
"""Kinds of artifacts with numbers of random directions in them, or beside them on their pages."""
BATCH_KINDS = {"gallery", "census"}
"""Kinds of artifacts of which a page needs many."""
CHEAP_KINDS = {"decomposition", "vectors", "full"}
"""Kinds of artifacts that a head's matrix gives quickly."""


def controls_of(model: OpenModel, recipe: Recipe) -> tuple[Recipe, ...]:
    """Return the controls of the recipe's rays: one for each end that they are read with, for the recipe's own tokens."""
    if recipe.kind not in JUDGED_KINDS:
        return ()
    kind = recipes.place_of(recipe, model.header.slug).kind if recipe.kind in {"decomposition", "rotation"} else None
    processing = cast("Processing", recipe.processing)
    sides = SIDES[kind] if kind else ("read", "write")
    ends = dict.fromkeys(end_of(model, processing, side) for side in sides if side in {"read", "write", "query", "key"})
    token_filter = recipes.token_filter_of(recipe) if kind else EVERY
    return tuple(recipes.control(model, end, processing, token_filter) for end in ends)


def cost_of(recipe: Recipe, missing: Sequence[Recipe]) -> Cost:
    """Return the cost of a recipe: cheap for a head's own matrix, unless a control is missing."""
    if recipe.kind in BATCH_KINDS:
        return "batch"
    return "cheap" if "/H" in recipe.subject and recipe.kind in CHEAP_KINDS and not missing else "dear"
