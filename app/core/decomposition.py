"""A matrix as a sum of rank-one terms, `M = sum_i strength_i * left_i (x) right_i`: one type for every basis.

Nothing downstream learns which basis it shows. Also what such a sum leaves open: the sign of a term, and how far
rounding of the stored weights can turn it. Knows nothing of models, tokens or files.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from app.core.matrix import Matrix

BadgeKind = Literal["subspace", "close"]

SUBSPACE_DEGREES = 10.0
CLOSE_DEGREES = 1.0
# Root mean square error of rounding a number, in eps: uniform in the last place, mantissas log-uniform.
ROUNDING = 0.21


@dataclass(frozen=True)
class Decomposition:
    """Rank-one terms in order of falling strength, float32."""

    left: Float[Tensor, "rank d_left"]
    """Unit rows: what x is compared with."""
    strength: Float[Tensor, " rank"]
    """Singular values, for svd."""
    right: Float[Tensor, "rank d_right"]
    """Unit rows: what y is made of."""

    def reconstruct(self) -> Float[Tensor, "d_left d_right"]:
        """The sum of the terms, in float64: for tests and small matrices."""
        return (self.left.double().T * self.strength.double()) @ self.right.double()


class Badge(NamedTuple):
    """How far rounding can turn a direction towards its neighbours."""

    kind: BadgeKind | None
    """subspace: by more than 10 degrees; close: by 1 to 10; None: by less."""
    degrees: float
    """Towards the neighbour that it is easiest turned to."""
    first: int
    last: int
    """From the first to the last direction that it can be turned to by that much, itself included."""


def canonical_signs(terms: Decomposition) -> Decomposition:
    """The same terms, each with the largest-magnitude entry of `right` positive; `left` flips with it."""
    if len(terms.strength) == 0:
        return terms
    largest = terms.right.gather(1, terms.right.abs().argmax(dim=1, keepdim=True))
    sign = torch.where(largest < 0, -1.0, 1.0)
    return Decomposition(terms.left * sign, terms.strength, terms.right * sign)


def gaps(strength: Float[Tensor, " rank"]) -> Float[Tensor, " rank"]:
    """Relative distance to the nearer neighbour, `min(1 - s_i/s_{i-1}, 1 - s_{i+1}/s_i)`; after the last comes 0."""
    following = torch.cat([strength[1:], strength.new_zeros(1)])[: len(strength)]
    below = 1 - following / strength
    return torch.minimum(below, torch.cat([strength.new_ones(1), below])[: len(strength)])


def rounding_norms(matrix: Matrix, terms: Decomposition, dtype: torch.dtype) -> Float64[Tensor, "rank rank"]:
    """About the norm of the rounding error E of the stored dtype, as each pair of the matrix's directions sees it.

    `u E v` of `E = dA B + A dB` is random, with the variance `dA^2` weighted by u^2 and (B v)^2 plus `dB^2` weighted
    by (u A)^2 and v^2; a pair's 2 x 2 block of it has a norm of about two deviations. The norm of the whole E is
    sqrt(d) times larger, but all of it save these blocks points away from the neighbours.
    """
    A, B = (factor.double() for factor in matrix.factors)
    left, right = terms.left.double(), terms.right.double()
    of_A = left.square() @ A.square() @ (B @ right.T).square()
    of_B = (left @ A).square() @ B.square() @ right.T.square()
    deviation = ROUNDING * torch.finfo(dtype).eps * (of_A + of_B).sqrt()
    return 2 * torch.maximum(deviation, deviation.T)


def badges(strength: Float[Tensor, " rank"], rounding: Float64[Tensor, "rank rank"]) -> list[Badge]:
    """One badge a direction, from the angles `asin(rounding_ij / |s_i - s_j|)`; rows of small gaps are not chained."""
    distance = (strength[:, None] - strength).double().abs()
    angles = (rounding / distance).clamp(max=1).asin().rad2deg().nan_to_num(0.0).fill_diagonal_(0.0)
    return [_badge(row, index) for index, row in enumerate(angles.tolist())]


def _badge(angles: list[float], index: int) -> Badge:
    widest = max(angles)
    if widest <= CLOSE_DEGREES:
        return Badge(None, widest, index, index)
    kind: BadgeKind = "subspace" if widest > SUBSPACE_DEGREES else "close"
    least = SUBSPACE_DEGREES if kind == "subspace" else CLOSE_DEGREES
    within = [other for other, angle in enumerate(angles) if angle > least or other == index]
    return Badge(kind, widest, within[0], within[-1])
