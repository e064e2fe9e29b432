"""The heads that read what a layer writes: its write directions compared with all heads' queries, keys and values.

A reader is what a head multiplies the stream with before anything else: W_Q of each head, W_K and W_V once for each
key/value group. Positions rotate queries and keys, which changes no length, so they do not matter here; biases and the
length that norms remove are left out. For the layer's own OV and MLP, as the bank has them:

    kind head index [n]          a direction that is read: of KINDS, -1 for no head
    part layer reader [n]        who reads it: of PARTS, the later layer, and the head, or the number of its group
    specificity [n]              how specifically, from `reversal.FLOOR` on; falling for each direction
    counts [3 layers bins]       of each part and layer, how many pairs lie in which bin, whatever their order
    pairs [3 layers]             of how many

Pairs in the wrong order are counted and never kept: they are the null that the others are compared with. Runs in a
job's process. Knows no pages.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.core.address import KINDS
from app.core.finding.reversal import BINS, FLOOR, count_bins
from app.core.steps import Steps, rescale_steps
from app.explorer.layout import PARTS, WRITE_KINDS
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.finding.bank import load_bank_part
from app.explorer.making.heads import read_head_tensors

if TYPE_CHECKING:
    from torch import Tensor

MOST_READER_BYTES = 2**30
"""The most bytes of readers held from one layer's writes to the next; further readers are read again each time."""


@dataclass(frozen=True)
class Writes:
    """The directions that a layer writes along."""

    kind: NDArray[np.int8]
    head: NDArray[np.int16]
    index: NDArray[np.int32]
    vectors: "Tensor"
    """Unit rows [n d_model]."""


class Readers:
    """The readers of one model in one processing, read a layer at a time."""

    def __init__(self) -> None:
        self._held: dict[int, dict[str, Tensor]] = {}
        self._bytes = 0

    def read_layer(self, context: Context, layer: int) -> "dict[str, Tensor]":
        """Return every reader of the layer by its part: [n d_model d_head]."""
        held = self._held.get(layer)
        if held is None:
            held = _read_layer(context, layer)
            size = sum(tensor.nbytes for tensor in held.values())
            if self._bytes + size <= MOST_READER_BYTES:
                self._held[layer] = held
                self._bytes += size
        return held


def compare_with_readers(context: Context, layer: int) -> Steps[ArraysAndFacts]:
    """Compare that layer's write directions with all readers: the artifact."""
    from app.core.finding.specificity import specificity

    n_layers = context.model.manifest.n_layers
    writes = _write_directions(context, (yield from rescale_steps(0, 1, n_layers + 1, load_bank_part(context, layer))))
    key = (context.model.fingerprint, context.processing, "readers")
    readers: Readers = context.tables.control(key, Readers)
    counts, pairs = np.zeros((len(PARTS), n_layers, BINS), np.int64), np.zeros((len(PARTS), n_layers), np.int64)
    found: list[tuple[NDArray[Any], ...]] = []
    for later in range(n_layers):
        yield later + 1, n_layers + 1
        for part, own in enumerate(readers.read_layer(context, later).items()):
            values = specificity(writes.vectors, own[1]).cpu().numpy()
            counts[part, later], pairs[part, later] = count_bins(values), values.size
            if later > layer:
                rows, reader = np.nonzero(values >= FLOOR)
                where = (np.full(len(rows), number) for number in (part, later))
                found.append((rows, *where, reader, values[rows, reader]))
    return _reading_arrays(writes, found) | {"counts": counts, "pairs": pairs}, {}


def _reading_arrays(writes: Writes, found: list[tuple[NDArray[Any], ...]]) -> Arrays:
    columns = [np.concatenate(column) for column in zip(*found, strict=True)] if found else [np.zeros(0)] * 5
    rows, part, later, reader, values = columns
    order = np.lexsort((-values, rows))
    rows = rows[order].astype(np.int64)
    return {
        "kind": writes.kind[rows],
        "head": writes.head[rows],
        "index": writes.index[rows],
        "part": part[order].astype(np.int8),
        "layer": later[order].astype(np.int16),
        "reader": reader[order].astype(np.int16),
        "specificity": values[order].astype(np.float32),
    }


def _write_directions(context: Context, arrays: Arrays) -> Writes:
    import torch

    writes = np.isin(arrays["kind"], [KINDS.index(kind) for kind in WRITE_KINDS]) & (arrays["side"] == 1)
    vectors = torch.from_numpy(arrays["vectors"][writes]).to(context.tables.device())
    return Writes(arrays["kind"][writes], arrays["head"][writes], arrays["index"][writes], vectors)


def _read_layer(context: Context, layer: int) -> "dict[str, Tensor]":
    import torch

    from app.core.exact.shares import map_side_by_side, shares_of

    manifest, device = context.model.manifest, context.tables.device()
    heads = range(manifest.n_heads)
    tensors = map_side_by_side(partial(read_head_tensors, context, layer), heads, shares_of(device))
    firsts = heads[:: manifest.n_heads // manifest.n_kv_heads]
    return {
        "query": torch.stack([tensors[head].W_Q for head in heads]).to(device),
        "key": torch.stack([tensors[head].W_K for head in firsts]).to(device),
        "value": torch.stack([tensors[head].W_V for head in firsts]).to(device),
    }
