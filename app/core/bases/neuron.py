"""Neuron basis: a matrix in the coordinates that it has, the MLP's neurons or the stream's own coordinates.

One side of each term has a single 1, at its neuron or coordinate, which `find_units` reads off. The terms add up to the
matrix. An MLP of m neurons has m such sides, [m m] numbers in all: the price of one form for every basis. Knows nothing
of models or tokens.
"""

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from app.core.basis import Fitting, Parameters
from app.core.blocks import blocks, sample_blocks, upright_factors
from app.core.decomposition import Decomposition, is_present, orient_terms
from app.core.matrix import Matrix, Space


def decompose(matrix: Matrix, parameters: Parameters) -> Fitting:
    """Decompose an MLP by neuron, any other matrix by coordinate; by falling norm, equal ones in order."""
    del parameters  # it has none
    has_neurons = Space.NEURON in {matrix.left.space, matrix.right.space}
    return (yield from _neuron_terms(matrix) if has_neurons else _coordinate_terms(matrix))


def rank_by_norm(
    samples: Float32[Tensor, "n d_model"],
) -> tuple[Int64[Tensor, " rank"], Float64[Tensor, " rank"]]:
    """Rank an MLP's neurons by the norm of their weights: the neuron of each term, and its norm."""
    return _sort_present(torch.cat([block.norm(dim=1) for _, block in blocks(samples)]), samples.shape[1])


def find_units(matrix: Matrix, terms: Decomposition) -> Int64[Tensor, " rank"]:
    """Find the neuron, or else the coordinate of the stream, of each term of the matrix."""
    has_neurons = Space.NEURON in {matrix.left.space, matrix.right.space}
    ones = terms.left if matrix.is_upright == has_neurons else terms.right
    return ones.argmax(dim=1) if len(ones) else torch.zeros(0, dtype=torch.int64)


def _neuron_terms(matrix: Matrix) -> Fitting:
    """Build one term for each sample."""
    samples = matrix.samples()
    n, d_model = samples.shape
    order, strength = rank_by_norm(samples)
    weights = samples.new_empty(len(order), d_model)
    for own, block in blocks(samples[order]):
        yield own.start, len(order)
        weights[own] = block / strength[own, None]
    return orient_terms(matrix, _one_hot(order, n), strength.float(), weights)


def _coordinate_terms(matrix: Matrix) -> Fitting:
    """Build one term for each coordinate of the stream."""
    factors = upright_factors(matrix)
    n, d_model = len(factors[0]), factors[-1].shape[1]
    squares = factors[0].new_zeros(d_model, dtype=torch.float64)
    for own, block in sample_blocks(matrix):
        yield own.start, 2 * n
        squares += block.square().sum(dim=0)
    order, strength = _sort_present(squares.sqrt(), d_model)
    columns = factors[0].new_empty(len(order), n)
    for own, block in sample_blocks(matrix):
        yield n + own.start, 2 * n
        columns[:, own] = (block[:, order] / strength).T
    return orient_terms(matrix, columns, strength.float(), _one_hot(order, d_model))


def _sort_present(
    norms: Float64[Tensor, " n"], d_model: int
) -> tuple[Int64[Tensor, " rank"], Float64[Tensor, " rank"]]:
    """Sort the terms that exceed rounding by norm: their places and norms."""
    norms, order = norms.sort(descending=True, stable=True)
    rank = int(is_present(norms, d_model).sum())
    return order[:rank], norms[:rank]


def _one_hot(places: Int64[Tensor, " rank"], size: int) -> Float32[Tensor, "rank size"]:
    rows = torch.zeros(len(places), size, device=places.device)
    return rows.scatter_(1, places[:, None], 1.0)
