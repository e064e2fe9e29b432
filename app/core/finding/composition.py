"""Composition scores: how strongly one head reads what another writes, from their weights alone.

For a writer's OV and a reader's matrix M, which the stream enters (`y = x @ M`: QK for queries, QK transposed for keys,
OV for values), `CS = sqrt(d) ||OV M|| / (||OV|| ||M||)` in Frobenius norms. A randomly rotated writer has `E[CS^2] =
1`, whatever both spectra are (Elhage et al. 2021 subtract that: the plain ratio less `1 / sqrt(d)`).

No product [d d] is formed: a matrix is reduced to a small factor [h d] of the same Gram matrix on the side that meets
the other. Knows nothing of layers, files or thresholds.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from app.core.finding.shared import shared_squares
from app.core.steps import Steps


def right_gram_factor(
    left: Float[Tensor, "heads d_left h"], right: Float[Tensor, "heads h d"]
) -> Float[Tensor, "heads h d"]:
    """Compute rows `F` with `F^T F = M^T M` for each `M = left @ right`: any product `M N` has the norm of `F N`."""
    triangle: Tensor = torch.linalg.qr(left, mode="r").R
    return triangle @ right


def normalise_factors(factors: Float[Tensor, "heads h d"]) -> Float[Tensor, "heads h d"]:
    """Normalise each head's factor to Frobenius norm 1; one that is zero stays zero."""
    norms: Tensor = torch.linalg.matrix_norm(factors, keepdim=True)
    return factors / norms.clamp_min(torch.finfo(factors.dtype).tiny)


def composition_scores(writers: Float[Tensor, "n h d"], readers: Float[Tensor, "m k d"]) -> Steps[Float[Tensor, "n m"]]:
    """Compute CS of every writer with every reader.

    `writers`: `right_gram_factor` of each OV; `readers`: that of each M transposed; both at unit norm.
    """
    squares = yield from shared_squares(writers, readers)
    return squares.sqrt_().mul_(math.sqrt(writers.shape[2]))
