"""Used basis: the axes that a head's output varies along on a text, most first.

With `W = U diag(s) V^T` and a the attended coefficients on its left directions, the output `a diag(s) V^T` has the
covariance `V M V^T`, `M = diag(s) Cov(a) diag(s) = Q diag(l) Q^T`. So its axes are V Q, mixtures of singular directions,
and `W = sum_i (U diag(s) q_i) (x) (V q_i)` exactly. They are the right singular vectors of `C^(1/2) W`, C the covariance
of what is attended to, with `l` the squares of its singular values: the SVD of W for the stream as it is. What the axes
read, U diag(s) q_i, is orthogonal under C and not in the plain sense.
Needs the covariance besides the matrix, unlike all other bases. Knows nothing of models or texts.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from app.core.decomposition import Decomposition, fix_signs


class UsedAxes(NamedTuple):
    """The axes of one matrix's output, and what each is a mixture of."""

    terms: Decomposition
    """Terms by falling share of the output's variance, which is their merit: 0 for all where it does not vary."""
    mixture: Float64[Tensor, "rank rank"]
    """|cos| of each axis with each singular direction, on the right side; the squares of a row add up to 1."""


def find_axes(singular: Decomposition, covariance: Float[Tensor, "rank rank"]) -> UsedAxes:
    """Find the axes of a matrix's output from its singular directions, and the covariance M of the output along these."""
    M = covariance.double()
    shares, Q = torch.linalg.eigh((M + M.mT) / 2)
    shares, Q = shares.flip(0).clamp(min=0), Q.flip(1)
    total = shares.sum()
    read = (singular.strength.double()[:, None] * Q).mT @ singular.left.double()
    strength = read.norm(dim=1)
    terms = Decomposition(
        (read / strength[:, None]).to(singular.left),
        strength.to(singular.strength),
        (Q.mT @ singular.right.double()).to(singular.right),
        (shares / total if total else shares).to(singular.strength),
    )
    return UsedAxes(fix_signs(terms), Q.mT.abs())
