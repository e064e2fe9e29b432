"""How readable every singular direction of a layer, or of a model's ends, is: z and p of both rays, a row a direction.

Also of what says how much of that is the direction's own: the same matrices cut down at random to the rank of a head's,
random vectors of their spans, and the embedding's principal components. What a matrix's artifact says is taken from there;
the rest is computed and not kept. `app.explorer.reading.census.counts` says what the rows mean together. Runs in a worker's process or
in a job's process. Knows no pages.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from app.core.address import CIRCUITS, Address, Circuit
from app.core.basis import BASES
from app.core.judging.rays import HEADLINE
from app.core.steps import Steps, within
from app.explorer import recipes
from app.explorer.groups import (
    CUT,
    DRAWS,
    GROUPS,
    HEADS,
    PRINCIPAL,
    SEED,
    SPAN,
    TURNED,
    WEIGHTED,
    can_be_cut,
    end_of,
    ends_of,
)
from app.explorer.inventory import is_double
from app.explorer.layout import PREFIXES
from app.explorer.making.context import Arrays, Baked, Bench
from app.explorer.making.heads import HeadMatrix, head_tensors, take_apart
from app.explorer.making.judging.controls import control
from app.explorer.making.judging.readability import read_headlines
from app.explorer.making.sides import joined
from app.explorer.making.subjects import Subject, mlp_subjects, subject
from app.explorer.view import End

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix, Side

VECTORS = 512
"""Of matrices by themselves read out in one step, about: others may be served between two."""
AT_ONCE = 1_536
"""Of drawn vectors read out in one step: three times as many take less than three times as long."""
DRAWN = 8
"""Of a layer's steps, those of what is drawn: about as much work as so many heads."""
SIDES: dict[Circuit, dict[str, str]] = {
    "ov": {"left": "ov-read", "right": "ov-write"},
    "qk": {"left": "qk-query", "right": "qk-key"},
}
"""The groups of a circuit's sides."""


class Drawn(NamedTuple):
    """Vectors of the stream that are drawn from one matrix, or are the directions of what is."""

    group: str
    part: int
    """The head, or which draw it is."""
    vectors: "Tensor"


def count_layer(bench: Bench, index: int) -> Steps[Baked]:
    """The rows of that layer: its heads, its MLP, its MLP cut down, and random vectors of their spans."""
    model = bench.model.header
    place = Address(model.slug, None, index)
    total = model.n_heads + len(model.layer_kinds) + DRAWN
    rows: list[Arrays] = []
    size = max(1, VECTORS // model.d_head)
    for start in range(0, model.n_heads, size):
        heads = range(start, min(start + size, model.n_heads))
        rows += yield from _part(start, total, _heads(bench, index, heads))
    for done, kind in enumerate(model.layer_kinds, model.n_heads):
        rows += yield from _part(done, total, _whole(bench, place.at(kind)))
    rows += yield from _part(total - DRAWN, total, _drawn(bench, _of_layer(bench, index)), DRAWN)
    return _table(rows), {}


def count_ends(bench: Bench) -> Steps[Baked]:
    """The rows of embedding and unembedding, of the embedding's principal components, and of the embedding cut down; the
    controls by their own z."""
    model = bench.model.header
    place = Address(model.slug)
    asked = [place.at(kind) for kind in ends_of(model) if not is_double(model, place.at(kind), bench.processing)]
    asked.append(replace(place.at("embed"), basis="pca"))
    rows: list[Arrays] = []
    for done, address in enumerate(asked):
        rows += yield from _part(done, len(asked) + 1, _whole(bench, address))
    rows += yield from _part(len(asked), len(asked) + 1, _drawn(bench, _of_embedding(bench, place.at("embed"))))
    return _table(rows) | _controls(bench), {}


def _heads(bench: Bench, index: int, heads: Iterable[int]) -> Steps[list[Arrays]]:
    """The rows of those heads; what has no artifact is taken apart and read out together."""
    rows: list[Arrays] = []
    missing: list[tuple[int, Circuit]] = []
    for head in heads:
        for circuit in CIRCUITS:
            artifact = bench.store.read(recipes.matrix(bench.model, index, head, circuit, bench.processing))
            if artifact is None:
                missing.append((head, circuit))
            else:
                rows += [
                    _rows(SIDES[circuit][side], head, _headlines(artifact.arrays, f"{side}_"))
                    for side in SIDES[circuit]
                ]
    found = take_apart(bench, index, missing) if missing else []
    shares = [
        (prefix, [each for each in found if each.circuit == circuit]) for circuit in CIRCUITS for prefix in PREFIXES
    ]
    for done, (prefix, own) in enumerate(shares):
        if own:
            rows += yield from _part(done, len(shares), _together(bench, prefix, own))
    return rows


def _together(bench: Bench, prefix: str, found: Sequence[HeadMatrix]) -> Steps[list[Arrays]]:
    """The rows of one side of several heads' matrices, which is the same side in all."""
    import torch

    terms = [each.terms.left if prefix == "left" else each.terms.right for each in found]
    product = found[0].product
    judged = yield from _judged(bench, product.left if prefix == "left" else product.right, torch.cat(terms))
    ends = np.cumsum([len(vectors) for vectors in terms])[:-1]
    shares = zip(*(np.split(judged[name], ends) for name in ("z", "p")), strict=True)
    return [
        _rows(SIDES[each.circuit][prefix], each.head, {"z": z, "p": p})
        for each, (z, p) in zip(found, shares, strict=True)
    ]


def _whole(bench: Bench, address: Address) -> Steps[list[Arrays]]:
    """The rows of one matrix by itself, in the basis of the address."""
    assert address.kind is not None
    basis = address.basis or "svd"
    group = address.kind + (PRINCIPAL if basis == "pca" else "")
    artifact = bench.store.read(recipes.decomposition(bench.model, address, bench.processing, {}))
    if artifact is not None:
        prefix = "right_" if end_of(group) == "write" else "left_"
        return [_rows(group, 0, _headlines(artifact.arrays, prefix))]
    whole: Subject = yield from _part(0, 3, subject(bench, address))
    terms: Decomposition = yield from _part(1, 3, BASES[basis].decompose(whole.product, {}))
    judged = yield from _part(2, 3, _judged(bench, *_of_stream(whole.product, terms)))
    return [_rows(group, 0, judged)]


def _drawn(bench: Bench, drawing: Steps[list[Drawn]]) -> Steps[list[Arrays]]:
    """The rows of all that is drawn, those of one table read out together."""
    import torch

    drawn = yield from _part(0, 3, drawing)
    rows: list[Arrays] = []
    by_end: dict[End, list[Drawn]] = {"read": [], "write": []}
    for each in drawn:
        by_end[end_of(each.group)].append(each)
    for done, (end, own) in enumerate(by_end.items(), 1):
        if own:
            vectors = torch.cat([each.vectors for each in own])
            judged = yield from _part(done, 3, _judged_at(bench, end, vectors, AT_ONCE))
            ends = np.cumsum([len(each.vectors) for each in own])[:-1]
            shares = zip(*(np.split(judged[name], ends) for name in ("z", "p")), strict=True)
            rows += [_rows(each.group, each.part, {"z": z, "p": p}) for each, (z, p) in zip(own, shares, strict=True)]
    return rows


def _of_layer(bench: Bench, index: int) -> Steps[list[Drawn]]:
    """What is drawn from a layer's matrices."""
    kinds = bench.model.header.layer_kinds
    yield 0, 3
    wholes = dict(zip(kinds, mlp_subjects(bench, index, kinds), strict=True)) if kinds else {}
    found = [*_weighted(bench, index, {kind: whole.product for kind, whole in wholes.items()})]
    yield 1, 3
    found += _spans(bench, index)
    for done, (kind, whole) in enumerate(wholes.items()):
        yield 2 * len(wholes) + done, 3 * len(wholes)
        if can_be_cut(bench.model.header):
            found += _cut(bench, kind, whole.product, SEED + DRAWS * index)
    return found


def _of_embedding(bench: Bench, address: Address) -> Steps[list[Drawn]]:
    """What is drawn from the embedding."""
    whole: Subject = yield from _part(0, 2, subject(bench, address))
    yield 1, 2
    return _cut(bench, "embed", whole.product, SEED)


def _spans(bench: Bench, index: int) -> Iterator[Drawn]:
    """Random vectors of the spans of some heads' matrices."""
    from app.core.judging.rotation import rotated

    n_heads = bench.model.header.n_heads
    heads = np.random.default_rng([SEED, index]).permutation(n_heads)[:HEADS].tolist()
    for each in take_apart(bench, index, [(head, circuit) for head in sorted(heads) for circuit in CIRCUITS]):
        for prefix, group in SIDES[each.circuit].items():
            directions = each.terms.left if prefix == "left" else each.terms.right
            if len(directions):
                yield Drawn(group + SPAN, each.head, rotated(directions, TURNED, _seed(index, each.head, group)))


def _weighted(bench: Bench, index: int, mlp: "Mapping[str, Matrix]") -> Iterator[Drawn]:
    """What each matrix of the layer makes of random vectors, on each side that is the stream's."""
    from app.core.circuits import CIRCUITS as PRODUCTS
    from app.core.judging.rotation import images

    for head in range(bench.model.header.n_heads):
        tensors = head_tensors(bench, index, head)
        for circuit, groups in SIDES.items():
            factors = PRODUCTS[circuit](tensors).factors
            for prefix, group in groups.items():
                own = factors if prefix == "right" else [factor.T for factor in reversed(factors)]
                yield Drawn(group + WEIGHTED, head, images(own, DRAWS, _seed(index, head, group)))
    for kind, matrix in mlp.items():
        yield Drawn(kind + WEIGHTED, 0, images([matrix.samples()], DRAWS, _seed(index, 0, kind)))


def _seed(index: int, head: int, group: str) -> int:
    """Of its own for each matrix and side: what is drawn alike of several would be no independent evidence."""
    return SEED + int(np.random.SeedSequence([index, head, GROUPS.index(group)]).generate_state(1)[0])


def _cut(bench: Bench, kind: str, matrix: "Matrix", seed: int) -> list[Drawn]:
    """The directions of the matrix cut down to the rank of a head's, several times."""
    from app.core.bases.svd import decompose_all
    from app.core.exact.shares import shares_of, side_by_side
    from app.core.judging.restriction import random_neurons, random_projection

    cut = random_projection if kind == "embed" else random_neurons

    def take_apart(draw: int) -> Drawn:
        part = cut(matrix, bench.model.manifest.d_head, seed + draw)
        (terms,) = decompose_all([part])
        return Drawn(kind + CUT, draw, _of_stream(part, terms)[1])

    return side_by_side(take_apart, range(DRAWS), shares_of(bench.tables.device()))


def _of_stream(matrix: "Matrix", terms: "Decomposition") -> "tuple[Side, Tensor]":
    """The side that is the residual stream's, and the directions on it."""
    return (matrix.right, terms.right) if matrix.is_upright else (matrix.left, terms.left)


def _judged(bench: Bench, side: "Side", vectors: "Tensor") -> Steps[Arrays]:
    """z and p of the rays of the vectors, read out a part at a time."""
    return (yield from _judged_at(bench, side.name, vectors, VECTORS))


def _judged_at(bench: Bench, side: str, vectors: "Tensor", most: int) -> Steps[Arrays]:
    """The same of at most so many at a time, in parts of about one size."""
    n_parts = max(1, -(-len(vectors) // most))
    parts = []
    for done in range(n_parts):
        yield done, n_parts
        own = vectors[len(vectors) * done // n_parts : len(vectors) * (done + 1) // n_parts]
        parts.append(read_headlines(bench, side, own))
    return joined(parts)


def _headlines(arrays: Mapping[str, Any], prefix: str = "") -> Arrays:
    """z and p of both rays by the length that judges them; nan where there is no control."""
    if f"{prefix}z" in arrays:
        return {name: arrays[prefix + name][..., HEADLINE] for name in ("z", "p")}
    return dict.fromkeys(("z", "p"), np.full((len(arrays[f"{prefix}top_ids"]), 2), np.nan, np.float32))


def _controls(bench: Bench) -> Arrays:
    """Rays of random directions by their own z, for each end that is read with a table of its own."""
    from app.core.judging.significance import count_z, standing

    found: Arrays = {}
    for end in ("read", "write"):
        if by := control(bench, end):
            rays = by.coherence[..., HEADLINE].ravel()
            found[f"control_{end}"] = count_z(standing(rays, rays)[0])
    return found


def _rows(group: str, part: int, judged: Arrays) -> Arrays:
    """Of one matrix, the strongest direction first; `part`: its head, or which draw it is."""
    n = len(judged["z"])
    return judged | {
        "group": np.full(n, GROUPS.index(group), np.int8),
        "part": np.full(n, part, np.int16),
        "index": np.arange(n, dtype=np.int32),
        "of": np.full(n, n, np.int32),
    }


def _table(rows: Sequence[Arrays]) -> Arrays:
    """All rows in one order, whatever was there and whatever was computed."""
    found = joined(rows)
    order = np.lexsort((found["index"], found["part"], found["group"]))
    return {name: array[order] for name, array in found.items()}


def _part(done: int, total: int, steps: Steps[Any], share: int = 1) -> Steps[Any]:
    """The steps of some parts of so many, as steps of the whole."""
    return within(100 * done, 100 * share, 100 * total, steps)
