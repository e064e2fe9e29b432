"""One matrix in one basis: from its tensors to the arrays of its artifact, step by step.

A circuit's singular directions come from `heads`, many together; this is the way for everything else. Runs in the
worker's process or a job's. `app.explorer.reading.directions` names the arrays and reads them. Knows no pages.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from app.core.address import Address
from app.core.basis import BASES, Basis, Parameters
from app.core.steps import Steps, within
from app.explorer.making.context import Arrays, Baked, Bench
from app.explorer.making.heads import read_matrix, term_arrays
from app.explorer.making.packing import packing
from app.explorer.making.sides import Asked, read_side
from app.explorer.making.subjects import Subject, subject

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix, Side

PARTS = {"matrix": 5, "terms": 69, "numbers": 10, "names": 1, "left": 5, "right": 5, "constant": 1, "packing": 4}
"""Percent of the work, for whoever looks on."""
STARTS = dict(zip(PARTS, accumulate(PARTS.values(), initial=0), strict=False))
POINTS = 48
"""Of the curve of explained energy, about."""
GAUSSIAN = 0.5
"""Size of the excess kurtosis below which a source is hardly told from a bell curve."""


def decomposition(bench: Bench, address: Address, parameters: Parameters, distance: int = 0) -> Steps[Baked]:
    """Every term of the matrix at the address in the basis of the address, read out at both sides."""
    basis = BASES[address.basis or "svd"]
    if basis.name == "svd" and address.circuit is not None:
        yield 0, 1
        assert address.layer is not None
        assert address.head is not None
        return read_matrix(bench, address.layer, address.head, address.circuit, distance)
    taken: Taken = yield from taken_apart(bench, address, parameters, distance)
    arrays, product, terms = taken.arrays, taken.product, taken.terms
    for each in taken.asked:
        part = "constant" if each.prefix == "bias" else each.prefix
        readout = yield from _within(part, read_side(bench, each.side, each.vectors, each.end))
        arrays |= {f"{each.prefix}_{name}": array for name, array in readout.items()}
    if basis.name == "dictionary" and len(terms.strength) > 1:
        where, side = _stream_side(product)
        steps = packing(bench, product, terms, side.name, arrays.get(f"{where}_coherence"))
        arrays |= yield from _within("packing", steps)
    return arrays, taken.facts


@dataclass(frozen=True)
class Taken:
    """A matrix taken apart, not read out."""

    product: "Matrix"
    terms: "Decomposition"
    arrays: Arrays
    facts: dict[str, Any]
    asked: list[Asked]
    """What is to be read out into its arrays."""


def taken_apart(bench: Bench, address: Address, parameters: Parameters, distance: int = 0) -> Steps[Any]:
    """All of the artifact but its readouts: `Taken`, which nobody else changes."""
    whole: Subject = yield from _within("matrix", subject(bench, address, distance))
    return (yield from subject_taken_apart(bench, address, whole, parameters))


def subject_taken_apart(bench: Bench, address: Address, whole: Subject, parameters: Parameters) -> Steps[Any]:
    """The same of a matrix that is at hand."""
    basis = BASES[address.basis or "svd"]
    product = whole.product
    terms: Decomposition = yield from _within("terms", basis.decompose(product, parameters))
    arrays, scores = yield from _within("numbers", _numbers(bench, basis, product, terms))
    arrays |= _names(bench, basis, product, terms)
    if basis.name == "neuron" and address.circuit is None and address.layer is not None:
        arrays |= yield from _within("names", _elsewhere(bench, address))
    # A matrix has the embedding's tokens on its left, or the unembedding's on its right.
    asked = [
        Asked(arrays, "left", product.left, terms.left, "read"),
        Asked(arrays, "right", product.right, terms.right, "write"),
    ]
    facts: dict[str, Any] = {"scores": scores, "has_bias": False}
    if constant := _constant(whole, terms):
        what, where, side, vector = constant
        asked.append(Asked(arrays, "bias", side, vector[None]))
        facts |= {"has_bias": True, "bias_side": where, "bias_is": what}
    if product.left.name == "position":
        arrays["left_curve"] = terms.left.numpy()
    if basis.is_fitted:
        from app.core.decomposition import of_stream

        arrays["vectors"] = of_stream(product, terms).numpy()
    return Taken(product, terms, arrays, facts, asked)


def _within(part: str, steps: Steps[Any]) -> Steps[Any]:
    """The steps of one part as steps of the whole."""
    return within(STARTS[part], PARTS[part], 100, steps)


def _numbers(bench: Bench, basis: Basis, product: "Matrix", terms: "Decomposition") -> Steps[Any]:
    """What is known of each term and of all of them together, without a readout."""
    from app.core.gram import gram
    from app.core.measuring.residue import relative_error
    from app.core.measuring.scores import SCORES

    if basis.name == "svd":
        energy = terms.strength.double().square().cumsum(0).cpu().numpy()
        shares = np.concatenate([[0.0], energy / energy[-1]]) if len(energy) else np.zeros(1)
        arrays = term_arrays(bench, product, terms) | _curve(shares, shares)
        return arrays, {name: score(terms.strength) for name, score in SCORES.items()}
    squares = _squares(product, terms) if basis.name == "pca" else (yield from within(0, 50, 100, gram(product)))
    arrays = term_arrays(bench, product, terms) if basis.has_neighbours else {}
    arrays |= _plain_arrays(terms, float(squares.trace())) | _shares(product, terms, squares)
    left = max(0.0, 1 - float(arrays["explained"][-1])) ** 0.5
    error_steps = within(50, 50, 100, relative_error(product, terms))
    # Projections leave what they do not explain; a fit may leave more than its span would.
    scores: dict[str, float] = {"error": (yield from error_steps) if basis.is_fitted else left}
    if terms.mean is not None:
        scores["mean-share"] = float(arrays["explained"][0])
    if basis.name == "ica" and terms.merit is not None and len(terms.merit):
        scores["gaussian-share"] = float((terms.merit.abs() < GAUSSIAN).double().mean())
    return arrays, scores


def _squares(product: "Matrix", terms: "Decomposition") -> "Tensor":
    """The Gram matrix of the samples from all their principal directions and their mean: another pass takes seconds."""
    import torch

    from app.core.decomposition import of_stream

    assert terms.mean is not None
    scaled, mean = of_stream(product, terms).double() * terms.strength.double()[:, None], terms.mean.double()
    return scaled.T @ scaled + _n_samples(product, terms) * torch.outer(mean, mean)


def _n_samples(product: "Matrix", terms: "Decomposition") -> int:
    from app.core.decomposition import of_samples

    return of_samples(product, terms).shape[1]


def _plain_arrays(terms: "Decomposition", size: float) -> Arrays:
    """The numbers that every basis has; `size`: the squared norm of the matrix."""
    strength = terms.strength.numpy()
    arrays: Arrays = {
        "index": np.arange(len(strength), dtype=np.int32),
        "strength": strength,
        "share": np.square(strength, dtype=np.float64) / size if size else np.zeros(len(strength)),
    }
    return arrays if terms.merit is None else arrays | {"merit": terms.merit.numpy()}


def _shares(product: "Matrix", terms: "Decomposition", squares: "Tensor") -> Arrays:
    from app.core.decomposition import of_stream
    from app.core.measuring.energy import explained, svd_explained

    shares = explained(squares, of_stream(product, terms), terms.mean, _n_samples(product, terms))
    return _curve(shares.numpy(), svd_explained(squares).numpy())


def _curve(shares: "np.ndarray[Any, Any]", best: "np.ndarray[Any, Any]") -> Arrays:
    """Points of a curve, close together where it is steep."""
    n = len(shares) - 1
    at = np.unique(np.geomspace(1, n, POINTS).round().astype(np.int32)) if n else np.zeros(0, np.int32)
    at = np.concatenate([np.zeros(1, np.int32), at])
    return {
        "explained_at": at,
        "explained": shares[at].astype(np.float32),
        "explained_svd": best[np.minimum(at, len(best) - 1)].astype(np.float32),
    }


def _names(bench: Bench, basis: Basis, product: "Matrix", terms: "Decomposition") -> Arrays:
    """What the coordinates of a side are called, and the terms of the neuron basis."""
    from app.core.bases.neuron import find_units
    from app.core.matrix import Space

    arrays: Arrays = {}
    shape, spaces = bench.model.manifest, {product.left.space, product.right.space}
    if Space.NEURON in spaces:
        arrays["units"] = _ranks(bench, product)
    if Space.HEADS in spaces:
        arrays["stack"] = np.array([shape.n_heads, shape.d_head], np.int32)
    if basis.name == "neuron":
        arrays["unit"] = find_units(product, terms).numpy().astype(np.int32)
    return arrays


def _elsewhere(bench: Bench, address: Address) -> Steps[Any]:
    """The place of each neuron among the norms of the other matrices of its MLP."""
    arrays: Arrays = {}
    for kind in bench.model.header.layer_kinds:
        if kind != address.kind:
            other: Subject = yield from subject(bench, address.at(kind))
            arrays[f"units_{kind}"] = _ranks(bench, other.product)
    return arrays


def _ranks(bench: Bench, product: "Matrix") -> "np.ndarray[Any, np.dtype[np.int32]]":
    """The place of each neuron among the norms, the largest first; -1 for one without weights."""
    from app.core.bases.neuron import by_norm

    neurons = by_norm(product.samples())[0].cpu().numpy()
    ranks = np.full(bench.model.manifest.d_mlp, -1, np.int32)
    ranks[neurons] = np.arange(len(neurons), dtype=np.int32)
    return ranks


def _constant(whole: Subject, terms: "Decomposition") -> "tuple[str, str, Side, Tensor] | None":
    """What belongs to no term: the mean that the basis took out, else what stands on the right side whatever is read."""
    product = whole.product
    if terms.mean is not None and _is_something(terms.mean, product, terms):
        where, side = _stream_side(product)
        return "mean", where, side, terms.mean
    if whole.bias is None or not bool(whole.bias.any()):
        return None
    return "bias", "right", product.right, whole.bias


def _is_something(mean: "Tensor", product: "Matrix", terms: "Decomposition") -> bool:
    """Whether it is more than the rounding of samples that were centred before."""
    import torch

    from app.core.decomposition import is_present

    share = mean.double().norm() * _n_samples(product, terms) ** 0.5
    return bool(is_present(torch.cat([share[None], terms.strength.double()]), len(mean))[0])


def _stream_side(product: "Matrix") -> "tuple[str, Side]":
    """Where the residual stream is, and as what it is read; a circuit's right side."""
    return ("right", product.right) if product.is_upright else ("left", product.left)
