"""How a fitted dictionary lies in the residual stream, as arrays beside those of its terms.

All but coherence is about samples less their mean and atoms less its direction, and the same for random vectors: a
large mean lies in every sample and in most atoms, and would be all that the numbers show. Runs in a worker's process or
in a job's process. Knows no pages.

    cosine_counts cosine_expected [200]      pairs of atoms by cosine; as many random pairs
    cosine_spreads [2]                       root mean square of these cosines; that of the atoms as they are
    mean_share [1]                           how much of the samples' squared size their mean is
    needs_errors_{who} [MOST]                relative error with 1, 2 … vectors a sample; who: atoms, random, pca
    needs_quartiles_{who} [thresholds 3]     vectors that a sample needs for each of THRESHOLDS: quartiles over samples
    lonely_cosines [n]                       largest |cosine| of each atom to a principal direction; nan: nothing but mean
    lonely_control [5]                       quantiles of the same of random vectors
    coherence [n]  coherence_control [1]     of each atom's top tokens; what 95% of random vectors stay below
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from app.core.basis import BASES
from app.core.judging.rays import HEADLINE
from app.core.steps import Steps, within
from app.explorer.layout import THRESHOLDS
from app.explorer.making.context import Arrays, Bench
from app.explorer.making.judging import readability

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix

ROWS = 1_024
"""Samples that are coded, drawn at random."""
MOST = 32
RANDOM = 512
"""Random vectors that say how near is near, and how coherent is coherent."""
SEED = 0
LEAST_MEAN = 1e-6
"""Share of the samples' squared size below which their mean is no more than rounding."""
LEAST_REST = 1e-3
"""Length of a unit atom without the mean's direction below which it is nothing else."""


def packing(
    bench: Bench,
    product: "Matrix",
    terms: "Decomposition",
    side: str,
    coherence: "np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None",
) -> Steps[Arrays]:
    """What is said of the atoms; `side` and `coherence`: how they are read out, and how alike their tokens are.

    Nothing where fewer than two atoms are more than the samples' mean.
    """
    from app.core.decomposition import of_stream
    from app.core.measuring.comparison import drawn_rows, random_vectors
    from app.core.measuring.packing import nearness, needs, pairwise_cosines

    atoms = of_stream(product, terms)
    yield 0, 6
    principal: Decomposition = yield from within(0, 1, 6, BASES["pca"].decompose(product, {}))
    directions = of_stream(product, principal)
    share, mean = _mean(principal, len(product.samples()))
    own, is_kept = _without(atoms, mean)
    if len(own) < 2 or not len(directions):
        return {}
    yield 1, 6
    cosines = pairwise_cosines(own)
    arrays: Arrays = {"cosine_counts": cosines.counts.numpy(), "cosine_expected": cosines.expected.numpy()}
    arrays["cosine_spreads"] = np.array([_spread(own), _spread(atoms)], np.float32)
    arrays["mean_share"] = np.array([share], np.float32)
    rows = drawn_rows(product.samples(), ROWS, SEED) - mean
    random, _ = _without(random_vectors(len(own), rows, SEED), mean)
    for done, (name, vectors) in enumerate({"atoms": own, "random": random, "pca": directions}.items(), 2):
        yield done, 6
        found = needs(rows, vectors, MOST, THRESHOLDS)
        arrays[f"needs_errors_{name}"] = found.errors.numpy().astype(np.float32)
        arrays[f"needs_quartiles_{name}"] = found.quartiles.numpy().astype(np.int32)
    yield 5, 6
    control = random_vectors(RANDOM, rows, SEED + 1)
    near = nearness(own, directions, _without(control, mean)[0])
    arrays["lonely_cosines"] = np.full(len(atoms), np.nan, np.float32)
    arrays["lonely_cosines"][is_kept.numpy()] = near.cosines.numpy()
    arrays["lonely_control"] = near.control.numpy().astype(np.float32)
    return arrays | _coherences(bench, side, coherence, control)


def _mean(principal: "Decomposition", n_samples: int) -> "tuple[float, Tensor]":
    """The mean's share of the samples' squared size, and the mean; zeros where it is nothing."""
    assert principal.mean is not None
    size = n_samples * float(principal.mean.double().square().sum())
    share = size / (size + float(principal.strength.double().square().sum()) or 1.0)
    return share, principal.mean if share >= LEAST_MEAN else principal.mean.new_zeros(principal.mean.shape)


def _without(vectors: "Tensor", mean: "Tensor") -> "tuple[Tensor, Tensor]":
    """Unit vectors without the mean's direction, unit again, and which of them are more than that."""
    import torch
    from torch.nn.functional import normalize

    if not bool(mean.any()):
        return vectors, torch.ones(len(vectors), dtype=torch.bool)
    exact, direction = vectors.double(), normalize(mean.double(), dim=0)
    rest = exact - torch.outer(exact @ direction, direction)
    is_more = rest.norm(dim=1) >= LEAST_REST
    return normalize(rest[is_more], dim=1).to(vectors), is_more


def _spread(atoms: "Tensor") -> float:
    """Root mean square of the cosines of all pairs, by the smaller Gram matrix: `||A A^T|| = ||A^T A||`."""
    exact, m = atoms.double(), len(atoms)
    own = exact.square().sum(dim=1).square().sum()
    pairs = (exact.T @ exact).square().sum() - own
    return math.sqrt(max(0.0, float(pairs)) / (m * (m - 1)))


def _coherences(
    bench: Bench, side: str, coherence: "np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None", control: "Tensor"
) -> Arrays:
    """Of the + rays; nothing where too few tokens were trained to tell."""
    if coherence is None:
        return {}
    theirs = readability.read(bench, side, control)["coherence"][:, 0, HEADLINE]
    if np.isnan(theirs).all():
        return {}
    return {
        "coherence": coherence[:, 0, HEADLINE],
        "coherence_control": np.nanquantile(theirs, [0.95]).astype(np.float32),
    }
