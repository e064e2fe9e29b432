"""Orthonormal vectors with the span of given ones, by Gram-Schmidt in order. Knows nothing of what they mean."""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

PANEL = 64
"""Vectors that are projected at a time: one product instead of many small ones."""


def orthonormalise(vectors: Float64[Tensor, "n d"]) -> tuple[Float64[Tensor, "rank d"], Int64[Tensor, " rank"]]:
    """Orthonormalise the rows in order: the unit vectors, with signs of their rows, and the row each was made from.

    Rows that add no more than rounding to float32 could (`d eps` of their length) give none.
    """
    n, d = vectors.shape
    least = d * torch.finfo(torch.float32).eps * vectors.norm(dim=1)
    found, kept = vectors.new_empty(min(n, d), d), list[int]()
    for start in range(0, n, PANEL):
        before = len(kept)
        panel = _project_out(vectors[start : start + PANEL], found[:before])
        for row, vector in enumerate(panel, start):
            if len(kept) == d:
                break
            left = _project_out(vector[None], found[before : len(kept)])[0]
            length = left.norm()
            if length > least[row]:
                found[len(kept)] = left / length
                kept.append(row)
    return found[: len(kept)], torch.tensor(kept, dtype=torch.int64, device=vectors.device)


def _project_out(vectors: Float64[Tensor, "n d"], unit: Float64[Tensor, "m d"]) -> Float64[Tensor, "n d"]:
    """Project the unit vectors out: twice, since the first time leaves rounding (Kahan and Parlett)."""
    for _ in range(2):
        vectors = vectors - (vectors @ unit.T) @ unit
    return vectors
