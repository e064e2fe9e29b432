"""Sparse codes of vectors over given atoms, by orthogonal matching pursuit (Pati, Rezaiifar & Krishnaprasad 1993).

1. The atom is taken that correlates most with the residual of the sample.
2. The sample is projected on all atoms taken so far (least squares), which leaves a new residual.
3. Both are repeated until k atoms are taken or no atom correlates with the residual.

The residual is never formed: its correlations follow from the atoms' Gram matrix (Rubinstein, Zibulevsky & Elad 2008).
All in float64, so that the choice of atoms does not depend on a machine's order of additions. Knows nothing of where
atoms come from, and no better codes than greedy ones: the best k of m atoms are hard to find.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor
from torch.nn.functional import embedding_bag

GRAM_ATOMS = 8_192
"""Atoms up to which their Gram matrix is formed, half a gigabyte; more are multiplied with the residual instead."""
SCORES = {"cpu": 2**20, "cuda": 2**26}
"""Numbers held at a time: a CPU's fit in its cache."""
REACHED = 1e-7
"""Correlation, relative to a sample's length, below which the residual is float32 rounding."""
DEPENDENT = 1e-8
"""Squared length of a unit atom outside the others' span: with less it is one of them, or a sum of them."""


@dataclass(frozen=True)
class Encoder:
    """Atoms, prepared once for many samples."""

    atoms: Float64[Tensor, "m d"]
    squares: Float64[Tensor, " m"]
    """Their squared lengths: one, but for float32."""
    gram: Float64[Tensor, "m m"] | None
    """Their Gram matrix; None: too large."""

    def batch_size(self, nonzeros: int) -> int:
        """Return how many samples are best encoded at a time."""
        m, d = self.atoms.shape
        return max(64, SCORES[self.atoms.device.type] // max(m, d, nonzeros * nonzeros))


class Codes(NamedTuple):
    """Atoms and coefficients of each sample, in the order in which they were taken."""

    indices: Int64[Tensor, "n k"]
    """Atoms, none twice in a row; an atom whose value is zero is not used."""
    values: Float64[Tensor, "n k"]
    gains: Float64[Tensor, "n k"]
    """Decrease of the squared error by each atom when it was taken."""


def encoder(atoms: Float[Tensor, "m d"]) -> Encoder:
    """Prepare atoms, unit rows, for encoding."""
    exact = atoms.double()
    gram = exact @ exact.T if len(exact) <= GRAM_ATOMS else None
    return Encoder(exact, exact.square().sum(dim=1), gram)


def encode(encoder: Encoder, samples: Float[Tensor, "n d"], nonzeros: int) -> Codes:
    """Encode the samples, all at once; k is no larger than the number of atoms."""
    exact, n = samples.double(), len(samples)
    k = min(nonzeros, len(encoder.atoms))
    whole = exact @ encoder.atoms.T
    least = REACHED * exact.square().sum(dim=1).sqrt()
    indices = torch.zeros(n, k, dtype=torch.int64, device=samples.device)
    values, gains = exact.new_zeros(n, k), exact.new_zeros(n, k)
    # Row j: coefficients of the j-th orthonormal vector (Gram-Schmidt) over the atoms taken.
    sums = exact.new_zeros(n, k, k)
    for step in range(k):
        taken = indices[:, :step]
        left = _correlations(encoder, exact, whole, taken, values[:, :step])
        index = left.abs().scatter_(1, taken, -1.0).argmax(dim=1, keepdim=True)
        correlation = left.gather(1, index)[:, 0]
        shared = (sums[:, :step, :step] @ _products(encoder, taken, index)[:, :, None])[:, :, 0]
        own = encoder.squares[index[:, 0]] - shared.square().sum(dim=1)
        reached = (own > DEPENDENT) & (correlation.abs() > least)
        scale = torch.where(reached, own.clamp(min=DEPENDENT).rsqrt(), 0.0)
        sums[:, step, :step] = -(shared[:, None] @ sums[:, :step, :step])[:, 0] * scale[:, None]
        sums[:, step, step] = scale
        values += (correlation * scale)[:, None] * sums[:, step]
        gains[:, step] = (correlation * scale).square()
        indices[:, step] = index[:, 0]
    return Codes(indices, values, gains)


def sparse_codes(
    samples: Float[Tensor, "n d"], atoms: Float[Tensor, "m d"], nonzeros: int
) -> tuple[Int64[Tensor, "n k"], Float32[Tensor, "n k"]]:
    """Compute atoms (unit rows) and coefficients of each sample; k is no larger than m, a zero means no atom."""
    codes = [(found.indices, found.values.float()) for found in _encode_parts(samples, atoms, nonzeros)]
    indices, values = zip(*codes, strict=True)
    return torch.cat(indices), torch.cat(values)


def squared_errors(
    samples: Float[Tensor, "n d"], atoms: Float[Tensor, "m d"], most: int
) -> Float64[Tensor, "n {most}+1"]:
    """Compute each sample's squared error with at most 0, 1 … `most` unit atoms; never more with more."""
    return torch.cat([*squared_errors_by_part(samples, atoms, most)])


def squared_errors_by_part(
    samples: Float[Tensor, "n d"], atoms: Float[Tensor, "m d"], most: int
) -> Iterator[Float64[Tensor, "part {most}+1"]]:
    """Yield the squared errors of as many samples at a time as memory has room for."""
    prepared = encoder(atoms)
    for part in torch.split(samples, prepared.batch_size(most)):
        squares = part.double().square().sum(dim=1, keepdim=True)
        gains = encode(prepared, part, most).gains
        left = squares - torch.nn.functional.pad(gains, (1, most - gains.shape[1])).cumsum(dim=1)
        yield left.clamp_(min=0)


def relative_errors(left: Float64[Tensor, "n steps"]) -> Float64[Tensor, " steps-1"]:
    """Compute `||X - C D|| / ||X||` from the squared errors of all samples; zeros where they are all zero."""
    total = left.sum(dim=0)
    return (total[1:] / total[0].clamp(min=torch.finfo(total.dtype).tiny)).sqrt()


def coding_errors(samples: Float[Tensor, "n d"], atoms: Float[Tensor, "m d"], most: int) -> Float64[Tensor, " {most}"]:
    """Compute the relative errors of samples coded with at most 1 … `most` of the unit atoms."""
    return relative_errors(squared_errors(samples, atoms, most))


def _encode_parts(samples: Float[Tensor, "n d"], atoms: Float[Tensor, "m d"], nonzeros: int) -> Iterator[Codes]:
    """Encode all samples, as many at a time as memory has room for."""
    prepared = encoder(atoms)
    return (encode(prepared, part, nonzeros) for part in torch.split(samples, prepared.batch_size(nonzeros)))


def _correlations(
    encoder: Encoder,
    samples: Float64[Tensor, "n d"],
    whole: Float64[Tensor, "n m"],
    taken: Int64[Tensor, "n step"],
    values: Float64[Tensor, "n step"],
) -> Float64[Tensor, "n m"]:
    """Correlate the residuals with every atom; `whole`: the samples' own correlations."""
    if taken.shape[1] == 0:
        return whole
    if encoder.gram is None:
        return (samples - _weighted_sum(encoder.atoms, taken, values)) @ encoder.atoms.T
    return whole - _weighted_sum(encoder.gram, taken, values)


def _weighted_sum(
    rows: Float64[Tensor, "m columns"], taken: Int64[Tensor, "n step"], values: Float64[Tensor, "n step"]
) -> Float64[Tensor, "n columns"]:
    """Sum the rows taken, times their values: a product with a sparse matrix."""
    return embedding_bag(taken, rows, per_sample_weights=values, mode="sum")


def _products(
    encoder: Encoder, taken: Int64[Tensor, "n step"], index: Int64[Tensor, "n 1"]
) -> Float64[Tensor, "n step"]:
    """Multiply the atoms taken with the next one."""
    if encoder.gram is None:
        return (encoder.atoms[taken] @ encoder.atoms[index[:, 0]][:, :, None])[:, :, 0]
    return encoder.gram[index, taken]
