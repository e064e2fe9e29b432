"""The map of a model's heads: one score of each, its place among all, and what its strongest OV direction writes.

Knows where scores and tokens are kept, and nothing of how they are made. Imports no torch.
"""

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from app.core.address import CIRCUITS, Address
from app.explorer.library import OpenModel
from app.explorer.pages.maps import Cell, HeadMap
from app.explorer.pages.rays import Token
from app.explorer.reading import coverage
from app.explorer.resources import Resources
from app.explorer.view import Processing, View
from app.explorer.visits import orders
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Artifact, ArtifactStore

N_TOKENS = 5
"""Of each end of a head's strongest OV direction."""
Ends = tuple[tuple[Token, ...], tuple[Token, ...]]
"""Tokens of the + end and of the - end."""
NOTHING: Ends = ((), ())


def head_map(
    r: Resources, model: OpenModel, address: Address, shown: View, values: dict[str, NDArray[Any]], score: str
) -> HeadMap:
    """The heads by one of these scores, each [layers heads]."""
    of, heads = values[score], coverage.kept(r, model, shown.weights)
    # One more than are larger, so that heads of the same value share a rank.
    ranks = 1 + np.searchsorted(np.sort(-of, axis=None), -of)
    numbers = zip(of.tolist(), ranks.tolist(), heads, _written(r, model, shown.weights), strict=True)
    layers = [address.at_layer(layer) for layer in range(model.header.n_layers)]
    rows = tuple(
        tuple(Cell(layer.at_head(head), *of_head) for head, of_head in enumerate(zip(*of_layer, strict=True)))
        for layer, of_layer in zip(layers, numbers, strict=True)
    )
    mlps = tuple(coverage.places(r, model, shown.weights, layer) for layer in layers)
    return HeadMap(score, tuple(values), rows, mlps, float(of.min()), float(of.max()))


_known: WeakKeyDictionary[OpenModel, dict[tuple[ArtifactStore, Processing], list[list[Ends]]]] = WeakKeyDictionary()
"""What all heads of a model write, as long as it is open: thousands of tokens, the same on every visit."""


def _written(r: Resources, model: OpenModel, processing: Processing) -> list[list[Ends]]:
    """Of each head of each layer; nothing where the layer was not read yet."""
    of_model = _known.setdefault(model, {})
    if (r.store, processing) in of_model:
        return of_model[r.store, processing]
    address = Address(model.header.slug)
    layers = [address.at_layer(layer) for layer in range(model.header.n_layers)]
    held = [r.store.load(orders.layer(model, layer, processing).recipe) for layer in layers]
    written = [
        [NOTHING] * model.header.n_heads if artifact is None else list(_of_layer(model, artifact)) for artifact in held
    ]
    if all(held):
        of_model[r.store, processing] = written
    return written


def _of_layer(model: OpenModel, artifact: Artifact) -> Iterator[Ends]:
    arrays = artifact.arrays
    is_ov = arrays["circuit"] == CIRCUITS.index("ov")
    for head in range(model.header.n_heads):
        rows = np.flatnonzero(is_ov & (arrays["head"] == head))
        plus, minus = (_tokens(artifact, end, rows[:1], model.vocabulary) for end in ("top", "bottom"))
        yield plus, minus


def _tokens(artifact: Artifact, end: str, rows: NDArray[np.intp], vocabulary: Vocabulary) -> tuple[Token, ...]:
    """Of the write side of these rows."""
    ids, scores = (
        artifact.arrays[f"right_{end}_{what}"][rows, :N_TOKENS].flatten().tolist() for what in ("ids", "scores")
    )
    return tuple(Token(*vocabulary.entry(id_), score) for id_, score in zip(ids, scores, strict=True) if id_ >= 0)
