"""Made-up vocabularies with known clusters of tokens, and matrices whose directions point at them.

As in trained embeddings, all tokens share a mean and are strong in a few directions that belong to no cluster.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from app.core.matrix import READ, WRITE, Matrix

N_TOKENS, D_MODEL, RANK = 4_000, 256, 64
CLUSTERED = 30
"""Tokens in a cluster."""
ALIKE = 0.3
"""Mean cosine of two tokens of a cluster, without the shared directions."""
ONE_SIDED = RANK // 2
"""Number of directions that point at one cluster; the others point at one, and away from another."""
N_CLUSTERS = ONE_SIDED + 2 * (RANK - ONE_SIDED)
N_SHARED = 12
SHARED = 0.15
"""Standard deviation of each shared direction's coefficient; a token's own vector has length 1."""


class Vocabulary(NamedTuple):
    """Token vectors, and the clusters planted in them."""

    vectors: Tensor
    """[N_TOKENS D_MODEL]"""
    centres: Tensor
    """[N_CLUSTERS D_MODEL], orthonormal."""
    members: Tensor
    """[N_CLUSTERS CLUSTERED], ids."""


class Planted(NamedTuple):
    """A matrix, and its right directions before noise."""

    matrix: Matrix
    directions: Tensor
    """[RANK D_MODEL], in the order of falling strength, their sign chosen so that + points at a cluster."""
    is_one_sided: Tensor
    """[RANK]"""


def draw_vocabulary(seed: int) -> Vocabulary:
    """Draw a vocabulary, tokens in random order."""
    draw = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(D_MODEL, N_CLUSTERS + N_SHARED, generator=draw)).Q.T
    centres, shared = axes[:N_CLUSTERS], axes[N_CLUSTERS:]
    own = _draw_units(N_TOKENS, draw)
    members = torch.randperm(N_TOKENS, generator=draw)[: N_CLUSTERS * CLUSTERED].view(N_CLUSTERS, CLUSTERED)
    own[members] = ALIKE**0.5 * centres[:, None] + (1 - ALIKE) ** 0.5 * own[members]
    common = torch.randn(N_TOKENS, N_SHARED, generator=draw) * SHARED
    return Vocabulary(own + common @ shared + _draw_units(1, draw), centres, members)


def plant_matrix(words: Vocabulary, noise: float, seed: int) -> Planted:
    """Make a matrix of rank RANK whose right directions are the planted ones plus noise of so many times their length.

    Singular directions are orthogonal, so the noisy ones are replaced by the nearest orthogonal ones.
    """
    draw = torch.Generator().manual_seed(1_000 + seed)
    of = words.centres[torch.randperm(N_CLUSTERS, generator=draw)]
    pairs = of[ONE_SIDED:].view(RANK - ONE_SIDED, 2, D_MODEL)
    directions = torch.cat([of[:ONE_SIDED], (pairs[:, 0] - pairs[:, 1]) / 2**0.5])
    order = torch.randperm(RANK, generator=draw)
    directions = directions[order]
    U, _, Vh = torch.linalg.svd(directions + noise * _draw_units(RANK, draw), full_matrices=False)
    left = torch.linalg.qr(torch.randn(D_MODEL, RANK, generator=draw)).Q
    matrix = Matrix((left * torch.linspace(2, 1, RANK), U @ Vh), READ, WRITE)
    return Planted(matrix, directions, order < ONE_SIDED)


def _draw_units(n: int, draw: torch.Generator) -> Tensor:
    return normalize(torch.randn(n, D_MODEL, generator=draw), dim=1)
