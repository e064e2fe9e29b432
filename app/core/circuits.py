"""The two matrices of an attention head, from its tensors, with the biases that belong to no direction.

OV: what the head writes, given what it reads at the source. QK: a bilinear form, destination (query) against source
(key); it writes nothing. Knows nothing of layers, files or processing: a head's tensors are used as they come.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from app.core.matrix import KEY, QUERY, READ, WRITE, Matrix
from app.core.noise import Noise, noise_of_factors


@dataclass(frozen=True)
class Head:
    """One head's tensors under TransformerLens names, float32."""

    W_Q: Float[Tensor, "d_model d_head"]
    W_K: Float[Tensor, "d_model d_head"]
    W_V: Float[Tensor, "d_model d_head"]
    W_O: Float[Tensor, "d_head d_model"]
    b_Q: Float[Tensor, " d_head"]
    b_K: Float[Tensor, " d_head"]
    b_V: Float[Tensor, " d_head"]
    b_O: Float[Tensor, " d_model"]
    """The whole layer's bias: its heads share one."""
    noise: Mapping[str, Noise] = field(default_factory=dict)
    """Noise of each weight, by its name; weights whose noise is unknown are left out."""


def ov(head: Head) -> Matrix:
    """Build the OV matrix `W_V W_O`: it reads at the source and writes to the destination."""
    return Matrix((head.W_V, head.W_O), READ, WRITE, noise_of_factors(head.noise.get("W_V"), head.noise.get("W_O")))


def qk(head: Head) -> Matrix:
    """Build the QK matrix `W_Q W_K^T`: the query reads on the left, the key on the right."""
    of_keys = head.noise.get("W_K")
    noise = noise_of_factors(head.noise.get("W_Q"), of_keys and of_keys.transposed)
    return Matrix((head.W_Q, head.W_K.T), QUERY, KEY, noise)


CIRCUITS: dict[str, Callable[[Head], Matrix]] = {"ov": ov, "qk": qk}


def ov_constant(head: Head) -> Float[Tensor, " d_model"]:
    """Compute `b_V W_O + b_O`, which is written whatever the head reads, since attention sums to one."""
    return head.b_V @ head.W_O + head.b_O


def key_bias(head: Head) -> Float[Tensor, " d_model"]:
    """Compute `b_Q W_K^T`, which is read at the key whatever the query."""
    return head.b_Q @ head.W_K.T
