"""Vectors written with few of many given ones: orthogonal matching pursuit (Pati, Rezaiifar & Krishnaprasad 1993).

1. An atom is taken that correlates most with what is left of the sample.
2. The sample is projected on all atoms taken so far (least squares), and what is left is what that does not reach.
3. Again, until k atoms are taken or nothing is left that an atom reaches.

What is left is never formed: its correlations follow from the atoms' Gram matrix (Rubinstein, Zibulevsky & Elad 2008).
All in float64, so that which atom is taken does not hang on how a machine adds up. Knows nothing of where atoms come
from, and no better codes than greedy ones: the best k of m atoms are hard to find.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor
from torch.nn.functional import embedding_bag

GRAM_ATOMS = 8_192
"""At most so many have their Gram matrix made, of half a gigabyte; more are multiplied with what is left instead."""
SCORES = {"cpu": 2**20, "cuda": 2**26}
"""Numbers held at a time: a CPU's stay in its cache."""
REACHED = 1e-7
"""Less than that of a sample is what float32 made of it, and is left."""
DEPENDENT = 1e-8
"""Squared length that the others must leave of a unit atom: with less it is one of them, or a sum of them."""


@dataclass(frozen=True)
class Encoder:
    """Atoms, prepared once for many samples."""

    atoms: Float64[Tensor, "m d"]
    squares: Float64[Tensor, " m"]
    """Their lengths: one, but for float32."""
    gram: Float64[Tensor, "m m"] | None
    """None: too large."""

    def at_once(self, nonzeros: int) -> int:
        """How many samples are best encoded together."""
        m, d = self.atoms.shape
        return max(64, SCORES[self.atoms.device.type] // max(m, d, nonzeros * nonzeros))


class Codes(NamedTuple):
    """What each sample is made of, in the order in which it was found."""

    indices: Int64[Tensor, "n k"]
    """Of atoms, none twice in a row; one whose value is zero is not used."""
    values: Float64[Tensor, "n k"]
    gains: Float64[Tensor, "n k"]
    """By how much each atom, when it was taken, made the squared error smaller."""


def encoder(atoms: Float[Tensor, "m d"]) -> Encoder:
    """Prepare unit rows."""
    exact = atoms.double()
    gram = exact @ exact.T if len(exact) <= GRAM_ATOMS else None
    return Encoder(exact, exact.square().sum(dim=1), gram)


def encode(encoder: Encoder, samples: Float[Tensor, "n d"], nonzeros: int) -> Codes:
    """The samples' codes, all at once; k is no larger than the number of atoms."""
    exact, n = samples.double(), len(samples)
    k = min(nonzeros, len(encoder.atoms))
    whole = exact @ encoder.atoms.T
    least = REACHED * exact.square().sum(dim=1).sqrt()
    indices = torch.zeros(n, k, dtype=torch.int64, device=samples.device)
    values, gains = exact.new_zeros(n, k), exact.new_zeros(n, k)
    # Row j: the j-th orthonormal vector (Gram-Schmidt of the atoms taken) as a sum of these atoms.
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
    """Atoms, unit rows, and their coefficients for each sample; k is no larger than m, a zero means no atom."""
    codes = [(found.indices, found.values.float()) for found in _encoded(samples, atoms, nonzeros)]
    indices, values = zip(*codes, strict=True)
    return torch.cat(indices), torch.cat(values)


def squared_errors(
    samples: Float[Tensor, "n d"], atoms: Float[Tensor, "m d"], most: int
) -> Float64[Tensor, "n {most}+1"]:
    """What is left of each sample's square with at most 0, 1 … `most` unit atoms; never more with more."""
    return torch.cat([*squared_errors_by_part(samples, atoms, most)])


def squared_errors_by_part(
    samples: Float[Tensor, "n d"], atoms: Float[Tensor, "m d"], most: int
) -> Iterator[Float64[Tensor, "part {most}+1"]]:
    """The same, as many samples at a time as memory has room for."""
    prepared = encoder(atoms)
    for part in torch.split(samples, prepared.at_once(most)):
        squares = part.double().square().sum(dim=1, keepdim=True)
        gains = encode(prepared, part, most).gains
        left = squares - torch.nn.functional.pad(gains, (1, most - gains.shape[1])).cumsum(dim=1)
        yield left.clamp_(min=0)


def relative_errors(left: Float64[Tensor, "n steps"]) -> Float64[Tensor, " steps-1"]:
    """`||X - C D|| / ||X||` of what is left of all samples together; zeros where they are all zero."""
    total = left.sum(dim=0)
    return (total[1:] / total[0].clamp(min=torch.finfo(total.dtype).tiny)).sqrt()


def coding_errors(samples: Float[Tensor, "n d"], atoms: Float[Tensor, "m d"], most: int) -> Float64[Tensor, " {most}"]:
    """The relative errors of samples written with at most 1 … `most` of unit atoms."""
    return relative_errors(squared_errors(samples, atoms, most))


def _encoded(samples: Float[Tensor, "n d"], atoms: Float[Tensor, "m d"], nonzeros: int) -> Iterator[Codes]:
    """The codes of all samples, as many at a time as memory has room for."""
    prepared = encoder(atoms)
    return (encode(prepared, part, nonzeros) for part in torch.split(samples, prepared.at_once(nonzeros)))


def _correlations(
    encoder: Encoder,
    samples: Float64[Tensor, "n d"],
    whole: Float64[Tensor, "n m"],
    taken: Int64[Tensor, "n step"],
    values: Float64[Tensor, "n step"],
) -> Float64[Tensor, "n m"]:
    """Of what is left of the samples with every atom; `whole` are those of the samples themselves."""
    if taken.shape[1] == 0:
        return whole
    if encoder.gram is None:
        return (samples - _sum(encoder.atoms, taken, values)) @ encoder.atoms.T
    return whole - _sum(encoder.gram, taken, values)


def _sum(
    rows: Float64[Tensor, "m columns"], taken: Int64[Tensor, "n step"], values: Float64[Tensor, "n step"]
) -> Float64[Tensor, "n columns"]:
    """The rows taken, times their values: a product with a sparse matrix."""
    return embedding_bag(taken, rows, per_sample_weights=values, mode="sum")


def _products(
    encoder: Encoder, taken: Int64[Tensor, "n step"], index: Int64[Tensor, "n 1"]
) -> Float64[Tensor, "n step"]:
    """Of the atoms taken with the next one."""
    if encoder.gram is None:
        return (encoder.atoms[taken] @ encoder.atoms[index[:, 0]][:, :, None])[:, :, 0]
    return encoder.gram[index, taken]
