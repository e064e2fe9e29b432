"""The decomposition of one matrix in one basis: from its tensors to the arrays of its artifact, step by step.

A circuit's singular directions come from `heads`, many together; every other decomposition is made here. Runs in the
worker's process or a job's. `app.explorer.reading.directions` names the arrays and reads them. Knows no pages.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from app.core.address import Address
from app.core.basis import BASES, Basis, Parameters
from app.core.steps import Steps, rescale_steps
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.curves import sample_curve
from app.explorer.making.heads import read_matrix, term_arrays
from app.explorer.making.packing import measure_packing
from app.explorer.making.sides import ReadoutRequest, read_side
from app.explorer.making.subjects import Subject, read_subject

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix, Side

PERCENT_OF_PARTS = {
    "matrix": 5,
    "terms": 69,
    "numbers": 10,
    "names": 1,
    "left": 5,
    "right": 5,
    "constant": 1,
    "packing": 4,
}
"""Percent of the work in each part, for progress."""
PERCENT_AT_START = dict(zip(PERCENT_OF_PARTS, accumulate(PERCENT_OF_PARTS.values(), initial=0), strict=False))
GAUSSIAN_KURTOSIS = 0.5
"""The absolute excess kurtosis below which a source is hardly told from a Gaussian."""


def decompose_matrix(
    context: Context, address: Address, parameters: Parameters, distance: int = 0
) -> Steps[ArraysAndFacts]:
    """Decompose the matrix at the address in the basis of the address, and read out every term at both sides."""
    basis = BASES[address.basis or "svd"]
    if basis.name == "svd" and address.circuit is not None:
        yield 0, 1
        assert address.layer is not None
        assert address.head is not None
        return read_matrix(context, address.layer, address.head, address.circuit, distance)
    taken: UnreadDecomposition = yield from decompose_unread(context, address, parameters, distance)
    arrays, product, terms = taken.arrays, taken.product, taken.terms
    for each in taken.asked:
        part = "constant" if each.prefix == "bias" else each.prefix
        readout = yield from _report_part(part, read_side(context, each.side, each.vectors, each.end))
        arrays |= {f"{each.prefix}_{name}": array for name, array in readout.items()}
    if basis.name == "dictionary" and len(terms.strength) > 1:
        where, side = _find_stream_side(product)
        steps = measure_packing(context, product, terms, side.name, arrays.get(f"{where}_coherence"))
        arrays |= yield from _report_part("packing", steps)
    return arrays, taken.facts


@dataclass(frozen=True)
class UnreadDecomposition:
    """A matrix that is decomposed, but not read out."""

    product: "Matrix"
    terms: "Decomposition"
    arrays: Arrays
    facts: dict[str, Any]
    asked: list[ReadoutRequest]
    """The readouts that its arrays still need."""


def decompose_unread(context: Context, address: Address, parameters: Parameters, distance: int = 0) -> Steps[Any]:
    """Decompose the matrix at the address without readouts; returns `UnreadDecomposition`, which nobody else changes."""
    whole: Subject = yield from _report_part("matrix", read_subject(context, address, distance))
    return (yield from decompose_subject_unread(context, address, whole, parameters))


def decompose_subject_unread(context: Context, address: Address, whole: Subject, parameters: Parameters) -> Steps[Any]:
    """Decompose a matrix whose tensors are read, without readouts."""
    basis = BASES[address.basis or "svd"]
    product = whole.product
    terms: Decomposition = yield from _report_part("terms", basis.decompose(product, parameters))
    arrays, scores = yield from _report_part("numbers", _score_terms(context, basis, product, terms))
    arrays |= _unit_arrays(context, basis, product, terms)
    if basis.name == "neuron" and address.circuit is None and address.layer is not None:
        arrays |= yield from _report_part("names", _rank_in_other_matrices(context, address))
    # A matrix has the embedding's tokens on its left, or the unembedding's on its right.
    asked = [
        ReadoutRequest(arrays, "left", product.left, terms.left, "read"),
        ReadoutRequest(arrays, "right", product.right, terms.right, "write"),
    ]
    facts: dict[str, Any] = {"scores": scores, "has_bias": False}
    if constant := _find_constant(whole, terms):
        what, where, side, vector = constant
        asked.append(ReadoutRequest(arrays, "bias", side, vector[None]))
        facts |= {"has_bias": True, "bias_side": where, "bias_is": what}
    if product.left.name == "position":
        arrays["left_curve"] = terms.left.numpy()
    if basis.is_fitted:
        from app.core.decomposition import stream_side_of

        arrays["vectors"] = stream_side_of(product, terms).numpy()
    return UnreadDecomposition(product, terms, arrays, facts, asked)


def _report_part(part: str, steps: Steps[Any]) -> Steps[Any]:
    """Report the steps of one part as steps of the whole."""
    return rescale_steps(PERCENT_AT_START[part], PERCENT_OF_PARTS[part], 100, steps)


def _score_terms(context: Context, basis: Basis, product: "Matrix", terms: "Decomposition") -> Steps[Any]:
    """Compute the numbers of each term, and the scores of all of them together, without a readout."""
    from app.core.gram import gram
    from app.core.measuring.residue import relative_error
    from app.core.measuring.scores import SCORES

    if basis.name == "svd":
        energy = terms.strength.double().square().cumsum(0).cpu().numpy()
        shares = np.concatenate([[0.0], energy / energy[-1]]) if len(energy) else np.zeros(1)
        arrays = term_arrays(context, product, terms) | sample_curve(shares, shares)
        return arrays, {name: score(terms.strength) for name, score in SCORES.items()}
    squares = (
        _gram_of_components(product, terms)
        if basis.name == "pca"
        else (yield from rescale_steps(0, 50, 100, gram(product)))
    )
    arrays = term_arrays(context, product, terms) if basis.has_neighbours else {}
    arrays |= _strength_arrays(terms, float(squares.trace())) | _explained_arrays(product, terms, squares)
    left = max(0.0, 1 - float(arrays["explained"][-1])) ** 0.5
    error_steps = rescale_steps(50, 50, 100, relative_error(product, terms))
    # A projection's error is what it leaves unexplained; a fit may have a larger one than its span.
    scores: dict[str, float] = {"error": (yield from error_steps) if basis.is_fitted else left}
    if terms.mean is not None:
        scores["mean-share"] = float(arrays["explained"][0])
    if basis.name == "ica" and terms.merit is not None and len(terms.merit):
        scores["gaussian-share"] = float((terms.merit.abs() < GAUSSIAN_KURTOSIS).double().mean())
    return arrays, scores


def _gram_of_components(product: "Matrix", terms: "Decomposition") -> "Tensor":
    """Return the Gram matrix of the samples from all their principal directions and their mean: another pass takes
    seconds.
    """
    import torch

    from app.core.decomposition import stream_side_of

    assert terms.mean is not None
    scaled, mean = stream_side_of(product, terms).double() * terms.strength.double()[:, None], terms.mean.double()
    return scaled.T @ scaled + _count_samples(product, terms) * torch.outer(mean, mean)


def _count_samples(product: "Matrix", terms: "Decomposition") -> int:
    from app.core.decomposition import sample_side_of

    return sample_side_of(product, terms).shape[1]


def _strength_arrays(terms: "Decomposition", size: float) -> Arrays:
    """Return the numbers that every basis has; `size`: the squared norm of the matrix."""
    strength = terms.strength.numpy()
    arrays: Arrays = {
        "index": np.arange(len(strength), dtype=np.int32),
        "strength": strength,
        "share": np.square(strength, dtype=np.float64) / size if size else np.zeros(len(strength)),
    }
    return arrays if terms.merit is None else arrays | {"merit": terms.merit.numpy()}


def _explained_arrays(product: "Matrix", terms: "Decomposition", squares: "Tensor") -> Arrays:
    from app.core.decomposition import stream_side_of
    from app.core.measuring.energy import explained_shares, svd_explained_shares

    shares = explained_shares(squares, stream_side_of(product, terms), terms.mean, _count_samples(product, terms))
    return sample_curve(shares.numpy(), svd_explained_shares(squares).numpy())


def _unit_arrays(context: Context, basis: Basis, product: "Matrix", terms: "Decomposition") -> Arrays:
    """Return the arrays that name a side's coordinates, and the terms of the neuron basis."""
    from app.core.bases.neuron import find_units
    from app.core.matrix import Space

    arrays: Arrays = {}
    shape, spaces = context.model.manifest, {product.left.space, product.right.space}
    if Space.NEURON in spaces:
        arrays["units"] = _rank_neurons(context, product)
    if Space.HEADS in spaces:
        arrays["stack"] = np.array([shape.n_heads, shape.d_head], np.int32)
    if basis.name == "neuron":
        arrays["unit"] = find_units(product, terms).numpy().astype(np.int32)
    return arrays


def _rank_in_other_matrices(context: Context, address: Address) -> Steps[Any]:
    """Rank each neuron among the norms of the other matrices of its MLP."""
    arrays: Arrays = {}
    for kind in context.model.header.layer_kinds:
        if kind != address.kind:
            other: Subject = yield from read_subject(context, address.at(kind))
            arrays[f"units_{kind}"] = _rank_neurons(context, other.product)
    return arrays


def _rank_neurons(context: Context, product: "Matrix") -> "np.ndarray[Any, np.dtype[np.int32]]":
    """Rank each neuron among the norms, the largest first; -1 for a neuron without weights."""
    from app.core.bases.neuron import rank_by_norm

    neurons = rank_by_norm(product.samples())[0].cpu().numpy()
    ranks = np.full(context.model.manifest.d_mlp, -1, np.int32)
    ranks[neurons] = np.arange(len(neurons), dtype=np.int32)
    return ranks


def _find_constant(whole: Subject, terms: "Decomposition") -> "tuple[str, str, Side, Tensor] | None":
    """Find the vector that belongs to no term: the mean that the basis removed, else the bias on the right side."""
    product = whole.product
    if terms.mean is not None and _is_more_than_rounding(terms.mean, product, terms):
        where, side = _find_stream_side(product)
        return "mean", where, side, terms.mean
    if whole.bias is None or not bool(whole.bias.any()):
        return None
    return "bias", "right", product.right, whole.bias


def _is_more_than_rounding(mean: "Tensor", product: "Matrix", terms: "Decomposition") -> bool:
    """Return whether the mean is more than the rounding of samples that were centred before."""
    import torch

    from app.core.decomposition import is_present

    share = mean.double().norm() * _count_samples(product, terms) ** 0.5
    return bool(is_present(torch.cat([share[None], terms.strength.double()]), len(mean))[0])


def _find_stream_side(product: "Matrix") -> "tuple[str, Side]":
    """Return the side that is the residual stream, and its name; a circuit's right side."""
    return ("right", product.right) if product.is_upright else ("left", product.left)
