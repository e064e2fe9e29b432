"""How scores spread: counts in equal bins. Knows nothing of tokens."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

BINS = 48
SCORES = {"cpu": 2**18, "cuda": 2**25}
"""Counted at a time: what a CPU needs in between stays in its cache."""


def histogram(
    scores: Float[Tensor, "n n_scores"], low: Float[Tensor, " n"], high: Float[Tensor, " n"]
) -> Int64[Tensor, "n bins"]:
    """Counts of each row in equal bins between its lowest and its highest score, which are `low` and `high`.

    Quick where the scores lie row by row, and where they lie column by column.
    """
    n, device = len(scores), scores.device
    low, span = low.float(), high.float() - low.float()
    per_unit = torch.where(span > 0, BINS / span, 0.0).clamp(max=torch.finfo(torch.float32).max)
    first = torch.arange(n, device=device, dtype=torch.int32) * (BINS + 1)
    by_column = not scores.is_contiguous()
    lying = scores.T if by_column else scores
    size = max(1, SCORES[device.type] // max(1, lying.shape[1]))
    # One place for all parts: where memory is handed out afresh each time, that takes longer than counting.
    places = torch.empty(min(size, len(lying)), lying.shape[1], device=device)
    bins = torch.empty_like(places, dtype=torch.int32)
    counts = torch.zeros(n * (BINS + 1), dtype=torch.int64, device=device)
    for start in range(0, len(lying), size):
        part = lying[start : start + size]
        own = slice(None) if by_column else (slice(start, start + size), None)
        place, bin_ = places[: len(part)], bins[: len(part)]
        place.copy_(part).sub_(low[own]).mul_(per_unit[own])
        bin_.copy_(place).add_(first[own])
        if scores.is_cuda:  # bincount would wait for the device
            counts.scatter_add_(0, bin_.flatten().long(), counts.new_ones(()).expand(bin_.numel()))
        else:
            counts += torch.bincount(bin_.flatten(), minlength=len(counts))
    counts = counts.view(n, BINS + 1)
    counts[:, -2] += counts[:, -1]  # the highest score is in the last bin, not one beyond it
    return counts[:, :-1]
