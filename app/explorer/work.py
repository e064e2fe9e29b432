"""The computations of the explorer: a model's tensors in, the arrays of an artifact out. Runs in the worker's thread.

Torch is imported by what uses it, here as in `tables` and `notable`: a server that has its artifacts never needs it.
`app.explorer.directions` names the arrays and reads them. Knows no pages and no files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.core.address import CIRCUITS, Circuit
from app.explorer.compute import Steps
from app.explorer.directions import BADGE_KINDS
from app.explorer.library import OpenModel
from app.explorer.pages import Processing
from app.explorer.tables import Tables

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.circuits import Head
    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix

KEPT_TOKENS = 50
"""Tokens kept a ray; the direction's page shows them all."""
STRONGEST, STRONGEST_TOKENS = 3, 8
"""Directions of a matrix, and tokens a ray, on the layer's page."""

Arrays = dict[str, NDArray[Any]]
Baked = tuple[Arrays, dict[str, Any]]
"""Arrays and facts of an artifact."""


@dataclass(frozen=True)
class Bench:
    """What every computation needs to begin."""

    tables: Tables
    model: OpenModel
    processing: Processing


def matrix(bench: Bench, layer: int, head: int, circuit: Circuit, distance: int = 0) -> Baked:
    """All directions of one matrix, read out at both ends, and what belongs to no direction."""
    import torch

    tensors = head_tensors(bench, layer, head, distance)
    product, terms = decomposed(tensors, circuit)
    bias = _bias(tensors, circuit)
    arrays = term_arrays(bench, product, terms)
    # The bias is read with the directions of its side, as one more row: a readout costs a pass over the vocabulary.
    read = _read_sides(bench, product, terms.left, torch.cat([terms.right, bias[None]]), KEPT_TOKENS)
    for name, array in read.items():
        side, _, what = name.partition("_")
        if side == "right":
            arrays[f"bias_{what}"] = array[-1:]
        arrays[name] = array[: len(terms.strength)]
    arrays |= {"left": terms.left.numpy(), "right": terms.right.numpy()}
    facts = {
        "scores": matrix_scores(bench, circuit, product, terms),
        "has_bias": bool(bias.any()),
    }
    return arrays, facts


def layer(bench: Bench, index: int) -> Baked:
    """All heads of a layer in little: spectra, scores, and the strongest directions of each matrix read out."""
    manifest = bench.model.manifest
    spectra = np.zeros((manifest.n_heads, len(CIRCUITS), manifest.d_head), np.float32)
    values: dict[str, dict[str, float]] = {}
    rows: list[Arrays] = []
    heads = [head_tensors(bench, index, head) for head in range(manifest.n_heads)]
    for c, circuit in enumerate(CIRCUITS):
        found = [decomposed(tensors, circuit) for tensors in heads]
        for head, (product, terms) in enumerate(found):
            spectra[head, c, : len(terms.strength)] = terms.strength
            values[f"H{head}/{circuit}"] = matrix_scores(bench, circuit, product, terms)
        strongest = strongest_arrays(bench, found, STRONGEST, STRONGEST_TOKENS)
        rows.append(strongest | {"circuit": np.full(len(strongest["index"]), c, np.int8)})
    return joined(rows) | {"spectra": spectra}, {"scores": values}


def strongest_arrays(bench: Bench, found: "Sequence[tuple[Matrix, Decomposition]]", n: int, k: int) -> Arrays:
    """The first n directions of one matrix of every head, read out together: rows, with the head of each."""
    import torch

    rows = []
    for head, (product, terms) in enumerate(found):
        first = {name: array[:n] for name, array in term_arrays(bench, product, terms).items()}
        rows.append(first | {"head": np.full(len(first["index"]), head, np.int32)})
    left = torch.cat([terms.left[:n] for _, terms in found])
    right = torch.cat([terms.right[:n] for _, terms in found])
    product = found[0][0]
    return joined(rows) | _read_sides(bench, product, left, right, k)


def scores(bench: Bench) -> Steps:
    """The numbers of every head of the model, a layer at a time: arrays [layers, heads], one a score."""
    n_layers, n_heads = bench.model.manifest.n_layers, bench.model.manifest.n_heads
    arrays: Arrays = {}
    for index in range(n_layers):
        yield index, n_layers
        for head in range(n_heads):
            tensors = head_tensors(bench, index, head)
            for circuit in CIRCUITS:
                product, terms = decomposed(tensors, circuit)
                for name, value in matrix_scores(bench, circuit, product, terms).items():
                    key = name if name == "copying" else f"{circuit}-{name}"
                    arrays.setdefault(key, np.zeros((n_layers, n_heads)))[index, head] = value
    return arrays, {"scores": list(arrays)}


def head_tensors(bench: Bench, layer: int, head: int, distance: int = 0) -> "Head":
    """One head's tensors under the processing, its queries turned against keys so many positions before them."""
    from app.core.folding import fold_head
    from app.core.rotary import at_distance

    weights = bench.model.weights()
    tensors = weights.head(layer, head)
    folded = bench.processing == "folded"
    if folded:
        tensors = fold_head(tensors, weights.norms(layer, head))
    # Folded weights are turned at distance 0 too: that turns nothing, but it has the scale that YaRN gives the scores.
    if bench.model.manifest.positions == "rotary" and (folded or distance):
        rotary = weights.rotary(layer)
        tensors = tensors if rotary is None else at_distance(tensors, rotary, distance)
    return tensors


def decomposed(tensors: "Head", circuit: Circuit) -> "tuple[Matrix, Decomposition]":
    """A matrix of the head, and its singular directions."""
    from app.core.bases import BASES
    from app.core.circuits import CIRCUITS as PRODUCTS

    product = PRODUCTS[circuit](tensors)
    return product, BASES["svd"](product)


def term_arrays(bench: Bench, product: "Matrix", terms: "Decomposition") -> Arrays:
    """What is known of each direction without a readout."""
    import torch

    from app.core.decomposition import badges, gaps, rounding_norms
    from app.core.scores import energy_shares

    stored = getattr(torch, bench.model.manifest.dtype)
    warnings = badges(terms.strength, rounding_norms(product, terms, stored))
    return {
        "index": np.arange(len(terms.strength), dtype=np.int32),
        "strength": terms.strength.numpy(),
        "share": energy_shares(terms.strength).numpy(),
        "gap": gaps(terms.strength).numpy(),
        "badge_kind": np.array([BADGE_KINDS.index(badge.kind) for badge in warnings], np.int8),
        "badge_degrees": np.array([badge.degrees for badge in warnings], np.float32),
        "badge_first": np.array([badge.first for badge in warnings], np.int32),
        "badge_last": np.array([badge.last for badge in warnings], np.int32),
    }


def matrix_scores(bench: Bench, circuit: Circuit, product: "Matrix", terms: "Decomposition") -> dict[str, float]:
    """The scores of a matrix by name, `copying` first where it writes."""
    from app.core.scores import SCORES, copying

    values = {name: score(terms.strength) for name, score in SCORES.items()}
    if circuit == "ov":
        values = {"copying": copying(product, bench.tables.gram(bench.model, bench.processing))} | values
    return values


def _bias(tensors: "Head", circuit: Circuit) -> "Tensor":
    from app.core.circuits import key_bias, ov_constant

    return ov_constant(tensors) if circuit == "ov" else key_bias(tensors)


def _read_sides(bench: Bench, product: "Matrix", left: "Tensor", right: "Tensor", k: int) -> Arrays:
    arrays: Arrays = {}
    for side, name, vectors in (("left", product.left.name, left), ("right", product.right.name, right)):
        readout = bench.tables.read(bench.model, bench.processing, name, vectors, k)
        arrays |= {f"{side}_{what}": array for what, array in readout.items()}
    return arrays


def joined(parts: list[Arrays]) -> Arrays:
    """The rows of all parts, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
