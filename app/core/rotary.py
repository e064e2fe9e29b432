"""Rotary positions: the rotation of a query against a key some positions before it.

A rotary model scores `(q R_i) (k R_j)^T = q R_(i-j) k^T`: the distance rotates pairs of a head's coordinates, each pair
by its own frequency. Knows nothing of layers, files or families. Runs in float64 inside.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from app.core.circuits import Head

Pairing = Literal["halves", "neighbours"]
"""Which coordinates rotate together: i with i + n/2 (Llama, GPT-NeoX), or 2i with 2i + 1 (GPT-J, Cohere)."""


@dataclass(frozen=True)
class Rotary:
    """How a layer's queries and keys are rotated (Su et al. 2021); coordinates after the first 2 n stay as they are."""

    frequencies: Float[Tensor, " n"]
    """Radians per position, one a pair."""
    pairing: Pairing
    scale: float = 1.0
    """Factor of the rotated coordinates of queries and of keys (YaRN's attention factor)."""
    long: Float[Tensor, " n"] | None = None
    """The frequencies in texts of more than `original` tokens, at all their positions (LongRoPE); None: the same."""
    original: int = 0
    """Tokens of the longest text that `frequencies` are for; 0 if they are for all lengths."""

    def frequencies_of(self, n_tokens: int) -> Float[Tensor, " n"]:
        """Return the radians per position in a text of so many tokens."""
        return self.frequencies if self.long is None or n_tokens <= self.original else self.long


def rotation_matrix(
    rotary: Rotary, distance: int, d_head: int, n_tokens: int | None = None
) -> Float[Tensor, "d_head d_head"]:
    """Compute `R_D` in float64, for row vectors: `q R_D k^T` scores a key `distance` positions before the query.

    For a text of `n_tokens` (None: the shortest that has that distance). Orthogonal but for the scale, which enters
    twice: once for the query and once for the key.
    """
    n = len(rotary.frequencies)
    angles = rotary.frequencies_of(n_tokens or abs(distance) + 1).double() * distance
    first, second = pair_coordinates(n, rotary.pairing)
    R = torch.eye(d_head, dtype=torch.float64, device=angles.device)
    R[first, first] = R[second, second] = rotary.scale**2 * angles.cos()
    R[first, second] = rotary.scale**2 * angles.sin()
    R[second, first] = -R[first, second]
    return R


def rotate_head(head: Head, rotary: Rotary, distance: int) -> Head:
    """Rotate a head's queries for keys `distance` positions before them: `W_Q R_D`, `b_Q R_D`."""
    R = rotation_matrix(rotary, distance, head.W_Q.shape[1])
    noise = {name: errors.multiply(R) if name == "W_Q" else errors for name, errors in head.noise.items()}
    return replace(head, W_Q=(head.W_Q.double() @ R).float(), b_Q=(head.b_Q.double() @ R).float(), noise=noise)


def turn_keys(
    keys: Float[Tensor, "n d_head"], rotary: Rotary, distances: Int[Tensor, " n"], n_tokens: int
) -> Float64[Tensor, "n d_head"]:
    """Compute `R_D k^T` of each key at its own distance, in a text of `n_tokens`: the query is then taken as it is."""
    keys = keys.double()
    first, second = pair_coordinates(len(rotary.frequencies), rotary.pairing)
    angles = distances.double()[:, None] * rotary.frequencies_of(n_tokens).double()
    cos, sin = rotary.scale**2 * angles.cos(), rotary.scale**2 * angles.sin()
    turned = keys.clone()
    turned[:, first] = cos * keys[:, first] + sin * keys[:, second]
    turned[:, second] = cos * keys[:, second] - sin * keys[:, first]
    return turned


def pair_coordinates(n: int, pairing: Pairing) -> tuple[Tensor, Tensor]:
    """Return the coordinates that rotate together, first and second of each pair."""
    i = torch.arange(n)
    return (i, i + n) if pairing == "halves" else (2 * i, 2 * i + 1)
