"""Predicted rotations of singular directions, and of spans of several, under another rounding of the stored numbers.

To first order an error E of the matrix rotates the left direction u_i towards u_j by `(s_i e_ji + s_j e_ij) / (s_i^2 -
s_j^2)`, `e_ij = u_i E v_j`, and out of the span of all of them by `P E v_i / s_i`; the right one likewise (G. W.
Stewart, "Perturbation theory for the singular value decomposition", 1990). The errors are independent, so the expected
squares add up. Two directions that an error mixes fully are anywhere in their plane: no share is counted above 1. Half
of all errors rotate a direction by less than the median of that sum, which has few terms that matter: the approximation
is Wilson and Hilferty's (1931). Knows nothing of where the errors come from.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from app.core.decomposition import Decomposition, ErrorVariances, error_variances
from app.core.matrix import Matrix


class Leak(NamedTuple):
    """Expected squared tangents of one side's rotations by errors of the numbers."""

    among: Float64[Tensor, "rank rank"]
    """Squared tangents from each direction to each other one; at most 1, which is anywhere in their plane."""
    out: Float64[Tensor, " rank"]
    """Squared tangents from each direction out of the span of all."""
    n_out: int
    """Dimensions outside the span."""


class Turns(NamedTuple):
    """How far each direction of one side is rotated, and what stays of their spans."""

    degrees: Float64[Tensor, " rank"]
    """Median angle of rotation."""
    rest: Float64[Tensor, " rank"]
    """Mean squared cosine between the span of this direction and all after it, and the same span when rotated."""


def predict_turns(matrix: Matrix, terms: Decomposition) -> tuple[Turns, Turns] | None:
    """Predict the rotations of the left and of the right directions; None if the errors of the numbers are unknown."""
    if matrix.noise is None:
        return None
    left, right = expected_leaks(error_variances(matrix, terms), terms)
    return Turns(median_degrees(left), retained_shares(left)), Turns(median_degrees(right), retained_shares(right))


def expected_leaks(seen: ErrorVariances, terms: Decomposition) -> tuple[Leak, Leak]:
    """Compute the expected leaks of the left and of the right directions."""
    squares = terms.strength.double().square()
    apart = (squares[:, None] - squares).square_()
    # Variances of `s_i e_ji + s_j e_ij` from u_i to u_j, and of `s_i e_ij + s_j e_ji` from v_i to v_j.
    on_left = (squares[:, None] * seen.pairs.T + squares * seen.pairs) / apart
    on_right = (squares[:, None] * seen.pairs + squares * seen.pairs.T) / apart
    left = _leak(on_left, seen.left / squares, terms.left.shape[1])
    return left, _leak(on_right, seen.right / squares, terms.right.shape[1])


def _leak(among: Float64[Tensor, "rank rank"], out: Float64[Tensor, " rank"], d: int) -> Leak:
    # 0 / 0: no error and no gap between the singular values.
    among = among.nan_to_num_(0.0, posinf=1.0).clamp_(max=1).fill_diagonal_(0.0)
    n_out = max(0, d - len(out))
    return Leak(among, out if n_out else torch.zeros_like(out), n_out)


def median_degrees(leak: Leak) -> Float64[Tensor, " rank"]:
    """Compute the angle that half of all errors rotate each direction by."""
    total = leak.among.sum(dim=1) + leak.out
    # Effective number of equal terms: (sum)^2 / sum of squares.
    spread = leak.among.square().sum(dim=1) + leak.out.square() / max(1, leak.n_out)
    n = (total.square() / spread).nan_to_num_(1.0)
    return (total * (1 - 2 / (9 * n)) ** 3).sqrt().atan().rad2deg()


def retained_shares(leak: Leak) -> Float64[Tensor, " rank"]:
    """Compute the share of each span, of a direction and all after it, that stays in that span."""
    rank = len(leak.out)
    # Row k: what the directions from k on lose to each other one.
    from_later = leak.among.flip(0).cumsum(0).flip(0)
    lost = from_later.tril(-1).sum(dim=1) + leak.out.flip(0).cumsum(0).flip(0)
    return 1 / (1 + lost / torch.arange(rank, 0, -1, device=lost.device))
