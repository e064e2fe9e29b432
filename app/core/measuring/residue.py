"""What a decomposition leaves out of its matrix: the relative error of its terms, block by block of samples.

Knows nothing of bases.
"""

from app.core.blocks import sample_blocks
from app.core.decomposition import Decomposition, of_samples, of_stream
from app.core.matrix import Matrix
from app.core.steps import Steps


def relative_error(matrix: Matrix, terms: Decomposition) -> Steps[float]:
    """`||M - terms - mean|| / ||M||` in Frobenius norms; 0 for a matrix of zeros. Says (done, total) between its steps."""
    codes = of_samples(matrix, terms)
    scaled = of_stream(matrix, terms) * terms.strength[:, None]
    left = size = 0.0
    for own, block in sample_blocks(matrix):
        yield own.start, codes.shape[1]
        size += float(block.square().sum())
        # float32 products, of which the differences are larger than the rounding wherever they count.
        rest = block - (codes[:, own].T @ scaled).double()
        left += float((rest if terms.mean is None else rest - terms.mean.double()).square().sum())
    return (left / size) ** 0.5 if size > 0 else 0.0
