"""The matrices of a head: decomposed, many heads together, read out, and summed up for a layer and for the map.

Torch is imported only by functions that use it, here as in `tables`: a server that has its artifacts never needs it.
`app.explorer.reading.directions` names the arrays and reads them. Knows no pages and no files.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.core.address import CIRCUITS, Circuit
from app.core.steps import Steps
from app.explorer.layout import BADGE_KINDS, KEPT_TOKENS, SIDE_PREFIXES, STRONGEST_DIRECTIONS, STRONGEST_TOKENS
from app.explorer.library import OpenModel
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.sides import ReadoutRequest, join_rows, read_together

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.circuits import Head
    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix


@dataclass(frozen=True)
class HeadMatrix:
    """One matrix of a head, decomposed but not read out."""

    head: int
    circuit: Circuit
    product: "Matrix"
    terms: "Decomposition"
    bias: "Tensor"
    """The vector that belongs to no direction: written by OV, or read at the key."""


@dataclass(frozen=True)
class HeadPart:
    """One matrix of a head as the pages need it: an artifact, or the first rows of one."""

    head: int
    circuit: Circuit
    strength: NDArray[np.float32]
    """The singular values of all its directions, however many rows there are."""
    arrays: Arrays
    facts: dict[str, Any]


def read_matrix(context: Context, layer: int, head: int, circuit: Circuit, distance: int = 0) -> ArraysAndFacts:
    """Decompose one matrix of a head, and read out all directions at both ends, and the bias."""
    (part,) = read_out_heads(context, decompose_heads(context, layer, [(head, circuit)], distance))
    return part.arrays, part.facts


def read_layer(context: Context, index: int) -> ArraysAndFacts:
    """Summarise all heads of a layer: spectra, scores, and the readouts of each matrix's strongest directions."""
    matrices = decompose_heads(context, index, list_matrices(context.model))
    return summarise_layer(context.model, read_out_heads(context, matrices, STRONGEST_TOKENS, STRONGEST_DIRECTIONS))


def score_heads(context: Context) -> Steps[ArraysAndFacts]:
    """Score every head of the model, a layer at a time: arrays [layers, heads], one for each score."""
    n_layers = context.model.manifest.n_layers
    values: list[dict[str, NDArray[np.float64]]] = []
    for index in range(n_layers):
        yield index, n_layers
        matrices = decompose_heads(context, index, list_matrices(context.model))
        values.append(
            head_score_arrays(
                context.model, [(each.head, each.circuit, _score_matrix(context, each)) for each in matrices]
            )
        )
    return map_artifact(values)


def list_matrices(model: OpenModel) -> list[tuple[int, Circuit]]:
    """List the heads and circuits of a layer."""
    return [(head, circuit) for head in range(model.manifest.n_heads) for circuit in CIRCUITS]


def decompose_heads(
    context: Context, layer: int, wanted: Iterable[tuple[int, Circuit]], distance: int = 0, device: str = "cpu"
) -> list[HeadMatrix]:
    """Decompose those matrices of a layer, the ones of a circuit together; each head's tensors are read once."""
    return [each for circuit in plan_decompositions(context, layer, wanted, distance, device) for each in circuit()]


def plan_decompositions(
    context: Context, layer: int, wanted: Iterable[tuple[int, Circuit]], distance: int = 0, device: str = "cpu"
) -> list[Callable[[], list[HeadMatrix]]]:
    """Return one call for each circuit that decomposes those matrices of a layer; any thread may make it."""
    from app.core.bases.svd import decompose_all
    from app.core.circuits import CIRCUITS as PRODUCTS
    from app.core.exact.shares import map_side_by_side, shares_of

    wanted = list(wanted)
    needed = sorted({head for head, _ in wanted})
    read = map_side_by_side(lambda head: read_head_tensors(context, layer, head, distance), needed, shares_of(device))
    tensors = dict(zip(needed, read, strict=True))

    def taken_apart(circuit: Circuit, heads: Sequence[int]) -> list[HeadMatrix]:
        products = [PRODUCTS[circuit](tensors[head]).to(device) for head in heads]
        return [
            HeadMatrix(head, circuit, product, terms, _bias_of(tensors[head], circuit))
            for head, product, terms in zip(heads, products, decompose_all(products), strict=True)
        ]

    heads = {circuit: [head for head, of in wanted if of == circuit] for circuit in CIRCUITS}
    return [partial(taken_apart, circuit, own) for circuit, own in heads.items() if own]


def read_out_heads(
    context: Context, matrices: Sequence[HeadMatrix], k: int = KEPT_TOKENS, n: int | None = None
) -> list[HeadPart]:
    """Read out the first n directions of each matrix together; or all, with the biases."""
    parts, asked = prepare_parts(context, matrices, n)
    read_together(context, asked, k)
    return parts


def prepare_parts(
    context: Context, matrices: Sequence[HeadMatrix], n: int | None = None
) -> tuple[list[HeadPart], list[ReadoutRequest]]:
    """Return the parts of matrices without readouts, the first n directions or all, and the readouts they still need."""
    from app.core.exact.shares import map_side_by_side, shares_of

    if any(each.circuit == "ov" for each in matrices):
        context.tables.gram(context.model, context.processing)  # before several threads ask for it
    parts = map_side_by_side(lambda each: _prepare_part(context, each, n), matrices, shares_of(context.tables.device()))
    asked: list[ReadoutRequest] = []
    for each, part in zip(matrices, parts, strict=True):
        sides = [("left", each.product.left, each.terms.left[:n]), ("right", each.product.right, each.terms.right[:n])]
        if n is None and part.facts["has_bias"]:
            sides.append(("bias", each.product.right, each.bias[None]))
        asked += [ReadoutRequest(part.arrays, *side) for side in sides]
    return parts, asked


def _prepare_part(context: Context, each: HeadMatrix, n: int | None) -> HeadPart:
    arrays = {name: array[:n] for name, array in term_arrays(context, each.product, each.terms).items()}
    facts = {"scores": _score_matrix(context, each), "has_bias": bool(each.bias.any())}
    return HeadPart(each.head, each.circuit, each.terms.strength.cpu().numpy(), arrays, facts)


def summarise_layer(model: OpenModel, parts: Sequence[HeadPart]) -> ArraysAndFacts:
    """Return the artifact of a layer's page from all its matrices."""
    manifest = model.manifest
    spectra = np.zeros((manifest.n_heads, len(CIRCUITS), manifest.d_head), np.float32)
    for part in parts:
        spectra[part.head, CIRCUITS.index(part.circuit), : len(part.strength)] = part.strength
    values = {f"H{part.head}/{part.circuit}": part.facts["scores"] for part in parts}
    return stack_strongest(parts, STRONGEST_DIRECTIONS, STRONGEST_TOKENS) | {"spectra": spectra}, {"scores": values}


def stack_strongest(parts: Sequence[HeadPart], n: int, k: int) -> Arrays:
    """Return the first n directions of each matrix with k tokens for each ray, and the head and the circuit of each
    row.
    """
    rows = []
    for part in parts:
        first = summarise_arrays(part.arrays, n, k)
        n_rows = len(first["index"])
        of: Arrays = {
            "head": np.full(n_rows, part.head, np.int32),
            "circuit": np.full(n_rows, CIRCUITS.index(part.circuit), np.int8),
        }
        rows.append(first | of)
    return join_rows(rows)


def summarise_arrays(arrays: Arrays, n: int, k: int) -> Arrays:
    """Return a summary of a matrix's arrays: the first n directions with k tokens for each ray, without the bias."""
    first = {name: array[:n] for name, array in arrays.items() if not name.startswith("bias")}
    return first | {name: array[:, :k] for name, array in first.items() if name.endswith(("_ids", "_scores"))}


def head_score_arrays(
    model: OpenModel, values: Iterable[tuple[int, Circuit, dict[str, float]]]
) -> dict[str, NDArray[np.float64]]:
    """Return the scores of a layer's heads by their names on the map, one number for each head."""
    rows: dict[str, NDArray[np.float64]] = {}
    for head, circuit, scores_of in values:
        for name, value in scores_of.items():
            key = name if name == "copying" else f"{circuit}-{name}"
            rows.setdefault(key, np.zeros(model.manifest.n_heads))[head] = value
    return rows


def map_artifact(layers: Sequence[dict[str, NDArray[np.float64]]]) -> ArraysAndFacts:
    """Return the artifact of a model's map, from the scores of its layers."""
    arrays = {name: np.stack([layer[name] for layer in layers]) for name in layers[0]}
    return arrays, {"scores": list(arrays)}


def read_head_tensors(context: Context, layer: int, head: int, distance: int = 0) -> "Head":
    """Read one head's tensors under the processing, its queries rotated against keys so many positions before them."""
    from app.core.folding import fold_head
    from app.core.rotary import rotate_head

    weights = context.model.weights()
    tensors = weights.head(layer, head)
    folded = context.processing == "folded"
    if folded:
        tensors = fold_head(tensors, weights.norms(layer, head))
    # Folded weights are rotated at distance 0 too: the angle is 0, but YaRN scales the scores.
    if context.model.manifest.positions == "rotary" and (folded or distance):
        rotary = weights.rotary(layer)
        tensors = tensors if rotary is None else rotate_head(tensors, rotary, distance)
    return tensors


def term_arrays(context: Context, product: "Matrix", terms: "Decomposition") -> Arrays:
    """Return the numbers of singular directions, or others that can rotate into each other, without a readout."""
    import torch

    from app.core.decomposition import badges, relative_gaps, rounding_norms
    from app.core.measuring.scores import energy_shares

    stored = getattr(torch, context.model.manifest.dtype)
    warnings = badges(terms.strength, rounding_norms(product, terms, stored))
    return {
        "index": np.arange(len(terms.strength), dtype=np.int32),
        "strength": terms.strength.cpu().numpy(),
        "share": energy_shares(terms.strength).cpu().numpy(),
        "gap": relative_gaps(terms.strength).cpu().numpy(),
        "badge_kind": np.array([BADGE_KINDS.index(badge.kind) for badge in warnings], np.int8),
        "badge_degrees": np.array([badge.degrees for badge in warnings], np.float32),
        "badge_first": np.array([badge.first for badge in warnings], np.int32),
        "badge_last": np.array([badge.last for badge in warnings], np.int32),
        **turn_arrays(context, product, terms),
    }


def turn_arrays(context: Context, product: "Matrix", terms: "Decomposition") -> Arrays:
    """Return how far another rounding of a quantised copy would rotate each direction; nan where that is not known."""
    from app.core.measuring.turns import predict_turns

    if context.model.manifest.quantisation is None:
        return {}
    sides = predict_turns(product, terms)
    if sides is None:
        unknown = np.full(len(terms.strength), np.nan, np.float32)
        return {f"{what}_{side}": unknown for what in ("turn", "rest") for side in SIDE_PREFIXES}
    return {
        f"{what}_{side}": values.float().cpu().numpy()
        for side, one in zip(SIDE_PREFIXES, sides, strict=True)
        for what, values in (("turn", one.degrees), ("rest", one.rest))
    }


def _score_matrix(context: Context, each: HeadMatrix) -> dict[str, float]:
    """Score a matrix, by name; `copying` first for an OV."""
    from app.core.measuring.scores import SCORES, copying_score

    values = {name: score(each.terms.strength) for name, score in SCORES.items()}
    if each.circuit == "ov":
        gram = context.tables.gram(context.model, context.processing)
        values = {"copying": copying_score(each.product, gram.to(each.product.factors[0].device))} | values
    return values


def _bias_of(tensors: "Head", circuit: Circuit) -> "Tensor":
    from app.core.circuits import key_bias, ov_constant

    return ov_constant(tensors) if circuit == "ov" else key_bias(tensors)
