"""A matrix's samples a block of rows at a time, in float64: never do all of them stand in it at once.

Knows nothing of what is computed with them.
"""

from collections.abc import Iterator
from functools import reduce

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from app.core.matrix import Matrix

BLOCK_BYTES = 2**25
"""Of a block in float64: about a third of a second's work for a product with a square of their width."""

Block = tuple[slice, Float64[Tensor, "rows d"]]


def blocks(rows: Float[Tensor, "n d"], mean: Float64[Tensor, " d"] | None = None) -> Iterator[Block]:
    """Consecutive rows, each block with its place among them; less their mean, where that is given."""
    size = max(1, BLOCK_BYTES // (8 * max(1, rows.shape[1])))
    for start in range(0, len(rows), size):
        block = rows[start : start + size].double()
        yield slice(start, start + len(block)), block if mean is None else block - mean


def upright_factors(matrix: Matrix) -> list[Float[Tensor, "_ _"]]:
    """Factors whose product has the matrix's samples as rows."""
    return list(matrix.factors) if matrix.is_upright else [factor.T for factor in reversed(matrix.factors)]


def sample_blocks(matrix: Matrix) -> Iterator[Block]:
    """The matrix's samples; a circuit's product is formed a block at a time."""
    first, *others = upright_factors(matrix)
    later = [factor.double() for factor in others]
    for own, block in blocks(first):
        yield own, reduce(torch.matmul, later, block)
