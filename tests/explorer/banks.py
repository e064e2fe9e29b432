"""A small bank for tests: of a model that is imported, built part by part, or rows that are planted in a store."""

import numpy as np

from app.explorer import recipes
from app.explorer.bank import parts_of
from app.explorer.making.make import Context, make
from app.explorer.making.tables import Tables
from tests.explorer.steps import ended


def build_bank(r, slug="tiny", processing="folded", kinds=("bank", "words", "tokens", "moments", "shadow", "readings")):
    """Build what is missing of the model's bank in the store of the resources, and nothing else: not its matrices."""
    model, tables = r.library.model(slug), Tables("cpu")
    for recipe in parts_of(model, processing):
        if recipe.kind in kinds and not r.store.exists(recipe):
            r.store.write(recipe, *ended(make(recipe, Context(tables, model, r.store))))
    return model


def plant(r, model, layer, processing="folded", basis="svd", **changed):
    """Write the part of the bank of that layer (None: the model's ends) anew with other arrays, such as vectors."""
    recipe = recipes.bank(model, layer, processing, basis)
    kept = r.store.read(recipe)
    arrays = {**kept.arrays, **{name: np.asarray(array, kept.arrays[name].dtype) for name, array in changed.items()}}
    r.store.write(recipe, arrays, kept.facts)
