"""The comparison of a matrix's bases, as arrays: the error of each with few vectors, and the overlap of any two.

Runs in a worker's process. Fits come from their artifacts; the other bases are computed again.
`app.explorer.visits.compare` reads the arrays. Errors and shares are of the samples less their mean, which every basis
and every control gets for free: a large one would hide everything else. The bases' own vectors keep the mean. Random
vectors are of the span of the basis that they are the control of: a head's is small in the stream. Knows no pages.

    errors_{basis} control_{basis} [MOST_NONZEROS]    relative error with 1, 2 … vectors a sample; of as many random ones
    explained_{basis} [len(SPANS)]           share of the samples in the span of the first vectors
    overlaps_{first} [bases bases]           mean squared cosine of the principal angles between spans
    smallest_{first} [bases bases]           the smallest of those cosines
    partner_{basis}_{other} cosine_{basis}_{other} [n]    nearest of the other basis, and its signed cosine
    near_{basis}_{other} [1]                 what 95% of random vectors of the basis's span stay below with their nearest
    unit [n]                                 the neuron or coordinate that each vector of the neuron basis is
"""

from collections.abc import Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.core.address import Address, BasisName
from app.core.basis import BASES
from app.core.steps import Steps, rescale_steps
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.inventory import bases_of, samples_of
from app.explorer.layout import MOST_NONZEROS, SPANS
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.subjects import Subject, read_subject
from app.explorer.making.using.axes import find_axes, load_outputs

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix

PERCENT_OF_PARTS = {"matrix": 5, "vectors": 5, "mean": 1, "errors": 84, "spans": 2, "partners": 3}
"""Percent of the work in each part, for progress."""
PERCENT_AT_START = dict(zip(PERCENT_OF_PARTS, accumulate(PERCENT_OF_PARTS.values(), initial=0), strict=False))
RANDOM_VECTORS = 256
"""Random vectors that set the scale of nearness."""
SEED = 0

Vectors = dict[BasisName, "Tensor"]


def compare_bases(
    context: Context, address: Address, fits: Mapping[BasisName, Mapping[str, int]]
) -> Steps[ArraysAndFacts]:
    """Compare the bases that are computed on a visit, and these fits, given by their parameters, the axes of a head's output
    among them; ComputationFailed if one is gone.
    """
    fitted = {name: _load_fit(context, address.in_basis(name), parameters) for name, parameters in fits.items()}
    whole: Subject = yield from _report_part("matrix", read_subject(context, address))
    vectors, arrays = yield from _report_part("vectors", _basis_vectors(context, address, whole.product, fitted))
    mean, mean_share, squares = yield from _report_part("mean", _centre_samples(whole.product))
    arrays |= yield from _report_part("errors", _error_arrays(whole.product, vectors, mean))
    arrays |= yield from _report_part("spans", _span_arrays(squares, vectors))
    arrays |= yield from _report_part("partners", _partner_arrays(vectors))
    terms = [len(each) for each in vectors.values()]
    return arrays, {"bases": list(vectors), "terms": terms, "mean_share": mean_share}


def _report_part(part: str, steps: Steps[Any]) -> Steps[Any]:
    """Report the steps of one part as steps of the whole."""
    return rescale_steps(PERCENT_AT_START[part], PERCENT_OF_PARTS[part], 100, steps)


def _load_fit(context: Context, address: Address, parameters: Mapping[str, int]) -> NDArray[np.float32]:
    """Load the vectors of a fit from its artifact; or find those that are fitted to a text, which takes no time."""
    if BASES[address.basis or "svd"].is_of_text:
        assert address.layer is not None
        assert address.head is not None
        outputs = load_outputs(context, parameters["statistics"])
        (of_head,) = find_axes(context, address.layer, [address.head], outputs)
        found: NDArray[np.float32] = of_head.axes.terms.right.numpy()
        return found
    artifact = context.store.load(recipes.decomposition(context.model, address, context.processing, parameters))
    if artifact is None:
        raise ComputationFailed(f"{address.label} is not here any more, and cannot be compared.")
    vectors: NDArray[np.float32] = artifact.arrays["vectors"]
    return vectors


def _basis_vectors(
    context: Context, address: Address, product: "Matrix", fitted: Mapping[BasisName, NDArray[np.float32]]
) -> Steps[tuple[Vectors, Arrays]]:
    import torch

    from app.core.bases.neuron import find_units
    from app.core.decomposition import stream_side_of

    assert address.kind is not None
    samples = samples_of(context.model.header, address.kind)
    vectors: Vectors = {}
    arrays: Arrays = {}
    names = bases_of(address.kind)
    for at, name in enumerate(names):
        if name in fitted:
            vectors[name] = torch.from_numpy(np.array(fitted[name]))
        elif not BASES[name].is_fitted and not BASES[name].is_of_text:
            steps = BASES[name].decompose(product, BASES[name].values({}, samples))
            terms: Decomposition = yield from rescale_steps(100 * at, 100, 100 * len(names), steps)
            vectors[name] = stream_side_of(product, terms)
            if name == "neuron":
                arrays["unit"] = find_units(product, terms).numpy().astype(np.int32)
    return {name: each for name, each in vectors.items() if len(each)}, arrays


def _centre_samples(product: "Matrix") -> "Steps[tuple[Tensor, float, Tensor]]":
    """Compute the mean of all samples, its share of their squared size, and the Gram matrix of the samples without it."""
    import torch

    from app.core.gram import gram, mean_of

    squares = yield from gram(product)
    samples = product.samples()
    mean, size = mean_of(samples), float(squares.trace())
    own = len(samples) * torch.outer(mean, mean)
    return mean, float(own.trace()) / size if size else 0.0, squares - own


def _error_arrays(product: "Matrix", vectors: Vectors, mean: "Tensor") -> Steps[Arrays]:
    from app.core.measuring.comparison import compare_errors, draw_rows

    rows = draw_rows(product.samples(), recipes.COMPARISON_ROWS, SEED)
    found = yield from compare_errors((rows - mean).to(rows), vectors, MOST_NONZEROS, SEED)
    own = {f"errors_{name}": errors.own.numpy().astype(np.float32) for name, errors in found.items()}
    return own | {f"control_{name}": errors.control.numpy().astype(np.float32) for name, errors in found.items()}


def _span_arrays(squares: "Tensor", vectors: Vectors) -> Steps[Arrays]:
    from app.core.measuring.comparison import overlap
    from app.core.measuring.energy import explained_shares

    arrays: Arrays = {}
    for name, own in vectors.items():
        shares = explained_shares(squares, own[: SPANS[-1]]).numpy()
        arrays[f"explained_{name}"] = shares[np.minimum(SPANS, len(shares) - 1)].astype(np.float32)
    n = len(vectors)
    for first in SPANS:
        yield SPANS.index(first), len(SPANS)
        means_of, smallest = np.ones((n, n), np.float32), np.ones((n, n), np.float32)
        for i, one in enumerate(vectors.values()):
            for j, other in enumerate(vectors.values()):
                if i < j:
                    cosines = overlap(one[:first], other[:first]).numpy()
                    means_of[i, j] = means_of[j, i] = np.square(cosines).mean()
                    smallest[i, j] = smallest[j, i] = cosines.min()
        arrays |= {f"overlaps_{first}": means_of, f"smallest_{first}": smallest}
    return arrays


def _partner_arrays(vectors: Vectors) -> Steps[Arrays]:
    from app.core.measuring.comparison import find_partners, random_vectors_within

    arrays: Arrays = {}
    for done, (name, own) in enumerate(vectors.items()):
        yield done, len(vectors)
        random = random_vectors_within(own, RANDOM_VECTORS, SEED)
        for other, theirs in vectors.items():
            if other != name:
                found = find_partners(own, theirs)
                arrays[f"partner_{name}_{other}"] = found.indices.numpy().astype(np.int32)
                arrays[f"cosine_{name}_{other}"] = found.cosines.numpy().astype(np.float32)
                control = find_partners(random, theirs).cosines.abs().numpy()
                arrays[f"near_{name}_{other}"] = np.quantile(control, [0.95]).astype(np.float32)
    return arrays
