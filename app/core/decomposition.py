"""A matrix as a sum of rank-one terms, `M = sum_i strength_i * left_i (x) right_i`: one type for every basis.

Also the sign of a term, which such a sum leaves open, and how far rounding of the stored weights can rotate it. Code
above does not depend on the basis. Knows nothing of models, tokens or files.
"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Float32, Float64
from torch import Tensor

from app.core.matrix import Matrix
from app.core.noise import Noise

BadgeKind = Literal["subspace", "close"]

SUBSPACE_DEGREES = 10.0
CLOSE_DEGREES = 1.0
# Root mean square error of rounding a number, in eps: errors uniform in the last place, mantissas log-uniform.
ROUNDING = 0.21
ROWS = 2**12
"""Samples whose weights are squared at a time."""


@dataclass(frozen=True)
class Decomposition:
    """Rank-one terms in the order of their basis, float32."""

    left: Float[Tensor, "rank d_left"]
    """Unit rows that x is compared with."""
    strength: Float[Tensor, " rank"]
    """The size of each term: singular values, for svd."""
    right: Float[Tensor, "rank d_right"]
    """Unit rows that y is made of."""
    merit: Float[Tensor, " rank"] | None = None
    """The numbers that the basis orders its terms by, falling; None: their strength."""
    mean: Float[Tensor, " d_model"] | None = None
    """Mean of the matrix's samples, where the basis subtracts it first: it is no term."""

    def reconstruct(self) -> Float[Tensor, "d_left d_right"]:
        """Sum the terms, without the mean, in float64: for tests and small matrices."""
        return (self.left.double().T * self.strength.double()) @ self.right.double()


def orient_terms(
    matrix: Matrix,
    of_samples: Float32[Tensor, "rank n"],
    strength: Float32[Tensor, " rank"],
    of_stream: Float32[Tensor, "rank d_model"],
    merit: Float32[Tensor, " rank"] | None = None,
    mean: Float32[Tensor, " d_model"] | None = None,
) -> Decomposition:
    """Build a decomposition from terms of the matrix's samples, which may be its rows or its columns."""
    left, right = (of_samples, of_stream) if matrix.is_upright else (of_stream, of_samples)
    return Decomposition(left, strength, right, merit, mean)


def sample_side_of(matrix: Matrix, terms: Decomposition) -> Float[Tensor, "rank n"]:
    """Return the side of the terms that the matrix's samples are on."""
    return terms.left if matrix.is_upright else terms.right


def stream_side_of(matrix: Matrix, terms: Decomposition) -> Float[Tensor, "rank d_model"]:
    """Return the side of the terms that is the residual stream's; a circuit's right side."""
    return terms.right if matrix.is_upright else terms.left


def is_present(strength: Float64[Tensor, "*n rank"], d_model: int) -> Bool[Tensor, "*n rank"]:
    """Return which terms are more than rounding: `s_i >= s_max d eps` of float32, and within float32's range."""
    limits = torch.finfo(torch.float32)
    largest = strength.amax(dim=-1, keepdim=True) if strength.numel() else strength
    return (strength >= largest * d_model * limits.eps) & (strength >= limits.tiny)


def approximate_matrix(matrix: Matrix, terms: Decomposition) -> Float64[Tensor, "d_left d_right"]:
    """Reconstruct the matrix from terms and mean, dense: for tests and small matrices."""
    total = terms.reconstruct()
    if terms.mean is None:
        return total
    return total + (terms.mean.double() if matrix.is_upright else terms.mean.double()[:, None])


class Instability(NamedTuple):
    """How far rounding can rotate a direction towards its neighbours."""

    kind: BadgeKind | None
    """subspace: by more than 10 degrees; close: by 1 to 10; None: by less."""
    degrees: float
    """Largest angle towards any one neighbour."""
    first: int
    last: int
    """`first` to `last`: the directions that this one can be rotated to by that much, itself included."""


def fix_signs(terms: Decomposition) -> Decomposition:
    """Choose each term's sign so that the largest-magnitude entry of `right` is positive; `left` flips with it."""
    if len(terms.strength) == 0:
        return terms
    largest = terms.right.gather(1, terms.right.abs().argmax(dim=1, keepdim=True))
    sign = torch.where(largest < 0, -1.0, 1.0)
    return replace(terms, left=terms.left * sign, right=terms.right * sign)


def relative_gaps(strength: Float[Tensor, " rank"]) -> Float[Tensor, " rank"]:
    """Compute relative distances to the nearer neighbour, `min(1 - s_i/s_{i-1}, 1 - s_{i+1}/s_i)`; s ends with 0."""
    following = torch.cat([strength[1:], strength.new_zeros(1)])[: len(strength)]
    below = 1 - following / strength
    return torch.minimum(below, torch.cat([strength.new_ones(1), below])[: len(strength)])


def rounding_norms(matrix: Matrix, terms: Decomposition, dtype: torch.dtype) -> Float64[Tensor, "rank rank"]:
    """Estimate the norm of the stored numbers' rounding error E, as each pair of the matrix's directions sees it.

    `u E v` of `E = dA B + A dB` is random, with the variance `dA^2` weighted by u^2 and (B v)^2 plus `dB^2` weighted
    by (u A)^2 and v^2; a pair's 2 x 2 block of it has a norm of about two deviations. The norm of the whole E is
    sqrt(d) times larger, but all of it save these blocks points away from the neighbours. Of one factor M it is the E of
    M itself, `dM^2` weighted by u^2 and v^2; where a basis takes the samples' mean out, too, as that hardly rounds them.
    The errors are the matrix's own noise where that is known, else those of the dtype.
    """
    if matrix.noise is not None:
        deviation = error_variances(matrix, terms).pairs.sqrt()
        return 2 * torch.maximum(deviation, deviation.T)
    if len(matrix.factors) == 1:
        variance = _pair_variances(matrix, terms)
    else:
        A, B = (factor.double() for factor in matrix.factors)
        left, right = terms.left.double(), terms.right.double()
        of_A = left.square() @ A.square() @ (B @ right.T).square()
        of_B = (left @ A).square() @ B.square() @ right.T.square()
        variance = of_A + of_B
    deviation = ROUNDING * torch.finfo(dtype).eps * variance.sqrt()
    return 2 * torch.maximum(deviation, deviation.T)


class ErrorVariances(NamedTuple):
    """Variances of a matrix's errors E along its directions."""

    pairs: Float64[Tensor, "rank rank"]
    """Variances of `u_i E v_j`."""
    left: Float64[Tensor, " rank"]
    """Variances of the part of `E v_j` that no left direction spans."""
    right: Float64[Tensor, " rank"]
    """Variances of the part of `u_i E` that no right direction spans."""


def error_variances(matrix: Matrix, terms: Decomposition) -> ErrorVariances:
    """Compute the variances from the matrix's known noise; in a circuit's `E = dA B + A dB`, A dB is within the left
    span."""
    assert matrix.noise is not None
    left, right = terms.left.double(), terms.right.double()
    if len(matrix.factors) == 1:
        first = last = _variance_factors(left, matrix.noise[0], right)
        pairs = torch.outer(*first)
    else:
        A, B = (factor.double() for factor in matrix.factors)
        first, last = (
            _variance_factors(left, matrix.noise[0], right @ B.T),
            _variance_factors(left @ A, matrix.noise[1], right),
        )
        pairs = torch.outer(*first) + torch.outer(*last)
    outside_left = (matrix.noise[0].rows.sum() - first[0].sum()).clamp(min=0)
    outside_right = (matrix.noise[-1].columns.sum() - last[1].sum()).clamp(min=0)
    return ErrorVariances(pairs, outside_left * first[1], outside_right * last[0])


def _variance_factors(
    u: Float64[Tensor, "rank n"], noise: Noise, v: Float64[Tensor, "rank m"]
) -> tuple[Float64[Tensor, " rank"], Float64[Tensor, " rank"]]:
    """Return the two factors of the variances of `u_i E v_j`."""
    return u.square() @ noise.rows, v.square() @ noise.columns


def _pair_variances(matrix: Matrix, terms: Decomposition) -> Float64[Tensor, "rank rank"]:
    """Sum `u_a^2 M_ab^2 v_b^2` over one factor, sides in either order; float32 is near enough for an estimate."""
    samples = matrix.samples()
    samples_side, stream_side = sample_side_of(matrix, terms), stream_side_of(matrix, terms)
    # Scale to about one, so that squares of tiny weights are not zero.
    scale = float(samples.abs().amax()) or 1.0
    weighted = torch.zeros_like(stream_side)
    for start in range(0, len(samples), ROWS):
        own = slice(start, start + ROWS)
        weighted.addmm_(samples_side[:, own].square(), (samples[own] / scale).square_())
    return (weighted @ stream_side.square().T).double() * scale**2


def badges(strength: Float[Tensor, " rank"], rounding: Float64[Tensor, "rank rank"]) -> list[Instability]:
    """Compute one badge a direction, from the angles `asin(rounding_ij / |s_i - s_j|)`; rows of small gaps are not
    chained."""
    if len(strength) == 0:
        return []
    distance = (strength[:, None] - strength).double().abs_()
    angles = (rounding / distance).clamp_(max=1).asin_().rad2deg_().nan_to_num_(0.0).fill_diagonal_(0.0)
    widest = angles.amax(dim=1)
    least = torch.where(widest > SUBSPACE_DEGREES, SUBSPACE_DEGREES, CLOSE_DEGREES)
    within = (angles > least[:, None]).fill_diagonal_(True).to(torch.uint8)
    first = within.argmax(dim=1)
    last = len(strength) - 1 - within.flip(1).argmax(dim=1)
    found = zip(widest.tolist(), first.tolist(), last.tolist(), strict=True)
    return [_badge(*each, index) for index, each in enumerate(found)]


def _badge(widest: float, first: int, last: int, index: int) -> Instability:
    if widest <= CLOSE_DEGREES:
        return Instability(None, widest, index, index)
    return Instability("subspace" if widest > SUBSPACE_DEGREES else "close", widest, first, last)
