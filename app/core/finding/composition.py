"""How strongly one head reads what another writes, from their weights alone: composition scores.

For a writer's OV and a reader's matrix M, which the stream enters (`y = x @ M`: QK for queries, QK transposed for keys, OV
for values), `CS = sqrt(d) ||OV M|| / (||OV|| ||M||)` in Frobenius norms. A writer that were turned at random has
`E[CS^2] = 1`, whatever both spectra are (Elhage et al. 2021 subtract that: the plain ratio less `1 / sqrt(d)`).

No product [d d] is formed: a matrix is brought to a small factor [h d] of the same Gram matrix on the side that meets the
other. Knows nothing of layers, files or thresholds.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from app.core.finding.shared import shared_squares
from app.core.steps import Steps


def seen_from_right(
    left: Float[Tensor, "heads d_left h"], right: Float[Tensor, "heads h d"]
) -> Float[Tensor, "heads h d"]:
    """Rows `F` with `F^T F = M^T M` for each `M = left @ right`: all that what comes behind M has to do with."""
    triangle: Tensor = torch.linalg.qr(left, mode="r").R
    return triangle @ right


def at_unit_norm(factors: Float[Tensor, "heads h d"]) -> Float[Tensor, "heads h d"]:
    """Each head's factor with Frobenius norm 1; one that is zero stays zero."""
    norms: Tensor = torch.linalg.matrix_norm(factors, keepdim=True)
    return factors / norms.clamp_min(torch.finfo(factors.dtype).tiny)


def composition(writers: Float[Tensor, "n h d"], readers: Float[Tensor, "m k d"]) -> Steps[Float[Tensor, "n m"]]:
    """CS of every writer with every reader.

    `writers`: rows seen from the right of each OV; `readers`: the same of each M transposed; both at unit norm.
    """
    squares = yield from shared_squares(writers, readers)
    return squares.sqrt_().mul_(math.sqrt(writers.shape[2]))
