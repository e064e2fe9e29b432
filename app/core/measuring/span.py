"""Orthonormal vectors with the span of given ones, by Gram-Schmidt in their order. Knows nothing of what they mean."""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

PANEL = 64
"""Vectors that lose together what the vectors before them span: one product instead of many small ones."""


def orthonormal(vectors: Float64[Tensor, "n d"]) -> tuple[Float64[Tensor, "rank d"], Int64[Tensor, " rank"]]:
    """Unit vectors, and the row that each was made from: what it adds to the rows before it, on that row's side.

    Rows that add no more than rounding to float32 could (`d eps` of their length) give none.
    """
    n, d = vectors.shape
    least = d * torch.finfo(torch.float32).eps * vectors.norm(dim=1)
    found, kept = vectors.new_empty(min(n, d), d), list[int]()
    for start in range(0, n, PANEL):
        before = len(kept)
        panel = _without(vectors[start : start + PANEL], found[:before])
        for row, vector in enumerate(panel, start):
            if len(kept) == d:
                break
            left = _without(vector[None], found[before : len(kept)])[0]
            length = left.norm()
            if length > least[row]:
                found[len(kept)] = left / length
                kept.append(row)
    return found[: len(kept)], torch.tensor(kept, dtype=torch.int64, device=vectors.device)


def _without(vectors: Float64[Tensor, "n d"], unit: Float64[Tensor, "m d"]) -> Float64[Tensor, "n d"]:
    """What the unit vectors do not span of them: twice, since the first time leaves rounding (Kahan and Parlett)."""
    for _ in range(2):
        vectors = vectors - (vectors @ unit.T) @ unit
    return vectors
