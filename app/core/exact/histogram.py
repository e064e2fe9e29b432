"""Histograms of scores: counts in equal bins. Knows nothing of tokens."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from app.core.policy import takes_gpu_way

BINS = 48
SCORES = {"cpu": 2**18, "cuda": 2**25}
"""Scores counted at a time: a CPU's intermediate values stay in its cache."""
PAIRED, MOST_ROWS = 2**20, 16
"""Scores, and rows, whose pairs are counted at a time: each has a table of its own, in which a float32 finds every place."""


def histogram(
    scores: Float[Tensor, "n n_scores"], low: Float[Tensor, " n"], high: Float[Tensor, " n"]
) -> Int64[Tensor, "n bins"]:
    """Count each row's scores in equal bins between its lowest and its highest score, which are `low` and `high`.

    Quick where the scores lie row by row, and where they lie column by column.
    """
    n, device = len(scores), scores.device
    low, span = low.float(), high.float() - low.float()
    per_unit = torch.where(span > 0, BINS / span, 0.0).clamp(max=torch.finfo(torch.float32).max)
    if scores.is_contiguous() and not takes_gpu_way(scores):
        return _count_in_pairs(scores, low, per_unit)
    first = torch.arange(n, device=device, dtype=torch.int32) * (BINS + 1)
    by_column = not scores.is_contiguous()
    lying = scores.T if by_column else scores
    size = max(1, SCORES[device.type] // max(1, lying.shape[1]))
    # One buffer for all parts: allocating memory for each takes longer than counting.
    places = torch.empty(min(size, len(lying)), lying.shape[1], device=device)
    bins = torch.empty_like(places, dtype=torch.int32)
    counts = torch.zeros(n * (BINS + 1), dtype=torch.int64, device=device)
    for start in range(0, len(lying), size):
        part = lying[start : start + size]
        own = slice(None) if by_column else (slice(start, start + size), None)
        place, bin_ = places[: len(part)], bins[: len(part)]
        place.copy_(part).sub_(low[own]).mul_(per_unit[own])
        bin_.copy_(place).add_(first[own])
        if takes_gpu_way(scores):  # bincount would wait for the device
            counts.scatter_add_(0, bin_.flatten().long(), counts.new_ones(()).expand(bin_.numel()))
        else:
            counts += torch.bincount(bin_.flatten(), minlength=len(counts))
    return _close_last_bin(counts.view(n, BINS + 1))


def _count_in_pairs(
    scores: Float[Tensor, "n n_scores"], low: Float[Tensor, " n"], per_unit: Float[Tensor, " n"]
) -> Int64[Tensor, "n bins"]:
    """Count two scores as one pair, from the halves of each row: half as many steps, which are what takes time."""
    n, n_scores = scores.shape
    half, cells = n_scores // 2, (BINS + 1) ** 2
    size = max(1, min(n, MOST_ROWS, PAIRED // max(1, n_scores)))
    places, pairs = torch.empty(size, n_scores), torch.empty(size, half, dtype=torch.int32)
    first = torch.arange(size, dtype=torch.float32)[:, None] * cells
    counts = torch.zeros(n, BINS + 1, dtype=torch.int64)
    for start in range(0, n, size):
        part, own = scores[start : start + size], slice(start, start + size)
        of_each = len(part)
        place, pair = places[:of_each], pairs[:of_each]
        place.copy_(part).sub_(low[own, None]).mul_(per_unit[own, None]).floor_()
        left, right, odd = place[:, :half], place[:, half : 2 * half], place[:, 2 * half :]
        pair.copy_(left.mul_(BINS + 1).add_(right).add_(first[:of_each]))
        found = torch.bincount(pair.flatten(), minlength=of_each * cells).view(of_each, BINS + 1, BINS + 1)
        counts[own] = found.sum(dim=1) + found.sum(dim=2)
        counts[own].scatter_add_(1, odd.long(), torch.ones_like(odd, dtype=torch.int64))
    return _close_last_bin(counts)


def _close_last_bin(counts: Int64[Tensor, "n bins_and_one"]) -> Int64[Tensor, "n bins"]:
    """Move the highest score from the bin beyond the last into the last."""
    counts[:, -2] += counts[:, -1]
    return counts[:, :-1]
