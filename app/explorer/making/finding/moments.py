"""The second moments of a whole model's singular directions: the mean of `v v^T` over the bank's rows of each end.

    read write [d_model d_model]    trace 1; an end that reads no row has none

Parts of the bank are read from the store, a layer at a time; a missing one is built here. Runs in the worker's process
or a job's. Knows no pages.
"""

from app.core.steps import Steps, rescale_steps
from app.explorer.bank import ends_of
from app.explorer.layout import BANK_ENDS
from app.explorer.making.context import ArraysAndFacts, Context
from app.explorer.making.finding.bank import load_bank_part

BLOCK_ROWS = 8_192
"""Rows whose products are added in float32."""


def compute_moments(context: Context) -> Steps[ArraysAndFacts]:
    """Compute the second moments of both ends."""
    import torch

    d, layers = context.model.header.d_model, (*range(context.model.header.n_layers), None)
    sums = {end: torch.zeros(d, d, dtype=torch.float64) for end in ends_of(context.model, context.processing)}
    counts = dict.fromkeys(sums, 0)
    for done, layer in enumerate(layers):
        yield done, len(layers)
        arrays = yield from rescale_steps(done, 1, len(layers), load_bank_part(context, layer))
        for end in sums:
            own = torch.from_numpy(arrays["vectors"][arrays["end"] == BANK_ENDS.index(end)])
            counts[end] += len(own)
            for block in torch.split(own, BLOCK_ROWS):
                sums[end] += (block.T @ block).double()
    return {end: (total / max(1, counts[end])).float().numpy() for end, total in sums.items()}, {}
