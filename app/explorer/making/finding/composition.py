"""The composition scores of all pairs of heads, from the weights alone: which head reads what which other head writes.

    cs [3 heads heads]  kinds q, k, v; writer, reader: heads numbered over layers. Within a layer nan; where the reader's layer
                        is before the writer's nothing composes: those are the null

Runs in the worker's process or a job's. Knows no pages.
"""

from typing import TYPE_CHECKING

import numpy as np

from app.core.steps import Steps, rescale_steps
from app.explorer.layout import COMPOSED
from app.explorer.making.context import ArraysAndFacts, Context
from app.explorer.making.heads import read_head_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.circuits import Head


def score_composition(context: Context) -> Steps[ArraysAndFacts]:
    """Score every pair of heads, one kind after the other: at any time two small factors of each head are in memory."""
    import torch

    from app.core.finding.composition import composition_scores, normalise_factors

    manifest = context.model.manifest
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
            heads = [read_head_tensors(context, index, head) for head in range(n_heads)]
            if writers is None:
                written.append(normalise_factors(_composing_factors(heads, "o")).to(context.tables.device()))
            read.append(normalise_factors(_composing_factors(heads, kind)).to(context.tables.device()))
            done += 1
        if writers is None:
            writers = torch.cat(written)
        scores = yield from rescale_steps(done, n, total, composition_scores(writers, torch.cat(read)))
        cs[at] = scores.cpu().numpy()
        done += n
        cs[at][layer[:, None] == layer[None, :]] = np.nan
    return {"cs": cs}, {}


def _composing_factors(heads: "list[Head]", kind: str) -> "Tensor":
    """Return, for each head of a layer, the factor that meets the other head: what it writes (o), or what reads (q, k,
    v).
    """
    import torch

    from app.core.finding.composition import right_gram_factor

    left, right = {
        "o": ([head.W_V for head in heads], [head.W_O for head in heads]),
        "q": ([head.W_K for head in heads], [head.W_Q.T for head in heads]),
        "k": ([head.W_Q for head in heads], [head.W_K.T for head in heads]),
        "v": ([head.W_O.T for head in heads], [head.W_V.T for head in heads]),
    }[kind]
    return right_gram_factor(torch.stack(left), torch.stack(right))
