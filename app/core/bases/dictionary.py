"""Dictionary basis: an overcomplete dictionary codes each sample as a sum of few of many atoms, with either sign.

`X ~ C D` with few non-zeros in each row of C and unit rows in D, by the method of optimal directions (Engan, Aase &
Husoy 1999) with the repairs of K-SVD (Aharon, Elad & Bruckstein 2006):

1. the atoms start as samples, drawn at random;
2. every sample is coded by matching pursuit;
3. the atoms become the least squares for these codes, `(C^T C)^-1 C^T X`, made unit;
4. an atom that is unused, or another's double, is replaced by a badly explained sample, drawn at random;
5. steps 2 to 4 are repeated, and the atoms that explained most are kept.

An atom is one term, with its column of codes as the other side: the atom and its negative are its two rays. Knows
nothing of models or tokens.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor
from torch.nn.functional import normalize

from app.core.basis import Fitting, Parameters
from app.core.decomposition import Decomposition, is_present, orient_terms
from app.core.matrix import Matrix
from app.core.measuring.coding import Codes, encode, encoder
from app.core.steps import Steps

PASSES = 30
SETTLING = 10
"""Last passes, in which doubles are left alone."""
DOUBLE = 0.9
"""Cosine above which two atoms are doubles. Of 64 planted atoms 96% are found with it, 88% without."""
SAME = 1 - 1e-6
"""Cosine above which atoms are equal: rounding would decide which one is used, so one is zeroed until the next pass."""
RIDGE = 1e-6
"""Ridge relative to the mean square of a column of codes, so that atoms that always occur together are determined."""


class _Coding(NamedTuple):
    """The codes of all samples by these atoms."""

    atoms: Float32[Tensor, "m d"]
    indices: Int64[Tensor, "n k"]
    values: Float32[Tensor, "n k"]
    left: Float64[Tensor, " n"]
    """Squared error of each sample."""


class _Moments(NamedTuple):
    """The products of the codes that the next atoms depend on."""

    codes: Float64[Tensor, "m m"]
    """`C^T C`."""
    samples: Float64[Tensor, "m d"]
    """`C^T X`."""


def decompose(matrix: Matrix, parameters: Parameters) -> Fitting:
    """Fit atoms, by falling usage, the share of samples that use them; fewer than asked for where samples are few."""
    samples = matrix.samples()
    draw = torch.Generator().manual_seed(parameters["seed"])
    atoms = _zero_doubles(_draw_start(samples, parameters["atoms"], draw), SAME)
    best = None
    for done in range(PASSES if len(atoms) else 0):
        coding, moments = yield from _code_samples(samples, atoms, parameters["sparsity"], done)
        if best is None or coding.left.sum() < best.left.sum():
            best = coding
        atoms = _zero_doubles(_fit_atoms(moments), DOUBLE if done < PASSES - SETTLING else SAME)
        atoms = _zero_doubles(_refill_zero(atoms, samples, coding.left, draw), SAME)
    return _build_terms(matrix, best) if best else _empty_terms(matrix, samples)


def _draw_start(samples: Float[Tensor, "n d"], count: int, draw: torch.Generator) -> Float32[Tensor, "m d"]:
    """Draw the first atoms at random from the samples that are not zero, at unit length."""
    something = samples.any(dim=1).nonzero().flatten()
    drawn = torch.randperm(len(something), generator=draw)[:count].to(samples.device)
    return _normalise(samples[something[drawn]].double())


def _code_samples(
    samples: Float[Tensor, "n d"], atoms: Float32[Tensor, "m d"], sparsity: int, done: int
) -> Steps[tuple[_Coding, _Moments]]:
    """Code all samples, in parts, and sum the moments that the next atoms depend on."""
    prepared, (m, d), n = encoder(atoms), atoms.shape, len(samples)
    moments = _Moments(prepared.atoms.new_zeros(m, m), prepared.atoms.new_zeros(m, d))
    size, indices, values, left = prepared.batch_size(sparsity), [], [], []
    for start in range(0, n, size):
        part = samples[start : start + size].double()
        codes = encode(prepared, part, sparsity)
        _add_moments(moments, part, codes)
        indices.append(codes.indices)
        values.append(codes.values.float())
        left.append((part.square().sum(dim=1) - codes.gains.sum(dim=1)).clamp_(min=0))
        yield done * n + start + len(part), PASSES * n
    return _Coding(atoms, torch.cat(indices), torch.cat(values), torch.cat(left)), moments


def _add_moments(moments: _Moments, samples: Float64[Tensor, "n d"], codes: Codes) -> None:
    """Add these samples' part of both products; the codes' own pair by pair, since most pairs never occur together."""
    m = len(moments.codes)
    pairs = codes.indices[:, :, None] * m + codes.indices[:, None]
    products = codes.values[:, :, None] * codes.values[:, None]
    moments.codes.view(-1).index_add_(0, pairs.flatten(), products.flatten())
    dense = samples.new_zeros(len(samples), m).scatter_(1, codes.indices, codes.values)
    moments.samples.addmm_(dense.T, samples)


def _fit_atoms(moments: _Moments) -> Float32[Tensor, "m d"]:
    """Fit the atoms to the codes by least squares; zero where unused."""
    mean = moments.codes.diagonal().mean()
    if mean == 0:
        return moments.samples.float()
    ridged = moments.codes.clone()
    ridged.diagonal().add_(RIDGE * mean)
    return _normalise(torch.cholesky_solve(moments.samples, torch.linalg.cholesky(ridged)))


def _zero_doubles(atoms: Float32[Tensor, "m d"], cosine: float) -> Float32[Tensor, "m d"]:
    """Zero the atoms whose cosine with an earlier one is above that: a zero atom is never used."""
    exact = atoms.double()
    is_double = ((exact @ exact.T).abs_().tril_(-1) > cosine).any(dim=1, keepdim=True)
    return atoms.masked_fill(is_double, 0.0)


def _refill_zero(
    atoms: Float32[Tensor, "m d"], samples: Float[Tensor, "n d"], left: Float64[Tensor, " n"], draw: torch.Generator
) -> Float32[Tensor, "m d"]:
    """Replace zero atoms by samples, drawn in proportion to their squared error."""
    # The largest ratios of weight and exponential number are a draw by weight (Efraimidis & Spirakis 2006).
    race = left / torch.empty(len(left), dtype=torch.float64).exponential_(generator=draw).to(left.device)
    zero = (~atoms.any(dim=1)).nonzero().flatten()
    drawn = race.topk(len(zero)).indices
    return atoms.index_copy(0, zero, _normalise(samples[drawn].double()))


def _build_terms(matrix: Matrix, coding: _Coding) -> Decomposition:
    """Build a term of each atom with its column of codes, with the sign whose codes weigh more."""
    n, d = len(coding.left), coding.atoms.shape[1]
    atoms, indices, values = coding.atoms, coding.indices, coding.values.double()
    squares, balance, usage = (
        values.new_zeros(len(atoms)).index_add_(0, indices.flatten(), what.flatten())
        for what in (values.square(), values * values.abs(), (values != 0).double())
    )
    strength, sign = squares.sqrt(), torch.where(balance < 0, -1.0, 1.0)
    is_something = is_present(strength, d)
    order = usage.argsort(descending=True, stable=True)
    order = order[is_something[order]]
    place = order.new_full((len(atoms),), -1)
    place[order] = torch.arange(len(order), device=order.device)
    used = (values != 0) & is_something[indices]
    columns, rows = indices[used], used.nonzero()[:, 0]
    codes = atoms.new_zeros(len(order), n)
    codes[place[columns], rows] = (values[used] * sign[columns] / strength[columns]).float()
    turned, usage = sign[order, None].float() * atoms[order], (usage[order] / n).float()
    return orient_terms(matrix, codes, strength[order].float(), turned, usage)


def _empty_terms(matrix: Matrix, samples: Float[Tensor, "n d"]) -> Decomposition:
    """Build a decomposition without terms."""
    none = samples.new_zeros(0)
    return orient_terms(matrix, samples.new_zeros(0, len(samples)), none, samples.new_zeros(0, samples.shape[1]), none)


def _normalise(vectors: Float64[Tensor, "m d"]) -> Float32[Tensor, "m d"]:
    """Normalise the vectors to length one; zero ones stay."""
    return normalize(vectors, dim=1, eps=torch.finfo(vectors.dtype).tiny).float()
