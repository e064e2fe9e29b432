"""Small banks for tests: built part by part for an imported model, or planted in a store."""

import numpy as np

from app.core.address import KINDS
from app.core.finding.reversal import count_bins
from app.explorer import recipes
from app.explorer.bank import parts_of
from app.explorer.layout import PARTS
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from tests.explorer.steps import run_steps


def build_bank(r, slug="tiny", processing="folded", kinds=("bank", "words", "tokens", "moments", "shadow", "readings")):
    """Build the missing parts of a model's bank, and nothing else: no artifacts of matrices."""
    model, tables = r.library.model(slug), Tables("cpu")
    for recipe in parts_of(model, processing):
        if recipe.kind in kinds and not r.store.exists(recipe):
            r.store.write(recipe, *run_steps(run_maker(recipe, MakerInputs(tables, model, r.store))))
    return model


def plant_rows(r, model, layer, processing="folded", basis="svd", **changed):
    """Overwrite arrays, such as vectors, in the bank's part of a layer (None: embedding and unembedding)."""
    recipe = recipes.bank(model, layer, processing, basis)
    kept = r.store.read(recipe)
    arrays = {**kept.arrays, **{name: np.asarray(array, kept.arrays[name].dtype) for name, array in changed.items()}}
    r.store.write(recipe, arrays, kept.facts)


def plant_edges(r, model):
    """Plant edges: heads of L1 read along ± what L0 writes, and one reads itself, which is in the wrong order.

    Direction 1 of each head of L1 reads direction 2 of the same head of L0, of the odd heads with its sign flipped; the
    value of L1H3 reads L0H1.ov.2 with CS 9.
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
    plant_rows(r, model, 1, vectors=vectors)
    recipe = recipes.readings(model, 0, "folded")
    kept = r.store.read(recipe)
    one = {"kind": KINDS.index("ov"), "head": 1, "index": 2, "part": PARTS.index("value"), "layer": 1, "reader": 3}
    arrays = {
        name: np.append(kept.arrays[name], np.asarray([value], kept.arrays[name].dtype))
        for name, value in {**one, "specificity": 9.0}.items()
    }
    counts = kept.arrays["counts"].copy()
    counts[PARTS.index("value"), 1] += count_bins(np.array([9.0]))
    r.store.write(recipe, {**kept.arrays, **arrays, "counts": counts}, kept.facts)
