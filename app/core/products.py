"""Dot products of float32 vectors: the exact order's definition, and the error of the fast way.

Exact: products of two float32 numbers are exact in float64, and are added in one fixed tree; equal rows have equal
scores, and the same bits come out on every device, batch size and number of threads. Fast: a float32 matrix product,
in any order of summation within `gamma_d ||v|| ||w||`, gamma_d = d u / (1 - d u), u = 2^-24 (Higham 2002, 3.1). Knows
nothing of tokens.
"""

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor


def exact_products(
    vectors: Float32[Tensor, "n d"], table: Float32[Tensor, "n_rows d"], rows: Int64[Tensor, "n count"]
) -> Float64[Tensor, "n count"]:
    """Dot products, in float64, of each vector with its own rows of the table."""
    scores = torch.empty(rows.shape, dtype=torch.float64, device=rows.device)
    terms = torch.empty(rows.shape[1], vectors.shape[1], dtype=torch.float64, device=rows.device)
    for vector, chosen, out in zip(vectors.double(), rows, scores, strict=True):
        torch.mul(table.index_select(0, chosen), vector, out=terms)
        out.copy_(_folded(terms))
    return scores.add_(0.0)  # -0.0 becomes 0.0: what compares equal is stored equal


def fast_error(vectors: Float32[Tensor, "n d"], norms: Float64[Tensor, " m"]) -> Float64[Tensor, "n m"]:
    """How far a float32 product of each vector with one of these lengths may be from the exact one."""
    d = vectors.shape[1]
    lengths = vectors.double().square().sum(dim=1, keepdim=True).sqrt()
    product = lengths * norms
    if bool((product > 1e38).any()):
        raise ValueError(f"vectors of lengths {lengths.max():.0e} and {norms.max():.0e}: float32 may not hold products")
    # The second term: inputs and products too small for float32 may have been flushed to zero.
    flushed = d * torch.finfo(torch.float32).tiny * (1 + lengths + norms)
    return d * 2.0**-24 / (1 - d * 2.0**-24) * product + flushed


def _folded(terms: Float64[Tensor, "count d"]) -> Float64[Tensor, " count"]:
    """Row sums in place: an odd last column onto the first, the right half onto the left, until one column is left."""
    while terms.shape[1] > 1:
        if terms.shape[1] % 2:
            terms[:, 0] += terms[:, -1]
            terms = terms[:, :-1]
        left, right = terms.chunk(2, dim=1)
        left += right
        terms = left
    return terms[:, 0]
