"""Collapsed tokens: tokens that training never moved apart, found by how near their neighbours are.

They still lie on one point, and make any direction that passes it look read. No token counts are needed. Knows no
tokens' texts.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize, pad

from app.core.exact.shares import map_side_by_side, shares_of

NEIGHBOURS = 20
COLLAPSED = 0.9
"""Mean cosine to the nearest neighbours above which a token counts as never trained. On the demo model it finds every
token that its training text has fewer than 20 times, and none that it has 100 times or more."""
EXACT = 4_096
"""Tokens up to which all pairs are compared; of more, only those in one cell."""
ROUNDS = 2
"""Times that cells are drawn: neighbours on two sides of one border are seldom on two sides of another."""
BLOCK = 1_024
SEED = 0


def is_trained(
    vectors: Float[Tensor, "n_tokens d_model"], screening: torch.dtype = torch.float32
) -> Bool[Tensor, " n_tokens"]:
    """Return which tokens have a direction of their own, about the mean of all; all of them where there are hardly any.

    A token that is the mean itself has none. Of many tokens, neighbours are sought among those that are nearest to the
    same one of about `sqrt(n)` random tokens: no token is wrongly taken for collapsed, and one is missed only where
    both rounds part it from its neighbours. `screening`: the dtype in which tokens without a near neighbour are found.
    """
    n_tokens = len(vectors)
    if n_tokens <= NEIGHBOURS:
        return torch.ones(n_tokens, dtype=torch.bool, device=vectors.device)
    units = normalize(vectors - vectors.mean(dim=0), dim=1)
    return (_nearness_in_cells(units, screening) <= COLLAPSED) & units.any(dim=1)


def _nearness_in_cells(units: Float[Tensor, "n_tokens d_model"], screening: torch.dtype) -> Float[Tensor, " n_tokens"]:
    """Compute each token's nearness above COLLAPSED; a lower value where the cell's border hides neighbours."""
    n_tokens = len(units)
    if n_tokens <= EXACT:
        return _nearness(units, screening)
    generator = torch.Generator().manual_seed(SEED)
    nearness = units.new_full((n_tokens,), -1.0)
    for _ in range(ROUNDS):
        anchors = torch.randperm(n_tokens, generator=generator)[: math.isqrt(n_tokens)].to(units.device)
        near = torch.cat([(rows @ units[anchors].T).argmax(dim=1) for rows in torch.split(units, BLOCK)])
        sizes = near.bincount(minlength=len(anchors)).tolist()
        cells = [cell for cell in torch.split(near.argsort(stable=True), sizes) if len(cell) > NEIGHBOURS]
        found = map_side_by_side(lambda cell: _nearness(units[cell], screening), cells, shares_of(units))
        for cell, own in zip(cells, found, strict=True):
            nearness[cell] = nearness[cell].maximum(own)
    return nearness


def _nearness(units: Float[Tensor, "n d_model"], screening: torch.dtype) -> Float[Tensor, " n"]:
    """Compute each one's mean cosine to its nearest neighbours; -1 if none is as near as COLLAPSED."""
    if len(units) <= BLOCK:
        screening = torch.float32  # so little is soon done
    few, nearness = units.to(screening), units.new_full((len(units),), -1.0)
    if screening != torch.float32:  # padded to few shapes, since a library caches a kernel for each shape it meets
        few = pad(few, (0, 0, 0, -len(units) % BLOCK))
    largest = few.new_full((len(few),), -1.0)
    for start in range(0, len(few), BLOCK):
        rows, rest = slice(start, start + BLOCK), slice(start, None)
        cosines = few[rows] @ few[rest].T  # of each pair once
        cosines.diagonal().fill_(-1.0)
        largest[rows] = largest[rows].maximum(_maxima(cosines, 1))
        largest[rest] = largest[rest].maximum(_maxima(cosines, 0))
    largest = largest[: len(units)]
    # Rounding to few bits may lower a cosine by half a last place of either vector, and of the result.
    near = (largest > COLLAPSED - 2 * torch.finfo(screening).eps).nonzero().flatten()
    for own in torch.split(near, BLOCK):  # only these few are sorted
        exact = (units[own] @ units.T).scatter_(1, own[:, None], -1.0)
        nearness[own] = exact.topk(NEIGHBOURS, dim=1).values.mean(dim=1)
    return nearness


def _maxima(cosines: Float[Tensor, "n m"], dim: int) -> Float[Tensor, " _"]:
    """Compute maxima along a dimension, or less if all are below zero: 16-bit numbers as integers, much quicker."""
    if cosines.dtype == torch.float32:
        return cosines.amax(dim=dim)
    return cosines.view(torch.int16).amax(dim=dim).view(cosines.dtype)
