"""The census of a layer, or of the model's ends: z and p of both rays of every singular direction, a row for each
direction.

It also counts what shows how much of that is the direction's own: the same matrices restricted at random to the rank of
a head's, random vectors of their spans, and the embedding's principal components. Results in a matrix's artifact are
taken from there; the rest is computed and not kept. `app.explorer.reading.census.counts` sums the rows up. Runs in a
worker's process or in a job's process. Knows no pages.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from app.core.address import CIRCUITS, Address, Circuit
from app.core.basis import BASES
from app.core.judging.rays import HEADLINE
from app.core.steps import Steps, rescale_steps
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.groups import (
    AXES,
    CUT,
    DRAWS,
    GROUPS,
    PRINCIPAL,
    SEED,
    SPAN,
    SPAN_HEADS,
    SPAN_VECTORS,
    WEIGHTED,
    can_be_cut,
    end_of,
    ends_of,
)
from app.explorer.inventory import is_double
from app.explorer.layout import SIDE_PREFIXES
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.heads import HeadMatrix, decompose_heads, read_head_tensors
from app.explorer.making.judging.controls import load_control
from app.explorer.making.judging.readability import read_headlines
from app.explorer.making.sides import join_rows
from app.explorer.making.subjects import Subject, read_mlp_subjects, read_subject
from app.explorer.view import End

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix, Side

VECTORS_AT_ONCE = 512
"""Vectors of single matrices read out in one step, about: the worker may serve others between two steps."""
DRAWN_AT_ONCE = 1_536
"""Drawn vectors read out in one step: three times as many take less than three times as long."""
DRAWN_STEPS = 8
"""The share of a layer's steps for drawn vectors: about as much work as so many heads."""
SIDE_GROUPS: dict[Circuit, dict[str, str]] = {
    "ov": {"left": "ov-read", "right": "ov-write"},
    "qk": {"left": "qk-query", "right": "qk-key"},
}
"""The groups of a circuit's sides."""


class DrawnVectors(NamedTuple):
    """Vectors of the stream that are drawn from one matrix, or the directions of a rank-restricted one."""

    group: str
    part: int
    """The head, or the number of the draw."""
    vectors: "Tensor"


def count_layer(context: Context, index: int) -> Steps[ArraysAndFacts]:
    """Count that layer: its heads, its MLP, its rank-restricted MLP, and random vectors of their spans."""
    model = context.model.header
    place = Address(model.slug, None, index)
    total = model.n_heads + len(model.layer_kinds) + DRAWN_STEPS
    rows: list[Arrays] = []
    size = max(1, VECTORS_AT_ONCE // model.d_head)
    for start in range(0, model.n_heads, size):
        heads = range(start, min(start + size, model.n_heads))
        rows += yield from _report_part(start, total, _count_heads(context, index, heads))
    for done, kind in enumerate(model.layer_kinds, model.n_heads):
        rows += yield from _report_part(done, total, _count_matrix(context, place.at(kind)))
    rows += yield from _report_part(
        total - DRAWN_STEPS, total, _count_drawn(context, _draw_from_layer(context, index)), DRAWN_STEPS
    )
    return _sort_rows(rows), {}


def count_ends(context: Context) -> Steps[ArraysAndFacts]:
    """Count embedding, unembedding, the embedding's principal components and the rank-restricted embedding; and the
    controls by their own z.
    """
    model = context.model.header
    place = Address(model.slug)
    asked = [place.at(kind) for kind in ends_of(model) if not is_double(model, place.at(kind), context.processing)]
    asked.append(replace(place.at("embed"), basis="pca"))
    rows: list[Arrays] = []
    for done, address in enumerate(asked):
        rows += yield from _report_part(done, len(asked) + 1, _count_matrix(context, address))
    rows += yield from _report_part(
        len(asked), len(asked) + 1, _count_drawn(context, _draw_from_embedding(context, place.at("embed")))
    )
    return _sort_rows(rows) | _count_controls(context), {}


def count_axes(context: Context, index: int, statistics: int) -> ArraysAndFacts:
    """Count the axes that the outputs of a layer's heads vary along, from their artifacts; ComputationFailed if one is
    missing.
    """
    rows: list[Arrays] = []
    for head in range(context.model.header.n_heads):
        place = Address(context.model.header.slug, None, index, head, "ov", "used")
        recipe = recipes.decomposition(context.model, place, context.processing, {"statistics": statistics})
        artifact = context.store.read(recipe)
        if artifact is None:
            raise ComputationFailed(f"{place.label} is not here, and cannot be counted.")
        rows += [
            _group_rows(group + AXES, head, _headline_arrays(artifact.arrays, f"{side}_"))
            for side, group in SIDE_GROUPS["ov"].items()
        ]
    return _sort_rows(rows), {}


def _count_heads(context: Context, index: int, heads: Iterable[int]) -> Steps[list[Arrays]]:
    """Return the rows of those heads; matrices without an artifact are decomposed and read out together."""
    rows: list[Arrays] = []
    missing: list[tuple[int, Circuit]] = []
    for head in heads:
        for circuit in CIRCUITS:
            artifact = context.store.read(recipes.matrix(context.model, index, head, circuit, context.processing))
            if artifact is None:
                missing.append((head, circuit))
            else:
                rows += [
                    _group_rows(SIDE_GROUPS[circuit][side], head, _headline_arrays(artifact.arrays, f"{side}_"))
                    for side in SIDE_GROUPS[circuit]
                ]
    found = decompose_heads(context, index, missing) if missing else []
    shares = [
        (prefix, [each for each in found if each.circuit == circuit])
        for circuit in CIRCUITS
        for prefix in SIDE_PREFIXES
    ]
    for done, (prefix, own) in enumerate(shares):
        if own:
            rows += yield from _report_part(done, len(shares), _count_side(context, prefix, own))
    return rows


def _count_side(context: Context, prefix: str, found: Sequence[HeadMatrix]) -> Steps[list[Arrays]]:
    """Return the rows of one side of several heads' matrices, the same side in all."""
    import torch

    terms = [each.terms.left if prefix == "left" else each.terms.right for each in found]
    product = found[0].product
    judged = yield from _judge_vectors(context, product.left if prefix == "left" else product.right, torch.cat(terms))
    ends = np.cumsum([len(vectors) for vectors in terms])[:-1]
    shares = zip(*(np.split(judged[name], ends) for name in ("z", "p")), strict=True)
    return [
        _group_rows(SIDE_GROUPS[each.circuit][prefix], each.head, {"z": z, "p": p})
        for each, (z, p) in zip(found, shares, strict=True)
    ]


def _count_matrix(context: Context, address: Address) -> Steps[list[Arrays]]:
    """Return the rows of one matrix by itself, in the basis of the address."""
    assert address.kind is not None
    basis = address.basis or "svd"
    group = address.kind + (PRINCIPAL if basis == "pca" else "")
    artifact = context.store.read(recipes.decomposition(context.model, address, context.processing, {}))
    if artifact is not None:
        prefix = "right_" if end_of(group) == "write" else "left_"
        return [_group_rows(group, 0, _headline_arrays(artifact.arrays, prefix))]
    whole: Subject = yield from _report_part(0, 3, read_subject(context, address))
    terms: Decomposition = yield from _report_part(1, 3, BASES[basis].decompose(whole.product, {}))
    judged = yield from _report_part(2, 3, _judge_vectors(context, *_find_stream_side(whole.product, terms)))
    return [_group_rows(group, 0, judged)]


def _count_drawn(context: Context, drawing: Steps[list[DrawnVectors]]) -> Steps[list[Arrays]]:
    """Return the rows of all drawn vectors, those of one table read out together."""
    import torch

    drawn = yield from _report_part(0, 3, drawing)
    rows: list[Arrays] = []
    by_end: dict[End, list[DrawnVectors]] = {"read": [], "write": []}
    for each in drawn:
        by_end[end_of(each.group)].append(each)
    for done, (end, own) in enumerate(by_end.items(), 1):
        if own:
            vectors = torch.cat([each.vectors for each in own])
            judged = yield from _report_part(done, 3, _judge_in_parts(context, end, vectors, DRAWN_AT_ONCE))
            ends = np.cumsum([len(each.vectors) for each in own])[:-1]
            shares = zip(*(np.split(judged[name], ends) for name in ("z", "p")), strict=True)
            rows += [
                _group_rows(each.group, each.part, {"z": z, "p": p}) for each, (z, p) in zip(own, shares, strict=True)
            ]
    return rows


def _draw_from_layer(context: Context, index: int) -> Steps[list[DrawnVectors]]:
    """Draw vectors from a layer's matrices."""
    kinds = context.model.header.layer_kinds
    yield 0, 3
    wholes = dict(zip(kinds, read_mlp_subjects(context, index, kinds), strict=True)) if kinds else {}
    found = [*_draw_weighted(context, index, {kind: whole.product for kind, whole in wholes.items()})]
    yield 1, 3
    found += _draw_from_spans(context, index)
    for done, (kind, whole) in enumerate(wholes.items()):
        yield 2 * len(wholes) + done, 3 * len(wholes)
        if can_be_cut(context.model.header):
            found += _draw_restricted(context, kind, whole.product, SEED + DRAWS * index)
    return found


def _draw_from_embedding(context: Context, address: Address) -> Steps[list[DrawnVectors]]:
    """Draw vectors from the embedding."""
    whole: Subject = yield from _report_part(0, 2, read_subject(context, address))
    yield 1, 2
    return _draw_restricted(context, "embed", whole.product, SEED)


def _draw_from_spans(context: Context, index: int) -> Iterator[DrawnVectors]:
    """Draw random vectors of the spans of some heads' matrices."""
    from app.core.judging.rotation import draw_in_span

    n_heads = context.model.header.n_heads
    heads = np.random.default_rng([SEED, index]).permutation(n_heads)[:SPAN_HEADS].tolist()
    for each in decompose_heads(context, index, [(head, circuit) for head in sorted(heads) for circuit in CIRCUITS]):
        for prefix, group in SIDE_GROUPS[each.circuit].items():
            directions = each.terms.left if prefix == "left" else each.terms.right
            if len(directions):
                yield DrawnVectors(
                    group + SPAN, each.head, draw_in_span(directions, SPAN_VECTORS, _seed_for(index, each.head, group))
                )


def _draw_weighted(context: Context, index: int, mlp: "Mapping[str, Matrix]") -> Iterator[DrawnVectors]:
    """Map random vectors through each matrix of the layer, for each side that is the stream's."""
    from app.core.circuits import CIRCUITS as PRODUCTS
    from app.core.judging.rotation import draw_images

    for head in range(context.model.header.n_heads):
        tensors = read_head_tensors(context, index, head)
        for circuit, groups in SIDE_GROUPS.items():
            factors = PRODUCTS[circuit](tensors).factors
            for prefix, group in groups.items():
                own = factors if prefix == "right" else [factor.T for factor in reversed(factors)]
                yield DrawnVectors(group + WEIGHTED, head, draw_images(own, DRAWS, _seed_for(index, head, group)))
    for kind, matrix in mlp.items():
        yield DrawnVectors(kind + WEIGHTED, 0, draw_images([matrix.samples()], DRAWS, _seed_for(index, 0, kind)))


def _seed_for(index: int, head: int, group: str) -> int:
    """Return a seed of its own for each matrix and side: equal draws of several would be no independent evidence."""
    return SEED + int(np.random.SeedSequence([index, head, GROUPS.index(group)]).generate_state(1)[0])


def _draw_restricted(context: Context, kind: str, matrix: "Matrix", seed: int) -> list[DrawnVectors]:
    """Decompose several random restrictions of the matrix to the rank of a head's."""
    from app.core.bases.svd import decompose_all
    from app.core.exact.shares import map_side_by_side, shares_of
    from app.core.judging.restriction import random_neurons, random_projection

    cut = random_projection if kind == "embed" else random_neurons

    def take_apart(draw: int) -> DrawnVectors:
        part = cut(matrix, context.model.manifest.d_head, seed + draw)
        (terms,) = decompose_all([part])
        return DrawnVectors(kind + CUT, draw, _find_stream_side(part, terms)[1])

    return map_side_by_side(take_apart, range(DRAWS), shares_of(context.tables.device()))


def _find_stream_side(matrix: "Matrix", terms: "Decomposition") -> "tuple[Side, Tensor]":
    """Return the side that is the residual stream's, and the directions on it."""
    return (matrix.right, terms.right) if matrix.is_upright else (matrix.left, terms.left)


def _judge_vectors(context: Context, side: "Side", vectors: "Tensor") -> Steps[Arrays]:
    """Return z and p of the rays of the vectors, read out a part at a time."""
    return (yield from _judge_in_parts(context, side.name, vectors, VECTORS_AT_ONCE))


def _judge_in_parts(context: Context, side: str, vectors: "Tensor", most: int) -> Steps[Arrays]:
    """Return z and p of the rays, read out at most so many at a time, in parts of about one size."""
    n_parts = max(1, -(-len(vectors) // most))
    parts = []
    for done in range(n_parts):
        yield done, n_parts
        own = vectors[len(vectors) * done // n_parts : len(vectors) * (done + 1) // n_parts]
        parts.append(read_headlines(context, side, own))
    return join_rows(parts)


def _headline_arrays(arrays: Mapping[str, Any], prefix: str = "") -> Arrays:
    """Return z and p of both rays by the length that judges them; nan where there is no control."""
    if f"{prefix}z" in arrays:
        return {name: arrays[prefix + name][..., HEADLINE] for name in ("z", "p")}
    return dict.fromkeys(("z", "p"), np.full((len(arrays[f"{prefix}top_ids"]), 2), np.nan, np.float32))


def _count_controls(context: Context) -> Arrays:
    """Count random directions' rays by their own z, for each end with a token table of its own."""
    from app.core.judging.significance import compare_to_control, count_z

    found: Arrays = {}
    for end in ("read", "write"):
        if by := load_control(context, end):
            rays = by.coherence[..., HEADLINE].ravel()
            found[f"control_{end}"] = count_z(compare_to_control(rays, rays)[0])
    return found


def _group_rows(group: str, part: int, judged: Arrays) -> Arrays:
    """Return the rows of one matrix, the strongest direction first; `part`: its head, or the number of the draw."""
    n = len(judged["z"])
    return judged | {
        "group": np.full(n, GROUPS.index(group), np.int8),
        "part": np.full(n, part, np.int16),
        "index": np.arange(n, dtype=np.int32),
        "of": np.full(n, n, np.int32),
    }


def _sort_rows(rows: Sequence[Arrays]) -> Arrays:
    """Sort all rows, so that it does not matter which were stored and which computed."""
    found = join_rows(rows)
    order = np.lexsort((found["index"], found["part"], found["group"]))
    return {name: array[order] for name, array in found.items()}


def _report_part(done: int, total: int, steps: Steps[Any], share: int = 1) -> Steps[Any]:
    """Report the steps of some parts as steps of the whole."""
    return rescale_steps(100 * done, 100 * share, 100 * total, steps)
