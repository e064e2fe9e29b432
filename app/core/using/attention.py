"""Attention scores as exact sums: why a head looks from one position at another.

`score(t, j) = factor (x_t W_Q + b_Q) R_D (x_j W_K + b_K)^T`, D = t - j. It is split by the singular directions of
`W_Q R_D W_K^T` at that very distance; by the query's directions at distance 0, the same for all keys; or by the planes
that the positions rotate. Terms of the first two leave out what biases make, which `split_by_biases` gives. The diagonal
of distance 0 is no such sum at any other distance. `factor` is what the model scales scores by, and what norms of
queries and keys divide by. Runs in float64 inside. Knows no model and no text.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from app.core.circuits import Head
from app.core.decomposition import Decomposition
from app.core.rotary import Rotary, pair_coordinates, turn_keys

WITHIN = 0.1
"""Part of a sum that its first terms may be away from it."""


class Products(NamedTuple):
    """A score as a sum of products, one a direction."""

    read: Float64[Tensor, " rank"]
    """What the query's directions read."""
    held: Float64[Tensor, " rank"]
    """What the key holds for each unit of that."""

    @property
    def terms(self) -> Float64[Tensor, " rank"]:
        """The products themselves."""
        return self.read * self.held


class PlaneTerms(NamedTuple):
    """A score by rotary planes: `size cos(angle)` each, and what is not rotated."""

    size: Float64[Tensor, " n"]
    """What the plane would give if query and key pointed one way in it."""
    angle: Float64[Tensor, " n"]
    """Radians between query and key in the plane, the rotation included."""
    still: Float64[Tensor, ""]
    """What coordinates that no position rotates give together."""


def split_by_directions(
    query: Float[Tensor, " d_model"], key: Float[Tensor, " d_model"], terms: Decomposition, factor: float
) -> Products:
    """Split the score of a pair by the directions of its QK at the pair's distance: `(x_t u_i) (factor s_i x_j v_i)`."""
    held = terms.strength.double() * (terms.right.double() @ key.double())
    return Products(terms.left.double() @ query.double(), factor * held)


def split_by_biases(
    query: Float[Tensor, " d_model"], key: Float[Tensor, " d_model"], rotated: Head, factor: float
) -> Float64[Tensor, " 3"]:
    """Compute what biases add to the score of a pair: with the query's content, with the key's, with neither.

    `rotated`: the head with its queries rotated by the pair's distance.
    """
    b_Q, b_K = rotated.b_Q.double(), rotated.b_K.double()
    parts = [
        query.double() @ rotated.W_Q.double() @ b_K,
        b_Q @ (key.double() @ rotated.W_K.double()),
        b_Q @ b_K,
    ]
    return factor * torch.stack(parts)


def score_keys(
    query: Float[Tensor, " d_model"], keys: Float[Tensor, "n d_model"], head: Head, rotary: Rotary | None, n_tokens: int
) -> Float64[Tensor, " n"]:
    """Compute the scores that the last of n positions gives each of them, biases included, for a factor of one.

    `n_tokens`: of the whole text, whose length may decide the frequencies.
    """
    turned = _turn(_project(keys, head.W_K, head.b_K), rotary, n_tokens)
    return turned @ _project(query, head.W_Q, head.b_Q)


def hold_for_queries(
    keys: Float[Tensor, "n d_model"],
    head: Head,
    rotary: Rotary | None,
    n_tokens: int,
    directions: Float[Tensor, "rank d_model"],
) -> Float64[Tensor, "n rank"]:
    """Compute what each of n positions holds for the query's directions at the last of them, for a factor of one.

    A score is the sum of its products with what the directions read, but for what biases make. `directions`: unit rows
    that span what W_Q reads, orthogonal: the same for all keys.
    """
    turned = _turn(keys.double() @ head.W_K.double(), rotary, n_tokens)
    return turned @ (directions.double() @ head.W_Q.double()).T


def split_by_planes(
    query: Float[Tensor, " d_model"],
    key: Float[Tensor, " d_model"],
    head: Head,
    rotary: Rotary,
    distance: int,
    n_tokens: int,
    factor: float,
) -> PlaneTerms:
    """Split the score of a pair by the planes that positions rotate, biases included."""
    q, k = _project(query, head.W_Q, head.b_Q), _project(key, head.W_K, head.b_K)
    n = len(rotary.frequencies)
    first, second = pair_coordinates(n, rotary.pairing)
    (turned,) = turn_keys(k[None], rotary, torch.tensor([distance]), n_tokens)
    rotated = torch.stack([q[first] * turned[first], q[second] * turned[second]]).sum(0)
    q_size, k_size = (torch.hypot(one[first], one[second]) for one in (q, k))
    size = rotary.scale**2 * q_size * k_size
    cosine = torch.where(size > 0, rotated / size.clamp(min=torch.finfo(size.dtype).tiny), 1.0)
    still = (q[2 * n :] * k[2 * n :]).sum()
    return PlaneTerms(factor * size, cosine.clamp(-1, 1).acos(), factor * still)


def compare_with_others(
    held: Float[Tensor, "n rank"], pattern: Float[Tensor, " n"], source: int
) -> Float64[Tensor, " rank"]:
    """Compute what a source holds beyond the mean over all other sources, by the attention that these have.

    What all sources share moves no attention: softmax ignores it. Where nothing else is attended to, all that it holds.
    """
    weights = pattern.double().clone()
    weights[source] = 0
    total = weights.sum()
    return held[source].double() - (weights @ held.double() / total if total > 0 else 0.0)


def count_settled(terms: Float[Tensor, "*n rank"]) -> Int[Tensor, "*n"]:
    """Count the largest terms after which the partial sum stays within a tenth of the whole sum.

    The smallest set of large terms that *reaches* a sum says nothing: terms overshoot, in random bases as well.
    """
    order = terms.abs().argsort(dim=-1, descending=True, stable=True)
    running = terms.gather(-1, order).cumsum(-1)
    whole = running[..., -1:]
    outside = (running - whole).abs() > WITHIN * whole.abs()
    positions = torch.arange(1, terms.shape[-1] + 1, device=terms.device)
    return torch.where(outside, positions, 0).amax(-1) + 1


def draw_random_terms(products: Products, draws: int, seed: int) -> Float64[Tensor, "draws rank"]:
    """Split the same sum in random orthonormal bases of what the query's directions span."""
    generator = torch.Generator().manual_seed(seed)
    rank = len(products.read)
    normal = torch.randn(draws, rank, rank, generator=generator, dtype=torch.float64)
    bases, triangles = torch.linalg.qr(normal)
    bases = bases * torch.diagonal(triangles, dim1=1, dim2=2).sign()[:, None]
    terms: Tensor = (products.read @ bases) * (products.held @ bases)
    return terms


def _project(x: Float[Tensor, "*n d_model"], W: Tensor, bias: Tensor) -> Float64[Tensor, "*n d_head"]:
    return x.double() @ W.double() + bias.double()


def _turn(held: Float64[Tensor, "n d_head"], rotary: Rotary | None, n_tokens: int) -> Float64[Tensor, "n d_head"]:
    """Turn the keys of n positions as the query of the last meets them."""
    return held if rotary is None else turn_keys(held, rotary, torch.arange(len(held)).flip(0), n_tokens)
