"""How the singular directions of a whole model lie in the stream: the mean of `v v^T` over the bank's rows of each end.

    read write [d_model d_model]    trace 1; an end that reads no row has none

Parts of the bank are read from the store, a layer at a time; one that is not
there is gathered here. Runs in the worker's process or a job's. Knows no pages.
"""

from app.core.steps import Steps, within
from app.explorer.bank import ends_of
from app.explorer.layout import BANK_ENDS
from app.explorer.making.context import Baked, Bench
from app.explorer.making.finding.bank import part_of

BLOCK = 8_192
"""Rows whose products are added in float32."""


def take_moments(bench: Bench) -> Steps[Baked]:
    """Of both ends."""
    import torch

    d, layers = bench.model.header.d_model, (*range(bench.model.header.n_layers), None)
    sums = {end: torch.zeros(d, d, dtype=torch.float64) for end in ends_of(bench.model, bench.processing)}
    counts = dict.fromkeys(sums, 0)
    for done, layer in enumerate(layers):
        yield done, len(layers)
        arrays = yield from within(done, 1, len(layers), part_of(bench, layer))
        for end in sums:
            own = torch.from_numpy(arrays["vectors"][arrays["end"] == BANK_ENDS.index(end)])
            counts[end] += len(own)
            for block in torch.split(own, BLOCK):
                sums[end] += (block.T @ block).double()
    return {end: (total / max(1, counts[end])).float().numpy() for end, total in sums.items()}, {}
