"""The map of a model's heads: each one's score and rank, and the tokens that its strongest OV direction writes.

Knows where scores and tokens are stored, and nothing of how they are made. Imports no torch.
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
"""Tokens at each end of a head's strongest OV direction."""
Ends = tuple[tuple[Token, ...], tuple[Token, ...]]
"""Tokens of the + end and of the - end."""
NOTHING: Ends = ((), ())


def make_head_map(
    r: Resources, model: OpenModel, address: Address, shown: View, values: dict[str, NDArray[Any]], score: str
) -> HeadMap:
    """Make the map of one of these scores, each [layers heads]."""
    of, heads = values[score], coverage.find_computed_heads(r, model, shown.weights)
    # A rank is one more than the number of larger values: heads of the same value share it.
    ranks = 1 + np.searchsorted(np.sort(-of, axis=None), -of)
    numbers = zip(of.tolist(), ranks.tolist(), heads, _read_written(r, model, shown.weights), strict=True)
    layers = [address.at_layer(layer) for layer in range(model.header.n_layers)]
    rows = tuple(
        tuple(
            Cell(layer.at_head(head), value, rank, is_kept, *written)
            for head, (value, rank, is_kept, written) in enumerate(zip(*of_layer, strict=True))
        )
        for layer, of_layer in zip(layers, numbers, strict=True)
    )
    mlps = tuple(coverage.list_matrices(r, model, shown.weights, layer) for layer in layers)
    return HeadMap(score, tuple(values), rows, mlps, float(of.min()), float(of.max()))


_known_tokens: WeakKeyDictionary[OpenModel, dict[tuple[ArtifactStore, Processing], list[list[Ends]]]] = (
    WeakKeyDictionary()
)
"""The written tokens of each open model: thousands of tokens, the same on every visit."""


def _read_written(r: Resources, model: OpenModel, processing: Processing) -> list[list[Ends]]:
    """Read the written tokens of each head [layers heads]; empty where the layer was not computed yet."""
    of_model = _known_tokens.setdefault(model, {})
    if (r.store, processing) in of_model:
        return of_model[r.store, processing]
    address = Address(model.header.slug)
    layers = [address.at_layer(layer) for layer in range(model.header.n_layers)]
    held = [r.store.load(orders.order_layer(model, layer, processing).recipe) for layer in layers]
    written = [
        [NOTHING] * model.header.n_heads if artifact is None else list(_read_layer(model, artifact))
        for artifact in held
    ]
    if all(held):
        of_model[r.store, processing] = written
    return written


def _read_layer(model: OpenModel, artifact: Artifact) -> Iterator[Ends]:
    arrays = artifact.arrays
    is_ov = arrays["circuit"] == CIRCUITS.index("ov")
    for head in range(model.header.n_heads):
        rows = np.flatnonzero(is_ov & (arrays["head"] == head))
        plus, minus = (_read_tokens(artifact, end, rows[:1], model.vocabulary) for end in ("top", "bottom"))
        yield plus, minus


def _read_tokens(artifact: Artifact, end: str, rows: NDArray[np.intp], vocabulary: Vocabulary) -> tuple[Token, ...]:
    """Read the first tokens of the write side of these rows."""
    ids, scores = (
        artifact.arrays[f"right_{end}_{what}"][rows, :N_TOKENS].flatten().tolist() for what in ("ids", "scores")
    )
    return tuple(Token(*vocabulary.entry(id_), score) for id_, score in zip(ids, scores, strict=True) if id_ >= 0)
