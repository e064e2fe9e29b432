"""The matrices of a dense MLP, from its tensors, with the biases that belong to no direction.

W_in and W_gate read the residual stream, one neuron a column; W_out writes to it, one neuron a row. The activation
between them acts on each neuron by itself and is no matrix. Knows nothing of layers, files or processing: an MLP's
tensors are used as they come.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from app.core.matrix import NEURON, READ, WRITE, Matrix
from app.core.noise import Noise, noise_of_factors


@dataclass(frozen=True)
class Mlp:
    """One MLP's tensors under TransformerLens names, float32; biases that it lacks are zeros."""

    W_in: Float[Tensor, "d_model d_mlp"]
    W_gate: Float[Tensor, "d_model d_mlp"] | None
    """None where the MLP is not gated."""
    W_out: Float[Tensor, "d_mlp d_model"]
    b_in: Float[Tensor, " d_mlp"]
    b_gate: Float[Tensor, " d_mlp"] | None
    """None where the MLP is not gated."""
    b_out: Float[Tensor, " d_model"]
    noise: Mapping[str, Noise] = field(default_factory=dict)
    """Noise of each weight, by its name; weights whose noise is unknown are left out."""


def mlp_in(mlp: Mlp) -> Matrix:
    """Build the matrix `W_in`, which reads the stream and leads to neurons."""
    return Matrix((mlp.W_in,), READ, NEURON, noise_of_factors(mlp.noise.get("W_in")))


def mlp_gate(mlp: Mlp) -> Matrix:
    """Build the matrix `W_gate`, which reads the stream and leads to the neurons' gates; ValueError without a gate."""
    if mlp.W_gate is None:
        raise ValueError("this MLP has no gate")
    return Matrix((mlp.W_gate,), READ, NEURON, noise_of_factors(mlp.noise.get("W_gate")))


def mlp_out(mlp: Mlp) -> Matrix:
    """Build the matrix `W_out`, which leads from neurons and writes to the stream."""
    return Matrix((mlp.W_out,), NEURON, WRITE, noise_of_factors(mlp.noise.get("W_out")))


MLP_MATRICES: dict[str, Callable[[Mlp], Matrix]] = {"mlp-in": mlp_in, "mlp-gate": mlp_gate, "mlp-out": mlp_out}
MLP_BIASES: dict[str, str] = {"mlp-in": "b_in", "mlp-gate": "b_gate", "mlp-out": "b_out"}
"""The bias added to each matrix's output: to the neurons for those that read the stream, else to the stream."""
