"""Which head reads what which other head writes: composition scores of all pairs, from the weights alone.

    cs [3 heads heads]  kinds q, k, v; writer, reader: heads numbered over layers. Within a layer nan; where the reader's layer
                        is before the writer's nothing composes: those are the null

Runs in the worker's process or a job's. Knows no pages.
"""

from typing import TYPE_CHECKING

import numpy as np

from app.core.steps import Steps, within
from app.explorer.layout import COMPOSED
from app.explorer.making.context import Baked, Bench
from app.explorer.making.heads import head_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.circuits import Head


def compose(bench: Bench) -> Steps[Baked]:
    """Every pair of heads, one kind after the other: at any time two small factors of each head are in memory."""
    import torch

    from app.core.finding.composition import at_unit_norm, composition

    manifest = bench.model.manifest
    n_layers, n_heads = manifest.n_layers, manifest.n_heads
    n = n_layers * n_heads
    layer = np.repeat(np.arange(n_layers), n_heads)
    cs = np.zeros((len(COMPOSED), n, n), np.float32)
    total = len(COMPOSED) * (n_layers + n)
    done = 0
    writers: Tensor | None = None
    for at, kind in enumerate(COMPOSED):
        written: list[Tensor] = []
        read: list[Tensor] = []
        for index in range(n_layers):
            yield done, total
            heads = [head_tensors(bench, index, head) for head in range(n_heads)]
            if writers is None:
                written.append(at_unit_norm(_seen(heads, "o")).to(bench.tables.device()))
            read.append(at_unit_norm(_seen(heads, kind)).to(bench.tables.device()))
            done += 1
        if writers is None:
            writers = torch.cat(written)
        scores = yield from within(done, n, total, composition(writers, torch.cat(read)))
        cs[at] = scores.cpu().numpy()
        done += n
        cs[at][layer[:, None] == layer[None, :]] = np.nan
    return {"cs": cs}, {}


def _seen(heads: "list[Head]", kind: str) -> "Tensor":
    """Of each head of a layer the rows that meet the other head: of what it writes (o), or of what reads (q, k, v)."""
    import torch

    from app.core.finding.composition import seen_from_right

    left, right = {
        "o": ([head.W_V for head in heads], [head.W_O for head in heads]),
        "q": ([head.W_K for head in heads], [head.W_Q.T for head in heads]),
        "k": ([head.W_Q for head in heads], [head.W_K.T for head in heads]),
        "v": ([head.W_O.T for head in heads], [head.W_V.T for head in heads]),
    }[kind]
    return seen_from_right(torch.stack(left), torch.stack(right))
