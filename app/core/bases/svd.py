"""Directions of a matrix by singular value decomposition.

`M = U diag(s) V^T` through the factors `M = A B`: QR of A and of B^T, SVD of the small middle, all in float64. Never
forms M. Knows nothing of models or tokens.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from app.core.decomposition import Decomposition, canonical_signs
from app.core.matrix import Matrix


def decompose(matrix: Matrix) -> Decomposition:
    """The singular directions in order of falling strength, without those that rounding alone could have made."""
    A, B = (factor.double() for factor in matrix.factors)
    Q_left, R_left = torch.linalg.qr(A)
    Q_right, R_right = torch.linalg.qr(B.T)
    U, strength, Vh = torch.linalg.svd(R_left @ R_right.T, full_matrices=False)
    rank = _rank(strength, max(A.shape[0], B.shape[1]))
    left, right = (Q_left @ U[:, :rank]).T, Vh[:rank] @ Q_right.T
    return canonical_signs(
        Decomposition(left.float().contiguous(), strength[:rank].float(), right.float().contiguous())
    )


def _rank(strength: Float[Tensor, " rank"], d: int) -> int:
    """How many directions are no mere rounding: `s_i >= s_0 d eps` of float32, and no less than float32 can hold."""
    limits = torch.finfo(torch.float32)
    return int(((strength >= strength[:1] * d * limits.eps) & (strength >= limits.tiny)).sum())
