"""Scores of a whole matrix from its singular values: its strength, its effective rank, whether it copies.

No score needs a readout, so the map of a model is cheap. Copying: Elhage et al. 2021. Knows nothing of tokens or
models.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from app.core.matrix import Matrix

CHUNK = 4096  # tokens multiplied in float32 before the sum goes on in float64

Strength = Float[Tensor, " rank"]


def energy_shares(strength: Strength) -> Float64[Tensor, " rank"]:
    """Compute `s_i^2 / sum s^2`."""
    energy = strength.double().square()
    total = energy.sum()
    return energy / total if total > 0 else energy


def largest_strength(strength: Strength) -> float:
    """Return the largest singular value."""
    return float(strength[0]) if len(strength) else 0.0


def first_share(strength: Strength) -> float:
    """Compute the first direction's share of the energy."""
    return float(energy_shares(strength)[:1].sum())


def stable_rank(strength: Strength) -> float:
    """Compute `sum s^2 / s_0^2`."""
    return _inverse(first_share(strength))


def participation(strength: Strength) -> float:
    """Compute the participation ratio `(sum s^2)^2 / sum s^4`."""
    return _inverse(float(energy_shares(strength).square().sum()))


def entropy_rank(strength: Strength) -> float:
    """Compute `exp H(s^2 / sum s^2)`."""
    shares = energy_shares(strength)
    return float(torch.special.entr(shares).sum().exp()) if shares.any() else 0.0


SCORES: dict[str, Callable[[Strength], float]] = {
    "top": largest_strength,
    "first-share": first_share,
    "stable-rank": stable_rank,
    "participation": participation,
    "entropy-rank": entropy_rank,
}


def stream_gram(
    read_vectors: Float[Tensor, "d_vocab d_model"], write_vectors: Float[Tensor, "d_vocab d_model"]
) -> Float64[Tensor, "d_model d_model"]:
    """Compute `W_U W_E`, which every copying score of a model needs."""
    d_model = read_vectors.shape[1]
    gram = read_vectors.new_zeros(d_model, d_model, dtype=torch.float64)
    for read, write in zip(torch.split(read_vectors, CHUNK), torch.split(write_vectors, CHUNK), strict=True):
        gram += write.T @ read
    return gram


def copying_score(ov: Matrix, gram: Float64[Tensor, "d_model d_model"]) -> float:
    """Compute `sum l / sum |l|` over eigenvalues l of `W_E W_V W_O W_U`: +1 copies what it reads, -1 suppresses it."""
    W_V, W_O = (factor.double() for factor in ov.factors)
    eigenvalues = torch.linalg.eigvals(W_O @ gram @ W_V)
    size = eigenvalues.abs().sum()
    return float(eigenvalues.real.sum() / size) if size > 0 else 0.0


def _inverse(share: float) -> float:
    """Compute how many equal shares make a whole; 0 for a matrix of zeros."""
    return 1 / share if share else 0.0
