"""A weight matrix as the product of its factors, with the spaces of its two sides.

The convention, stated once: row vectors, `y = x @ M`, as in TransformerLens. Elhage et al. (2021) write column vectors,
which swaps left and right; that is why sides are named read and write, query and key. Knows nothing of how a matrix is
decomposed.
"""

from dataclasses import dataclass
from enum import Enum
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor

from app.core.noise import Noise
from app.core.policy import send_to, takes_gpu_way


class Space(Enum):
    """Where a side's vectors live, which decides how they can be read."""

    RESIDUAL = "residual"
    """The residual stream: vectors are read out as tokens."""
    VOCABULARY = "vocabulary"
    """One coordinate for each token."""
    NEURON = "neuron"
    """One coordinate for each neuron of the MLP."""
    POSITION = "position"
    """One coordinate for each position."""
    HEADS = "heads"
    """One coordinate for each ray of every head's OV."""


@dataclass(frozen=True)
class Side:
    """One end of a matrix."""

    name: str
    """read, write, query, key, token, neuron, position or head."""
    space: Space


READ = Side("read", Space.RESIDUAL)
WRITE = Side("write", Space.RESIDUAL)
QUERY = Side("query", Space.RESIDUAL)
KEY = Side("key", Space.RESIDUAL)
TOKEN = Side("token", Space.VOCABULARY)
NEURON = Side("neuron", Space.NEURON)
POSITION = Side("position", Space.POSITION)
HEAD = Side("head", Space.HEADS)


@dataclass(frozen=True)
class Matrix:
    """The product of `factors`, never formed: [d_left rank] [rank d_right] for a circuit of a head, else one factor.

    One side at least is the residual stream. What stands on the other (tokens, neurons, positions, heads' vectors) are
    its samples: points in the stream. A circuit's samples are its rows.
    """

    factors: tuple[Float[Tensor, "_ _"], ...]
    left: Side
    """The side that x enters."""
    right: Side
    """The side that y leaves."""
    noise: tuple[Noise, ...] | None = None
    """Errors of each factor's numbers; None where only their stored dtype is known."""

    @property
    def is_upright(self) -> bool:
        """True if the samples are rows; in W_in and W_U they are columns."""
        return self.right.space is Space.RESIDUAL

    def samples(self) -> Float[Tensor, "n_samples d_model"]:
        """Return the samples as rows: a single factor as it is stored, a circuit's product formed."""
        product = reduce(torch.matmul, self.factors)
        return product if self.is_upright else product.T

    def to(self, device: str) -> "Matrix":
        """Return the matrix with its factors on a device, without waiting for a GPU to receive them."""
        if not takes_gpu_way(device):
            return self
        noise = None if self.noise is None else tuple(errors.to(device) for errors in self.noise)
        return Matrix(tuple(send_to(factor, device) for factor in self.factors), self.left, self.right, noise)

    def dense(self) -> Float[Tensor, "d_left d_right"]:
        """Multiply the factors in float64: for tests and small matrices."""
        return reduce(torch.matmul, [factor.double() for factor in self.factors])
