"""A small bank for tests: of a model that is imported, built part by part, or rows that are planted in a store."""

import numpy as np

from app.core.address import KINDS
from app.core.finding.reversal import count
from app.explorer import recipes
from app.explorer.bank import parts_of
from app.explorer.layout import PARTS
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


def plant_edges(r, model):
    """What L1 reads along ± what L0 writes, head by head, and one reading that no pair in the wrong order has.

    Direction 1 of each head of L1 reads direction 2 of the same head of L0, of the odd heads with its sign turned; the value
    of L1H3 reads L0H1.ov.2 with CS 9.
    """
    below, above = (r.store.read(recipes.bank(model, layer, "folded")).arrays for layer in (0, 1))
    vectors = above["vectors"].copy()
    for head in range(model.header.n_heads):
        at = [
            np.flatnonzero(
                (own["kind"] == KINDS.index("ov"))
                & (own["head"] == head)
                & (own["index"] == index)
                & (own["side"] == side)
            )
            for own, index, side in ((above, 1, 0), (below, 2, 1))
        ]
        vectors[at[0]] = below["vectors"][at[1]] * (-1 if head % 2 else 1)
    plant(r, model, 1, vectors=vectors)
    recipe = recipes.readings(model, 0, "folded")
    kept = r.store.read(recipe)
    one = {"kind": KINDS.index("ov"), "head": 1, "index": 2, "part": PARTS.index("value"), "layer": 1, "reader": 3}
    arrays = {
        name: np.append(kept.arrays[name], np.asarray([value], kept.arrays[name].dtype))
        for name, value in {**one, "specificity": 9.0}.items()
    }
    counts = kept.arrays["counts"].copy()
    counts[PARTS.index("value"), 1] += count(np.array([9.0]))
    r.store.write(recipe, {**kept.arrays, **arrays, "counts": counts}, kept.facts)
