"""How scores spread: counts in equal bins. Knows nothing of tokens."""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

BINS = 48


def histogram(
    scores: Float[Tensor, "n n_scores"], low: Float64[Tensor, " n"], high: Float64[Tensor, " n"]
) -> Int64[Tensor, "n bins"]:
    """Counts of each row in equal bins from `low` to `high`, both included; uses `scores` up."""
    span = high - low
    per_unit = torch.where(span > 0, BINS / span, 0.0).clamp(max=torch.finfo(scores.dtype).max)
    scores.sub_(low.to(scores.dtype)[:, None]).mul_(per_unit.to(scores.dtype)[:, None])
    # The clamp holds what rounding carried over an edge.
    bins = scores.clamp_(0, BINS - 1).to(torch.uint8)
    counts = torch.empty(len(bins), BINS, dtype=torch.int64, device=bins.device)
    for row, count in zip(bins, counts, strict=True):
        count.copy_(torch.bincount(row, minlength=BINS))
    return counts
