"""Directions of a matrix's samples about their mean, by principal component analysis.

The singular directions of the samples less their mean, which is shown apart and is no term; ordered by variance. Knows
nothing of models or tokens.
"""

from app.core.basis import Fitting, Parameters
from app.core.decomposition import canonical_signs, oriented
from app.core.gram import mean_of, principal
from app.core.matrix import Matrix


def decompose(matrix: Matrix, parameters: Parameters) -> Fitting:
    """The principal components; merit: the samples' variance along each, `strength^2 / n_samples`."""
    del parameters  # it has none
    samples = matrix.samples()
    mean = mean_of(samples)
    found = yield from principal(samples, mean)
    variance = (found.strength.square() / len(samples)).float()
    terms = oriented(matrix, found.of_samples, found.strength.float(), found.of_stream, variance, mean.float())
    return canonical_signs(terms)
