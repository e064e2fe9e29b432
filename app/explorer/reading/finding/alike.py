"""The page of heads most like one head, by the overlap of their read, write, query and key subspaces.

Percentiles are among pairs of the same layer distance, since heads of near layers overlap more whatever they do. Heads
of one key/value group are listed apart: they share two subspaces by construction. Imports no torch.
"""

import numpy as np
from numpy.typing import NDArray

from app.core.address import Address
from app.core.finding.haar import expected_overlap
from app.explorer.asking.places import neighbours_of
from app.explorer.header import Model
from app.explorer.layout import SHARED_SIDES, SPAN_SIDES
from app.explorer.pages.composition import AlikeHead, AlikePage, AlikeSide
from app.explorer.view import StreamSide, View
from app.store.artifacts import Arrays

NEAREST = 8


def read_alike_page(address: Address, model: Model, view: View, arrays: Arrays) -> AlikePage:
    """Read the heads most like the one at the address, for each side."""
    sides = tuple(_read_side(address, model, arrays, side) for side in SPAN_SIDES)
    return AlikePage(address, model, view, sides, *neighbours_of(model, address))


def _read_side(address: Address, model: Model, arrays: Arrays, side: StreamSide) -> AlikeSide:
    assert address.layer is not None
    assert address.head is not None
    overlaps, ranks = arrays[side], arrays[f"rank_{side}"]
    is_shared = side in SHARED_SIDES
    per_group = model.n_heads // model.n_kv_heads
    heads = per_group if is_shared else 1
    """Heads that a row stands for."""
    per_layer = model.n_heads // heads
    own = (address.layer * model.n_heads + address.head) // heads
    layer = np.arange(len(overlaps)) // per_layer
    group = np.arange(len(overlaps)) * heads // per_group
    rank = int(ranks[own])

    def describe(at: int, percentile: float | None) -> AlikeHead:
        place, number = divmod(at * heads, model.n_heads)
        head = address.at_layer(place).at_head(number)
        overlap = float(overlaps[own, at])
        return AlikeHead(head, heads, overlap, overlap / max(1, min(rank, int(ranks[at]))), percentile)

    among = np.flatnonzero(group != group[own])
    near = among[np.argsort(-overlaps[own, among], kind="stable")][:NEAREST].tolist()
    nearest = tuple(
        describe(at, _percentile(overlaps, per_layer, per_group // heads, abs(int(layer[at]) - address.layer), at, own))
        for at in near
    )
    kin = [at for at in np.flatnonzero(group == group[own]).tolist() if at != own]
    siblings = tuple(describe(at, None) for at in kin) if not is_shared else _list_siblings(address, model, rank)
    chance, spread = expected_overlap(rank, int(np.median(ranks)), model.d_model)
    return AlikeSide(side, rank, chance, spread, nearest, siblings, is_shared)


def _list_siblings(address: Address, model: Model, rank: int) -> tuple[AlikeHead, ...]:
    """List the other heads of the key/value group, which share the subspace."""
    assert address.head is not None
    per_group = model.n_heads // model.n_kv_heads
    first = address.head // per_group * per_group
    heads = [address.at_head(head) for head in range(first, first + per_group) if head != address.head]
    return tuple(AlikeHead(head, 1, float(rank), 1.0, None) for head in heads)


def _percentile(
    overlaps: NDArray[np.float32], per_layer: int, siblings: int, distance: int, at: int, own: int
) -> float:
    """Rank the overlap of rows `at` and `own` among pairs of that layer distance, siblings left out, in percent.

    `siblings`: rows of a layer that belong to one group.
    """
    n_layers = len(overlaps) // per_layer
    of_layers = overlaps.reshape(n_layers, per_layer, n_layers, per_layer)
    first = np.arange(n_layers - distance)
    pairs = of_layers[first, :, first + distance, :]
    if distance == 0:
        group = np.arange(per_layer) // siblings
        pairs = pairs[:, group[:, None] < group[None, :]]
    return 100 * float((pairs < overlaps[own, at]).mean())
