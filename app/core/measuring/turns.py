"""How far another rounding of the stored numbers would turn each singular direction, and the spans of several.

To first order an error E of the matrix turns the left direction u_i towards u_j by `(s_i e_ji + s_j e_ij) / (s_i^2 -
s_j^2)`, `e_ij = u_i E v_j`, and out of the span of all of them by `P E v_i / s_i`; the right one likewise (G. W. Stewart,
"Perturbation theory for the singular value decomposition", 1990). The errors are independent, so the expected squares
add up. Two directions that an error mixes for good are anywhere in their plane: no share is counted above 1. Half of
all errors turn a direction by less than the median of that sum, which has few terms that matter: Wilson and Hilferty's
(1931). Knows nothing of where the errors come from.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from app.core.decomposition import Decomposition, Seen, seen_variances
from app.core.matrix import Matrix


class Leak(NamedTuple):
    """What errors of the numbers make of the directions of one side: expected squares of tangents."""

    among: Float64[Tensor, "rank rank"]
    """From each direction to each other one; at most 1, which is anywhere in their plane."""
    out: Float64[Tensor, " rank"]
    """Out of the span of all."""
    n_out: int
    """Dimensions that there are out of it."""


class Turns(NamedTuple):
    """How far each direction of one side is turned, and what stays of their spans."""

    degrees: Float64[Tensor, " rank"]
    """The median."""
    rest: Float64[Tensor, " rank"]
    """Mean squared cosine between the span of this direction and all after it, and what becomes of it."""


def turns(matrix: Matrix, terms: Decomposition) -> tuple[Turns, Turns] | None:
    """Of the left and of the right directions; None where nothing is known of the errors of the matrix's numbers."""
    if matrix.noise is None:
        return None
    left, right = leaks(seen_variances(matrix, terms), terms)
    return Turns(median_degrees(left), rest(left)), Turns(median_degrees(right), rest(right))


def leaks(seen: Seen, terms: Decomposition) -> tuple[Leak, Leak]:
    """Of the left and of the right directions, as these see the errors."""
    squares = terms.strength.double().square()
    apart = (squares[:, None] - squares).square_()
    # Of `s_i e_ji + s_j e_ij` from u_i to u_j, and of `s_i e_ij + s_j e_ji` from v_i to v_j.
    on_left = (squares[:, None] * seen.pairs.T + squares * seen.pairs) / apart
    on_right = (squares[:, None] * seen.pairs + squares * seen.pairs.T) / apart
    left = _leak(on_left, seen.left / squares, terms.left.shape[1])
    return left, _leak(on_right, seen.right / squares, terms.right.shape[1])


def _leak(among: Float64[Tensor, "rank rank"], out: Float64[Tensor, " rank"], d: int) -> Leak:
    # Nothing over nothing is an error that is not there.
    among = among.nan_to_num_(0.0, posinf=1.0).clamp_(max=1).fill_diagonal_(0.0)
    n_out = max(0, d - len(out))
    return Leak(among, out if n_out else torch.zeros_like(out), n_out)


def median_degrees(leak: Leak) -> Float64[Tensor, " rank"]:
    """The angle that half of all errors turn each direction by."""
    total = leak.among.sum(dim=1) + leak.out
    # As many equal shares would spread as much: (sum)^2 / sum of squares.
    spread = leak.among.square().sum(dim=1) + leak.out.square() / max(1, leak.n_out)
    n = (total.square() / spread).nan_to_num_(1.0)
    return (total * (1 - 2 / (9 * n)) ** 3).sqrt().atan().rad2deg()


def rest(leak: Leak) -> Float64[Tensor, " rank"]:
    """Of the span of each direction and all after it the share that stays in it."""
    rank = len(leak.out)
    # Of every direction from row k on, what goes to each one before k.
    from_later = leak.among.flip(0).cumsum(0).flip(0)
    lost = from_later.tril(-1).sum(dim=1) + leak.out.flip(0).cumsum(0).flip(0)
    return 1 / (1 + lost / torch.arange(rank, 0, -1, device=lost.device))
