"""What the tests of every fitted basis ask of it: to fit, from samples that may be rows or columns."""

from typing import NamedTuple

import torch
from torch import Tensor

from app.core.basis import BASES
from app.core.decomposition import Decomposition, approximated
from app.core.matrix import NEURON, READ, TOKEN, WRITE, Matrix


class Fitted(NamedTuple):
    """The terms, and what was said between the steps."""

    terms: Decomposition
    steps: list[tuple[int, int]]


def matrix_of(samples: Tensor, upright: bool = True) -> Matrix:
    """With these samples as rows, or as columns."""
    return Matrix((samples,), TOKEN, WRITE) if upright else Matrix((samples.T,), READ, NEURON)


def fit(basis: str, samples: Tensor, upright: bool = True, **parameters: int) -> Fitted:
    """To its end."""
    fitting, steps = BASES[basis].decompose(matrix_of(samples, upright), {"seed": 0, **parameters}), []
    while True:
        try:
            steps.append(next(fitting))
        except StopIteration as end:
            return Fitted(end.value, steps)


def error(samples: Tensor, terms: Decomposition) -> float:
    """What the terms miss of the samples, as a share of them."""
    missed = samples.double() - approximated(matrix_of(samples), terms)
    return float(missed.norm() / samples.double().norm())


def share_found(planted: Tensor, found: Tensor, cosine: float = 0.95) -> float:
    """Of the planted directions: those that one of the found ones comes so near, whatever its sign."""
    unit = planted / planted.norm(dim=1, keepdim=True)
    return float(((unit.float() @ found.T).abs().amax(dim=1) > cosine).double().mean())


def same(one: Decomposition, other: Decomposition) -> bool:
    """To the last bit."""
    return all(torch.equal(getattr(one, side), getattr(other, side)) for side in ("left", "strength", "right"))
