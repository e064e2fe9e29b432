"""The computations of the explorer: a model's tensors in, the arrays of an artifact out. Runs in a worker's process.

Torch is imported by what uses it, here as in `tables`: a server that has its artifacts never needs it.
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
from app.explorer.layout import BADGE_KINDS, KEPT_TOKENS, PREFIXES, STRONGEST, STRONGEST_TOKENS
from app.explorer.library import OpenModel
from app.explorer.making.context import Arrays, Baked, Bench
from app.explorer.making.sides import Asked, joined, read_together

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.circuits import Head
    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix


@dataclass(frozen=True)
class HeadMatrix:
    """One matrix of a head, taken apart but not read out."""

    head: int
    circuit: Circuit
    product: "Matrix"
    terms: "Decomposition"
    bias: "Tensor"
    """What belongs to no direction: written, or read at the key."""


@dataclass(frozen=True)
class Part:
    """One matrix of a head as the pages need it: an artifact, or the first rows of one."""

    head: int
    circuit: Circuit
    strength: NDArray[np.float32]
    """Of all its directions, whatever rows there are."""
    arrays: Arrays
    facts: dict[str, Any]


def read_matrix(bench: Bench, layer: int, head: int, circuit: Circuit, distance: int = 0) -> Baked:
    """All directions of one matrix, read out at both ends, and what belongs to no direction."""
    (part,) = read_out(bench, take_apart(bench, layer, [(head, circuit)], distance))
    return part.arrays, part.facts


def read_layer(bench: Bench, index: int) -> Baked:
    """All heads of a layer in little: spectra, scores, and the strongest directions of each matrix read out."""
    matrices = take_apart(bench, index, every_matrix(bench.model))
    return summary(bench.model, read_out(bench, matrices, STRONGEST_TOKENS, STRONGEST))


def score_heads(bench: Bench) -> Steps[Baked]:
    """The numbers of every head of the model, a layer at a time: arrays [layers, heads], one a score."""
    n_layers = bench.model.manifest.n_layers
    values: list[dict[str, NDArray[np.float64]]] = []
    for index in range(n_layers):
        yield index, n_layers
        matrices = take_apart(bench, index, every_matrix(bench.model))
        values.append(score_rows(bench.model, [(each.head, each.circuit, _scores(bench, each)) for each in matrices]))
    return score_map(values)


def every_matrix(model: OpenModel) -> list[tuple[int, Circuit]]:
    """Heads and circuits of a layer."""
    return [(head, circuit) for head in range(model.manifest.n_heads) for circuit in CIRCUITS]


def take_apart(
    bench: Bench, layer: int, wanted: Iterable[tuple[int, Circuit]], distance: int = 0, device: str = "cpu"
) -> list[HeadMatrix]:
    """Those matrices of a layer, one circuit's taken apart together; each head's tensors are read once."""
    return [each for circuit in take_apart_by_circuit(bench, layer, wanted, distance, device) for each in circuit()]


def take_apart_by_circuit(
    bench: Bench, layer: int, wanted: Iterable[tuple[int, Circuit]], distance: int = 0, device: str = "cpu"
) -> list[Callable[[], list[HeadMatrix]]]:
    """The same, each circuit's still to be called for, by any thread."""
    from app.core.bases.svd import decompose_all
    from app.core.circuits import CIRCUITS as PRODUCTS
    from app.core.exact.shares import shares_of, side_by_side

    wanted = list(wanted)
    needed = sorted({head for head, _ in wanted})
    read = side_by_side(lambda head: head_tensors(bench, layer, head, distance), needed, shares_of(device))
    tensors = dict(zip(needed, read, strict=True))

    def taken_apart(circuit: Circuit, heads: Sequence[int]) -> list[HeadMatrix]:
        products = [PRODUCTS[circuit](tensors[head]).to(device) for head in heads]
        return [
            HeadMatrix(head, circuit, product, terms, _bias(tensors[head], circuit))
            for head, product, terms in zip(heads, products, decompose_all(products), strict=True)
        ]

    heads = {circuit: [head for head, of in wanted if of == circuit] for circuit in CIRCUITS}
    return [partial(taken_apart, circuit, own) for circuit, own in heads.items() if own]


def read_out(bench: Bench, matrices: Sequence[HeadMatrix], k: int = KEPT_TOKENS, n: int | None = None) -> list[Part]:
    """The first n directions of each matrix read out together, or all with what belongs to none."""
    parts, asked = unread(bench, matrices, n)
    read_together(bench, asked, k)
    return parts


def unread(bench: Bench, matrices: Sequence[HeadMatrix], n: int | None = None) -> tuple[list[Part], list[Asked]]:
    """All but the readouts of the first n directions of each matrix, or of all; and what is to be read out."""
    from app.core.exact.shares import shares_of, side_by_side

    if any(each.circuit == "ov" for each in matrices):
        bench.tables.gram(bench.model, bench.processing)  # before several threads ask for it
    parts = side_by_side(lambda each: _unread(bench, each, n), matrices, shares_of(bench.tables.device()))
    asked: list[Asked] = []
    for each, part in zip(matrices, parts, strict=True):
        sides = [("left", each.product.left, each.terms.left[:n]), ("right", each.product.right, each.terms.right[:n])]
        if n is None and part.facts["has_bias"]:
            sides.append(("bias", each.product.right, each.bias[None]))
        asked += [Asked(part.arrays, *side) for side in sides]
    return parts, asked


def _unread(bench: Bench, each: HeadMatrix, n: int | None) -> Part:
    arrays = {name: array[:n] for name, array in term_arrays(bench, each.product, each.terms).items()}
    facts = {"scores": _scores(bench, each), "has_bias": bool(each.bias.any())}
    return Part(each.head, each.circuit, each.terms.strength.cpu().numpy(), arrays, facts)


def summary(model: OpenModel, parts: Sequence[Part]) -> Baked:
    """A layer's artifact, from all its matrices."""
    manifest = model.manifest
    spectra = np.zeros((manifest.n_heads, len(CIRCUITS), manifest.d_head), np.float32)
    for part in parts:
        spectra[part.head, CIRCUITS.index(part.circuit), : len(part.strength)] = part.strength
    values = {f"H{part.head}/{part.circuit}": part.facts["scores"] for part in parts}
    return strongest(parts, STRONGEST, STRONGEST_TOKENS) | {"spectra": spectra}, {"scores": values}


def strongest(parts: Sequence[Part], n: int, k: int) -> Arrays:
    """The first n directions of each matrix with k tokens a ray: rows, with the head and the circuit of each."""
    rows = []
    for part in parts:
        first = in_little(part.arrays, n, k)
        n_rows = len(first["index"])
        of: Arrays = {
            "head": np.full(n_rows, part.head, np.int32),
            "circuit": np.full(n_rows, CIRCUITS.index(part.circuit), np.int8),
        }
        rows.append(first | of)
    return joined(rows)


def in_little(arrays: Arrays, n: int, k: int) -> Arrays:
    """Of a matrix's arrays the first n directions with k tokens a ray; nothing of what belongs to no direction."""
    first = {name: array[:n] for name, array in arrays.items() if not name.startswith("bias")}
    return first | {name: array[:, :k] for name, array in first.items() if name.endswith(("_ids", "_scores"))}


def score_rows(
    model: OpenModel, values: Iterable[tuple[int, Circuit, dict[str, float]]]
) -> dict[str, NDArray[np.float64]]:
    """The scores of a layer's heads by their names on the map, one number a head."""
    rows: dict[str, NDArray[np.float64]] = {}
    for head, circuit, scores_of in values:
        for name, value in scores_of.items():
            key = name if name == "copying" else f"{circuit}-{name}"
            rows.setdefault(key, np.zeros(model.manifest.n_heads))[head] = value
    return rows


def score_map(layers: Sequence[dict[str, NDArray[np.float64]]]) -> Baked:
    """The artifact of a model's map, from the scores of its layers."""
    arrays = {name: np.stack([layer[name] for layer in layers]) for name in layers[0]}
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


def term_arrays(bench: Bench, product: "Matrix", terms: "Decomposition") -> Arrays:
    """What is known of singular directions, or others that can turn towards each other, without a readout."""
    import torch

    from app.core.decomposition import badges, gaps, rounding_norms
    from app.core.measuring.scores import energy_shares

    stored = getattr(torch, bench.model.manifest.dtype)
    warnings = badges(terms.strength, rounding_norms(product, terms, stored))
    return {
        "index": np.arange(len(terms.strength), dtype=np.int32),
        "strength": terms.strength.cpu().numpy(),
        "share": energy_shares(terms.strength).cpu().numpy(),
        "gap": gaps(terms.strength).cpu().numpy(),
        "badge_kind": np.array([BADGE_KINDS.index(badge.kind) for badge in warnings], np.int8),
        "badge_degrees": np.array([badge.degrees for badge in warnings], np.float32),
        "badge_first": np.array([badge.first for badge in warnings], np.int32),
        "badge_last": np.array([badge.last for badge in warnings], np.int32),
        **turn_arrays(bench, product, terms),
    }


def turn_arrays(bench: Bench, product: "Matrix", terms: "Decomposition") -> Arrays:
    """How far another rounding of a quantised copy would turn each direction; nan where that is not known."""
    from app.core.measuring.turns import turns

    if bench.model.manifest.quantisation is None:
        return {}
    sides = turns(product, terms)
    if sides is None:
        unknown = np.full(len(terms.strength), np.nan, np.float32)
        return {f"{what}_{side}": unknown for what in ("turn", "rest") for side in PREFIXES}
    return {
        f"{what}_{side}": values.float().cpu().numpy()
        for side, one in zip(PREFIXES, sides, strict=True)
        for what, values in (("turn", one.degrees), ("rest", one.rest))
    }


def _scores(bench: Bench, each: HeadMatrix) -> dict[str, float]:
    """The scores of a matrix by name, `copying` first where it writes."""
    from app.core.measuring.scores import SCORES, copying

    values = {name: score(each.terms.strength) for name, score in SCORES.items()}
    if each.circuit == "ov":
        gram = bench.tables.gram(bench.model, bench.processing)
        values = {"copying": copying(each.product, gram.to(each.product.factors[0].device))} | values
    return values


def _bias(tensors: "Head", circuit: Circuit) -> "Tensor":
    from app.core.circuits import key_bias, ov_constant

    return ov_constant(tensors) if circuit == "ov" else key_bias(tensors)
