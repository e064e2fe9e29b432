"""SVD basis: directions of a matrix by singular value decomposition.

`M = U diag(s) V^T`. A circuit's through its factors `M = A B`: QR of A and of B^T, SVD of the small middle, all in
float64; matrices of one shape are decomposed together, and M is never formed. One factor's through the Gram matrix of
its samples. Knows nothing of models or tokens.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from app.core.basis import Fitting, Parameters
from app.core.decomposition import Decomposition, fix_signs, is_present, orient_terms
from app.core.gram import principal_directions
from app.core.matrix import Matrix
from app.core.policy import takes_gpu_way


def decompose(matrix: Matrix, parameters: Parameters) -> Fitting:
    """Compute the singular directions of one matrix."""
    del parameters  # it has none
    if len(matrix.factors) > 1:
        (terms,) = decompose_all([matrix])
        return terms
    found = yield from principal_directions(matrix.samples())
    return fix_signs(orient_terms(matrix, found.of_samples, found.strength.float(), found.of_stream))


def decompose_all(matrices: Sequence[Matrix]) -> list[Decomposition]:
    """Compute each matrix's singular directions by falling strength, those that exceed rounding.

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
    U, strength, Vh = svd_by_gram(middle) if takes_gpu_way(middle) else torch.linalg.svd(middle, full_matrices=False)
    d = max(A.shape[1], B.shape[2])
    ranks = is_present(strength, d).sum(dim=1).tolist()
    left, right = (Q_left @ U).mT.float(), (Vh @ Q_right.mT).float()
    found = zip(left, strength.float(), right, ranks, strict=True)
    return [fix_signs(Decomposition(u[:rank].contiguous(), s[:rank], v[:rank].contiguous())) for u, s, v, rank in found]


def svd_by_gram(
    middle: Float64[Tensor, "n rows columns"],
) -> tuple[Float64[Tensor, "n rows h"], Float64[Tensor, "n h"], Float64[Tensor, "n h columns"]]:
    """Compute SVDs by eigenvectors of `middle middle^T`, which a GPU finds together; its SVDs it finds one by one.

    Squaring costs digits: a direction of strength s has all but `2 log10(s_0 / s)` of float64's sixteen.
    """
    tall = middle.shape[1] > middle.shape[2]
    wide = middle.mT if tall else middle
    squares, U = torch.linalg.eigh(wide @ wide.mT)
    strength, U = squares.flip(-1).clamp(min=0).sqrt(), U.flip(-1)
    Vh = U.mT @ wide / strength.clamp(min=torch.finfo(torch.float64).tiny)[:, :, None]
    return (Vh.mT, strength, U.mT) if tall else (U, strength, Vh)
