"""Directions of a matrix by singular value decomposition.

`M = U diag(s) V^T` through the factors `M = A B`: QR of A and of B^T, SVD of the small middle, all in float64; matrices
of one shape are taken together. Never forms M. Knows nothing of models or tokens.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from app.core.decomposition import Decomposition, canonical_signs
from app.core.matrix import Matrix


def decompose_all(matrices: Sequence[Matrix]) -> list[Decomposition]:
    """Each one's singular directions by falling strength, without those that rounding alone could have made.

    ValueError unless their factors have one shape.
    """
    shapes = {tuple(factor.shape for factor in matrix.factors) for matrix in matrices}
    if len(shapes) != 1:
        raise ValueError(f"matrices that are taken together must have one shape, got {len(shapes)} shapes")
    A, B = (
        torch.stack([factor.double() for factor in factors])
        for factors in zip(*(m.factors for m in matrices), strict=True)
    )
    Q_left, R_left = torch.linalg.qr(A)
    Q_right, R_right = torch.linalg.qr(B.mT)
    middle = R_left @ R_right.mT
    U, strength, Vh = by_gram(middle) if middle.is_cuda else torch.linalg.svd(middle, full_matrices=False)
    d = max(A.shape[1], B.shape[2])
    ranks = _ranks(strength, d).tolist()
    left, right = (Q_left @ U).mT.float(), (Vh @ Q_right.mT).float()
    found = zip(left, strength.float(), right, ranks, strict=True)
    return [
        canonical_signs(Decomposition(u[:rank].contiguous(), s[:rank], v[:rank].contiguous()))
        for u, s, v, rank in found
    ]


def by_gram(
    middle: Float64[Tensor, "n rows columns"],
) -> tuple[Float64[Tensor, "n rows h"], Float64[Tensor, "n h"], Float64[Tensor, "n h columns"]]:
    """SVDs by the eigenvectors of `middle middle^T`, which a GPU finds together; its SVDs it finds one by one.

    Squaring costs digits: a direction of strength s has them all but `2 log10(s_0 / s)`, of float64's sixteen.
    """
    tall = middle.shape[1] > middle.shape[2]
    wide = middle.mT if tall else middle
    squares, U = torch.linalg.eigh(wide @ wide.mT)
    strength, U = squares.flip(-1).clamp(min=0).sqrt(), U.flip(-1)
    Vh = U.mT @ wide / strength.clamp(min=torch.finfo(torch.float64).tiny)[:, :, None]
    return (Vh.mT, strength, U.mT) if tall else (U, strength, Vh)


def _ranks(strength: Float64[Tensor, "n h"], d: int) -> Int64[Tensor, " n"]:
    """How many directions are no mere rounding: `s_i >= s_0 d eps` of float32, and no less than float32 can hold."""
    limits = torch.finfo(torch.float32)
    return ((strength >= strength[:, :1] * d * limits.eps) & (strength >= limits.tiny)).sum(dim=1)
