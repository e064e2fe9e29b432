"""PCA basis: directions of a matrix's samples about their mean, by principal component analysis.

The singular directions of the samples less their mean, which is shown by itself and is no term; ordered by variance.
Knows nothing of models or tokens.
"""

from app.core.basis import Fitting, Parameters
from app.core.decomposition import fix_signs, orient_terms
from app.core.gram import mean_of, principal_directions
from app.core.matrix import Matrix


def decompose(matrix: Matrix, parameters: Parameters) -> Fitting:
    """Compute the principal components; merit: the samples' variance along each, `strength^2 / n_samples`."""
    del parameters  # it has none
    samples = matrix.samples()
    mean = mean_of(samples)
    found = yield from principal_directions(samples, mean)
    variance = (found.strength.square() / len(samples)).float()
    terms = orient_terms(matrix, found.of_samples, found.strength.float(), found.of_stream, variance, mean.float())
    return fix_signs(terms)
