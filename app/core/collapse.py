"""Tokens that training never moved apart: they still lie on one point, and make any direction that passes it look read.

They are known without counts, by how near their neighbours are. Knows no tokens' texts.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

NEIGHBOURS = 20
COLLAPSED = 0.9
"""Mean cosine to the nearest neighbours above which a token counts as never trained. On the demo model it finds every
token that its training text has fewer than 20 times, and none that it has 100 times or more."""
EXACT = 4_096
"""Tokens among whom all pairs are looked at; of more, those in one cell."""
ROUNDS = 2
"""Times that cells are drawn: neighbours that one border parts are seldom parted by another."""
BLOCK = 1_024
SEED = 0


def is_trained(vectors: Float[Tensor, "n_tokens d_model"]) -> Bool[Tensor, " n_tokens"]:
    """Which tokens have a direction of their own, about the mean of all; all of them where there are hardly any.

    A token that is the mean itself has none. Of many, neighbours are sought among the tokens that have the same one of
    about `sqrt(n)` random tokens nearest: no token is taken for collapsed that is not, and one is missed only where both
    rounds part it from its neighbours.
    """
    n_tokens = len(vectors)
    if n_tokens <= NEIGHBOURS:
        return torch.ones(n_tokens, dtype=torch.bool, device=vectors.device)
    units = normalize(vectors - vectors.mean(dim=0), dim=1)
    return (_nearest(units) <= COLLAPSED) & units.any(dim=1)


def _nearest(units: Float[Tensor, "n_tokens d_model"]) -> Float[Tensor, " n_tokens"]:
    """The nearness of each, or less: what a cell's border parts is not seen."""
    n_tokens = len(units)
    if n_tokens <= EXACT:
        return _nearness(units)
    generator = torch.Generator().manual_seed(SEED)
    nearness = units.new_full((n_tokens,), -1.0)
    for _ in range(ROUNDS):
        anchors = torch.randperm(n_tokens, generator=generator)[: math.isqrt(n_tokens)].to(units.device)
        near = torch.cat([(rows @ units[anchors].T).argmax(dim=1) for rows in torch.split(units, BLOCK)])
        sizes = near.bincount(minlength=len(anchors)).tolist()
        for cell in torch.split(near.argsort(stable=True), sizes):
            if len(cell) > NEIGHBOURS:
                nearness[cell] = nearness[cell].maximum(_nearness(units[cell]))
    return nearness


def _nearness(units: Float[Tensor, "n d_model"]) -> Float[Tensor, " n"]:
    """Mean cosine of each to the nearest among them, itself left out."""
    parts = [
        (rows @ units.T).topk(NEIGHBOURS + 1, dim=1).values[:, 1:].mean(dim=1) for rows in torch.split(units, BLOCK)
    ]
    return torch.cat(parts)
