"""Helpers of the tests of fitted bases: a fit to samples that are rows or columns, and its error."""

from typing import NamedTuple

import torch
from torch import Tensor

from app.core.basis import BASES
from app.core.decomposition import Decomposition, approximate_matrix
from app.core.matrix import NEURON, READ, TOKEN, WRITE, Matrix


class Fitted(NamedTuple):
    """The terms of a fit, and the progress of its steps."""

    terms: Decomposition
    steps: list[tuple[int, int]]


def matrix_of(samples: Tensor, upright: bool = True) -> Matrix:
    """Make a matrix with these samples as rows, or as columns."""
    return Matrix((samples,), TOKEN, WRITE) if upright else Matrix((samples.T,), READ, NEURON)


def fit(basis: str, samples: Tensor, upright: bool = True, **parameters: int) -> Fitted:
    """Fit a basis to samples, run to its end."""
    fitting, steps = BASES[basis].decompose(matrix_of(samples, upright), {"seed": 0, **parameters}), []
    while True:
        try:
            steps.append(next(fitting))
        except StopIteration as end:
            return Fitted(end.value, steps)


def error_of(samples: Tensor, terms: Decomposition) -> float:
    """Compute the norm of the residual, as a share of the samples' norm."""
    missed = samples.double() - approximate_matrix(matrix_of(samples), terms)
    return float(missed.norm() / samples.double().norm())


def find_share(planted: Tensor, found: Tensor, cosine: float = 0.95) -> float:
    """Compute the share of planted directions within that cosine of a found one, up to sign."""
    unit = planted / planted.norm(dim=1, keepdim=True)
    return float(((unit.float() @ found.T).abs().amax(dim=1) > cosine).double().mean())


def are_same(one: Decomposition, other: Decomposition) -> bool:
    """Return whether two fits are the same to the last bit."""
    return all(torch.equal(getattr(one, side), getattr(other, side)) for side in ("left", "strength", "right"))
