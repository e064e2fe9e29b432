"""The overlap of heads' subspaces: of what OV reads and writes, and of what QK compares as query and as key.

    read, key [groups groups]       O of every two key/value groups, numbered over layers: the heads of a group share them
    write, query [heads heads]      of every two heads, numbered over layers
    rank_read … [groups], [heads]   dimensions of each

Runs in the worker's process or a job's. Knows no pages.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from app.core.address import KINDS, Circuit
from app.core.steps import Steps, rescale_steps
from app.explorer.layout import SHARED_SIDES, SPAN_SIDES
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.finding.bank import load_bank_part
from app.explorer.making.heads import list_matrices

if TYPE_CHECKING:
    from torch import Tensor


def compare_spans(context: Context) -> Steps[ArraysAndFacts]:
    """Compute the spans of all heads' singular directions, then compare every two of them."""
    import torch

    from app.core.finding.alike import overlaps

    manifest = context.model.manifest
    per_group = manifest.n_heads // manifest.n_kv_heads
    spans: dict[str, list[Tensor]] = {side: [] for side in SPAN_SIDES}
    total = manifest.n_layers + len(SPAN_SIDES)
    for layer in range(manifest.n_layers):
        yield layer, total
        arrays = yield from rescale_steps(layer, 1, total, load_bank_part(context, layer))
        for head, circuit, both in _vectors_by_side(context, arrays):
            sides = ("read", "write") if circuit == "ov" else ("query", "key")
            for side, vectors in zip(sides, both, strict=True):
                if side not in SHARED_SIDES or head % per_group == 0:
                    spans[side].append(vectors)
    found: Arrays = {}
    for at, (side, of_side) in enumerate(spans.items()):
        found[f"rank_{side}"] = np.array([len(vectors) for vectors in of_side], np.int32)
        padded = torch.nn.utils.rnn.pad_sequence(of_side, batch_first=True)
        found[side] = (yield from rescale_steps(manifest.n_layers + at, 1, total, overlaps(padded))).cpu().numpy()
        of_side.clear()
    return found, {}


def _vectors_by_side(context: Context, arrays: Arrays) -> "Iterator[tuple[int, Circuit, tuple[Tensor, Tensor]]]":
    """Return the vectors of each matrix of a layer's heads, the heads in their order."""
    import torch

    device = context.tables.device()
    for head, circuit in list_matrices(context.model):
        own = (arrays["kind"] == KINDS.index(circuit)) & (arrays["head"] == head)
        left, right = (arrays["vectors"][own & (arrays["side"] == side)] for side in (0, 1))
        yield head, circuit, (torch.from_numpy(left).to(device), torch.from_numpy(right).to(device))
