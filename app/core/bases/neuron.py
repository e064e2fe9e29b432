"""A matrix in the coordinates that it has: the MLP's neurons, or the residual stream's own coordinates.

One side of each term has a single 1, at the neuron or the coordinate that it is: `find_units` reads it off. The
terms add up to the matrix. An MLP of m neurons has m such sides, [m m] numbers in all: the price of one form for every
basis. Knows nothing of models or tokens.
"""

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from app.core.basis import Fitting, Parameters
from app.core.blocks import blocks, sample_blocks, upright_factors
from app.core.decomposition import Decomposition, is_present, oriented
from app.core.matrix import Matrix, Space


def decompose(matrix: Matrix, parameters: Parameters) -> Fitting:
    """An MLP's neurons with their weights, any other matrix's coordinates; by falling norm, equal ones in their order."""
    del parameters  # it has none
    has_neurons = Space.NEURON in {matrix.left.space, matrix.right.space}
    return (yield from _neurons(matrix) if has_neurons else _coordinates(matrix))


def by_norm(
    samples: Float32[Tensor, "n d_model"],
) -> tuple[Int64[Tensor, " rank"], Float64[Tensor, " rank"]]:
    """The neuron that each term of an MLP is, and its norm, from the neurons' weights."""
    return _ordered(torch.cat([block.norm(dim=1) for _, block in blocks(samples)]), samples.shape[1])


def find_units(matrix: Matrix, terms: Decomposition) -> Int64[Tensor, " rank"]:
    """The neuron, or else the coordinate of the stream, that each term of the matrix is."""
    has_neurons = Space.NEURON in {matrix.left.space, matrix.right.space}
    ones = terms.left if matrix.is_upright == has_neurons else terms.right
    return ones.argmax(dim=1) if len(ones) else torch.zeros(0, dtype=torch.int64)


def _neurons(matrix: Matrix) -> Fitting:
    """One term a sample."""
    samples = matrix.samples()
    n, d_model = samples.shape
    order, strength = by_norm(samples)
    weights = samples.new_empty(len(order), d_model)
    for own, block in blocks(samples[order]):
        yield own.start, len(order)
        weights[own] = block / strength[own, None]
    return oriented(matrix, _one_hot(order, n), strength.float(), weights)


def _coordinates(matrix: Matrix) -> Fitting:
    """One term a coordinate of the stream."""
    factors = upright_factors(matrix)
    n, d_model = len(factors[0]), factors[-1].shape[1]
    squares = factors[0].new_zeros(d_model, dtype=torch.float64)
    for own, block in sample_blocks(matrix):
        yield own.start, 2 * n
        squares += block.square().sum(dim=0)
    order, strength = _ordered(squares.sqrt(), d_model)
    columns = factors[0].new_empty(len(order), n)
    for own, block in sample_blocks(matrix):
        yield n + own.start, 2 * n
        columns[:, own] = (block[:, order] / strength).T
    return oriented(matrix, columns, strength.float(), _one_hot(order, d_model))


def _ordered(norms: Float64[Tensor, " n"], d_model: int) -> tuple[Int64[Tensor, " rank"], Float64[Tensor, " rank"]]:
    """Which terms there are, and their norms."""
    norms, order = norms.sort(descending=True, stable=True)
    rank = int(is_present(norms, d_model).sum())
    return order[:rank], norms[:rank]


def _one_hot(places: Int64[Tensor, " rank"], size: int) -> Float32[Tensor, "rank size"]:
    rows = torch.zeros(len(places), size, device=places.device)
    return rows.scatter_(1, places[:, None], 1.0)
