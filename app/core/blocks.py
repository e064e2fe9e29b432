"""A matrix's samples in blocks of rows, in float64: never are all of them in float64 at once.

Knows nothing of what is computed with them.
"""

from collections.abc import Iterator
from functools import reduce

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from app.core.matrix import Matrix

BLOCK_BYTES = 2**25
"""Bytes of a block in float64: multiplying it by a square of its width takes about a third of a second."""

Block = tuple[slice, Float64[Tensor, "rows d"]]


def blocks(rows: Float[Tensor, "n d"], mean: Float64[Tensor, " d"] | None = None) -> Iterator[Block]:
    """Yield consecutive blocks of rows with their slices; less their mean, where that is given."""
    size = max(1, BLOCK_BYTES // (8 * max(1, rows.shape[1])))
    for start in range(0, len(rows), size):
        block = rows[start : start + size].double()
        yield slice(start, start + len(block)), block if mean is None else block - mean


def upright_factors(matrix: Matrix) -> list[Float[Tensor, "_ _"]]:
    """Return factors whose product has the matrix's samples as rows."""
    return list(matrix.factors) if matrix.is_upright else [factor.T for factor in reversed(matrix.factors)]


def sample_blocks(matrix: Matrix) -> Iterator[Block]:
    """Yield the matrix's samples in blocks; a circuit's product is formed a block at a time."""
    first, *others = upright_factors(matrix)
    later = [factor.double() for factor in others]
    for own, block in blocks(first):
        yield own, reduce(torch.matmul, later, block)
