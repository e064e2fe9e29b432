"""What a recipe costs whoever has it made, and what it is judged by, which is made before it. Knows no queue."""

from collections.abc import Sequence
from typing import cast

from app.explorer import recipes
from app.explorer.inventory import SIDES, end_of
from app.explorer.library import OpenModel
from app.explorer.running.line import Cost
from app.explorer.view import Processing
from app.models.selection import EVERY
from app.store.artifacts import Recipe

JUDGED = {"decomposition", "rotation", "layer", "gallery", "census", "full"}
"""Kinds of artifacts with numbers of random directions in them, or beside them on their pages."""
OF_PARTS = {"gallery", "census"}
"""Of which a page needs many."""
SHORT = {"decomposition", "vectors", "full"}
"""What is soon made of a head's matrix."""


def controls_of(model: OpenModel, recipe: Recipe) -> tuple[Recipe, ...]:
    """What the recipe's rays are judged by: of each end that they are read with, with the recipe's own tokens."""
    if recipe.kind not in JUDGED:
        return ()
    kind = recipes.place_of(recipe, model.header.slug).kind if recipe.kind in {"decomposition", "rotation"} else None
    processing = cast("Processing", recipe.processing)
    sides = SIDES[kind] if kind else ("read", "write")
    ends = dict.fromkeys(end_of(model, processing, side) for side in sides if side in {"read", "write", "query", "key"})
    selection = recipes.selection_of(recipe) if kind else EVERY
    return tuple(recipes.control(model, end, processing, selection) for end in ends)


def cost_of(recipe: Recipe, missing: Sequence[Recipe]) -> Cost:
    """Cheap is a head's own, unless what it is judged by is missing."""
    if recipe.kind in OF_PARTS:
        return "batch"
    return "cheap" if "/H" in recipe.subject and recipe.kind in SHORT and not missing else "dear"
