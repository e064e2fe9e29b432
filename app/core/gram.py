"""The Gram matrix of a matrix's samples, and their principal directions by its eigenvectors.

All in float64, block by block of samples, and rounded once to float32. Squaring costs digits: a direction of strength s
keeps all but `2 log10(s_0 / s)` of float64's sixteen, which is as many as float32 holds for each that is more than
rounding. Knows nothing of signs, of sides or of the order in which a basis shows its terms.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from app.core.blocks import blocks, upright_factors
from app.core.decomposition import is_present
from app.core.matrix import Matrix
from app.core.steps import Steps

SMALL = 2**28
"""Multiplications of a Gram matrix up to which a plain SVD is quick, and loses no digits."""
PANELS, PANEL = 4, 128
"""Parts of a Gram matrix's columns, and the least size of one: none is multiplied with those before it."""
ALONE = 1024
"""Rows of a matrix up to which one core finds eigenvectors sooner than several."""


class PrincipalDirections(NamedTuple):
    """The singular directions of samples X, `X = of_samples^T diag(strength) of_stream`, by falling strength."""

    of_samples: Float32[Tensor, "rank n"]
    strength: Float64[Tensor, " rank"]
    of_stream: Float32[Tensor, "rank d"]


def gram(matrix: Matrix) -> Steps[Float64[Tensor, "d_model d_model"]]:
    """Compute `X^T X` of the matrix's samples X; a circuit's through its factors. Yields (done, total)."""
    first, *others = upright_factors(matrix)
    product = yield from _gram_by_blocks(first, None, len(first))
    for factor in others:
        product = factor.double().T @ product @ factor.double()
    return product


@contextmanager
def limit_threads(size: int) -> Iterator[None]:
    """Limit torch's threads while eigenvectors of a matrix of that size are computed: to one, unless it is large.

    Cores wait for each other at each of many small steps, very long where others use them, too: 0.3 s by one, 2 to 30 s
    by two at 768 rows. The number of threads is torch's own, so one caller at a time.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if size <= ALONE else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def mean_of(samples: Float[Tensor, "n d"]) -> Float64[Tensor, " d"]:
    """Compute the samples' mean."""
    total = samples.new_zeros(samples.shape[1], dtype=torch.float64)
    for _, block in blocks(samples):
        total += block.sum(dim=0)
    return total / len(samples)


def covariance(rows: Float[Tensor, "n d"]) -> Steps[Float64[Tensor, "d d"]]:
    """Compute the covariance of the rows. Yields (done, total).

    Products are in float32, a block of rows at a time, and added up in float64: off by a few 1e-7 in proportion.
    """
    mean = mean_of(rows)
    product = rows.new_zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)
    for own, block in blocks(rows, mean):
        yield own.start, len(rows)
        few = block.float()
        product += (few.T @ few).double()
    return product / len(rows)


def principal_directions(
    samples: Float[Tensor, "n d"], mean: Float64[Tensor, " d"] | None = None
) -> Steps[PrincipalDirections]:
    """Compute the directions of the samples, less their mean where given, that are more than rounding.

    Yields (done, total).
    """
    n, d = samples.shape
    if n >= d:
        return (yield from _decompose_tall(samples, mean, d))
    whole = samples.double() if mean is None else samples - mean
    turned = yield from _decompose_tall(whole.T, None, d)
    return PrincipalDirections(turned.of_stream, turned.strength, turned.of_samples)


def _decompose_tall(
    rows: Float[Tensor, "n m"], mean: Float64[Tensor, " m"] | None, d_model: int
) -> Steps[PrincipalDirections]:
    """Compute the principal directions of no fewer rows than columns."""
    n, m = rows.shape
    if n * m**2 <= SMALL:
        U, strength, Vh = torch.linalg.svd(rows.double() if mean is None else rows - mean, full_matrices=False)
        rank = int(is_present(strength, d_model).sum())
        return PrincipalDirections(U.T[:rank].float().contiguous(), strength[:rank], Vh[:rank].float())
    product = yield from _gram_by_blocks(rows, mean, 2 * n)
    yield n, 2 * n
    with limit_threads(m):
        squares, V = torch.linalg.eigh(product)
    strength = squares.flip(0).clamp(min=0).sqrt()
    rank = int(is_present(strength, d_model).sum())
    strength, V = strength[:rank], V.flip(1)[:, :rank]
    to_unit = (V / strength).T
    of_rows = rows.new_empty(rank, n, dtype=torch.float32)
    for own, block in blocks(rows, mean):
        yield n + own.start, 2 * n
        of_rows[:, own] = to_unit @ block.T
    return PrincipalDirections(of_rows, strength, V.T.float().contiguous())


def _gram_by_blocks(
    rows: Float[Tensor, "n m"], mean: Float64[Tensor, " m"] | None, total: int
) -> Steps[Float64[Tensor, "m m"]]:
    m = rows.shape[1]
    product, size = rows.new_zeros(m, m, dtype=torch.float64), max(PANEL, -(-m // PANELS))
    for own, block in blocks(rows, mean):
        yield own.start, total
        for start in range(0, m, size):
            product[start : start + size, start:].addmm_(block[:, start : start + size].T, block[:, start:])
    return product.triu_().add_(product.triu(1).T)  # only the upper triangle was computed: mirror it
