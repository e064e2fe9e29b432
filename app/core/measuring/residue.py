"""The relative error of a decomposition's terms, block by block of samples.

Knows nothing of bases.
"""

from app.core.blocks import sample_blocks
from app.core.decomposition import Decomposition, sample_side_of, stream_side_of
from app.core.matrix import Matrix
from app.core.steps import Steps


def relative_error(matrix: Matrix, terms: Decomposition) -> Steps[float]:
    """Compute `||M - terms - mean|| / ||M||` in Frobenius norms; 0 for a zero matrix. Yields (done, total)."""
    codes = sample_side_of(matrix, terms)
    scaled = stream_side_of(matrix, terms) * terms.strength[:, None]
    left = size = 0.0
    for own, block in sample_blocks(matrix):
        yield own.start, codes.shape[1]
        size += float(block.square().sum())
        # float32 is exact enough: wherever differences count, they are larger than its rounding.
        rest = block - (codes[:, own].T @ scaled).double()
        left += float((rest if terms.mean is None else rest - terms.mean.double()).square().sum())
    return (left / size) ** 0.5 if size > 0 else 0.0
