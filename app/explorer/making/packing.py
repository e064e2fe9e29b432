"""The packing of a fitted dictionary in the residual stream, as arrays beside those of its terms.

All but coherence is about samples less their mean and atoms less its direction, and the same for random vectors: a
large mean lies in every sample and in most atoms, and would hide everything else. Runs in a worker's process or in a
job's process. Knows no pages.

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
from app.core.steps import Steps, rescale_steps
from app.explorer.layout import THRESHOLDS
from app.explorer.making.context import Arrays, Context
from app.explorer.making.judging import readability

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix

CODED_SAMPLES = 1_024
"""Samples that are coded, drawn at random."""
MOST = 32
RANDOM_VECTORS = 512
"""Random vectors that set the scale of nearness and of coherence."""
SEED = 0
MIN_MEAN_SHARE = 1e-6
"""The share of the samples' squared size below which their mean is only rounding."""
MIN_REST_LENGTH = 1e-3
"""The length of a unit atom without the mean's direction below which it is only the mean."""


def measure_packing(
    context: Context,
    product: "Matrix",
    terms: "Decomposition",
    side: str,
    coherence: "np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None",
) -> Steps[Arrays]:
    """Measure the packing of the atoms; `side`: how they are read out, `coherence`: how coherent their tokens are.

    Empty where fewer than two atoms are more than the samples' mean.
    """
    from app.core.decomposition import stream_side_of
    from app.core.measuring.comparison import draw_rows, random_vectors
    from app.core.measuring.packing import count_needs, measure_nearness, pairwise_cosines

    atoms = stream_side_of(product, terms)
    yield 0, 6
    principal: Decomposition = yield from rescale_steps(0, 1, 6, BASES["pca"].decompose(product, {}))
    directions = stream_side_of(product, principal)
    share, mean = _mean_and_share(principal, len(product.samples()))
    own, is_kept = _remove_mean(atoms, mean)
    if len(own) < 2 or not len(directions):
        return {}
    yield 1, 6
    cosines = pairwise_cosines(own)
    arrays: Arrays = {"cosine_counts": cosines.counts.numpy(), "cosine_expected": cosines.expected.numpy()}
    arrays["cosine_spreads"] = np.array([_cosine_spread(own), _cosine_spread(atoms)], np.float32)
    arrays["mean_share"] = np.array([share], np.float32)
    rows = draw_rows(product.samples(), CODED_SAMPLES, SEED) - mean
    random, _ = _remove_mean(random_vectors(len(own), rows, SEED), mean)
    for done, (name, vectors) in enumerate({"atoms": own, "random": random, "pca": directions}.items(), 2):
        yield done, 6
        found = count_needs(rows, vectors, MOST, THRESHOLDS)
        arrays[f"needs_errors_{name}"] = found.errors.numpy().astype(np.float32)
        arrays[f"needs_quartiles_{name}"] = found.quartiles.numpy().astype(np.int32)
    yield 5, 6
    control = random_vectors(RANDOM_VECTORS, rows, SEED + 1)
    near = measure_nearness(own, directions, _remove_mean(control, mean)[0])
    arrays["lonely_cosines"] = np.full(len(atoms), np.nan, np.float32)
    arrays["lonely_cosines"][is_kept.numpy()] = near.cosines.numpy()
    arrays["lonely_control"] = near.control.numpy().astype(np.float32)
    return arrays | _coherence_arrays(context, side, coherence, control)


def _mean_and_share(principal: "Decomposition", n_samples: int) -> "tuple[float, Tensor]":
    """Return the mean's share of the samples' squared size, and the mean; zeros where it is only rounding."""
    assert principal.mean is not None
    size = n_samples * float(principal.mean.double().square().sum())
    share = size / (size + float(principal.strength.double().square().sum()) or 1.0)
    return share, principal.mean if share >= MIN_MEAN_SHARE else principal.mean.new_zeros(principal.mean.shape)


def _remove_mean(vectors: "Tensor", mean: "Tensor") -> "tuple[Tensor, Tensor]":
    """Remove the mean's direction from unit vectors and normalise them again; return them, and which are more than the
    mean.
    """
    import torch
    from torch.nn.functional import normalize

    if not bool(mean.any()):
        return vectors, torch.ones(len(vectors), dtype=torch.bool)
    exact, direction = vectors.double(), normalize(mean.double(), dim=0)
    rest = exact - torch.outer(exact @ direction, direction)
    is_more = rest.norm(dim=1) >= MIN_REST_LENGTH
    return normalize(rest[is_more], dim=1).to(vectors), is_more


def _cosine_spread(atoms: "Tensor") -> float:
    """Compute the root mean square of the cosines of all pairs, by the smaller Gram matrix: `||A A^T|| = ||A^T A||`."""
    exact, m = atoms.double(), len(atoms)
    own = exact.square().sum(dim=1).square().sum()
    pairs = (exact.T @ exact).square().sum() - own
    return math.sqrt(max(0.0, float(pairs)) / (m * (m - 1)))


def _coherence_arrays(
    context: Context,
    side: str,
    coherence: "np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None",
    control: "Tensor",
) -> Arrays:
    """Return the coherence of the + rays, and its control; nothing where too few tokens were trained."""
    if coherence is None:
        return {}
    theirs = readability.read_and_judge(context, side, control)["coherence"][:, 0, HEADLINE]
    if np.isnan(theirs).all():
        return {}
    return {
        "coherence": coherence[:, 0, HEADLINE],
        "coherence_control": np.nanquantile(theirs, [0.95]).astype(np.float32),
    }
