"""How readable every singular direction of a layer, or of a model's ends, is: z and p of both rays, a row a direction.

Also of the same matrices cut down at random to the rank of a head's. What a matrix's artifact says is taken from there;
the rest is computed and not kept. `app.explorer.tally` says what the rows mean together. Runs in the worker's thread or
in a job's process. Knows no pages.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from app.core.address import CIRCUITS, Address, Circuit
from app.core.basis import BASES
from app.core.rays import HEADLINE
from app.explorer import recipes, tally, work
from app.explorer.bench import PREFIXES, Arrays, Bench
from app.explorer.compute import Steps
from app.explorer.controls import control
from app.explorer.pages import CUT
from app.explorer.places import is_double
from app.explorer.readability import read
from app.explorer.sides import joined
from app.explorer.subjects import Subject, subject
from app.explorer.tally import DRAWS, GROUPS, SEED, can_be_cut, ends_of
from app.explorer.work import Found

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix, Side

VECTORS = 512
"""Read out in one step, about: others may be served between two."""
SIDES: dict[Circuit, dict[str, str]] = {
    "ov": {"left": "ov-read", "right": "ov-write"},
    "qk": {"left": "qk-query", "right": "qk-key"},
}
"""The groups of a circuit's sides."""

Progress = Generator[tuple[int, int], None, list[Arrays]]
Judging = Generator[tuple[int, int], None, Arrays]


def layer(bench: Bench, index: int) -> Steps:
    """The rows of that layer: its heads, its MLP, and its MLP cut down."""
    model = bench.model.header
    place = Address(model.slug, None, index)
    total = model.n_heads + len(model.layer_kinds) * (1 + can_be_cut(model))
    rows: list[Arrays] = []
    size = max(1, VECTORS // model.d_head)
    for start in range(0, model.n_heads, size):
        heads = range(start, min(start + size, model.n_heads))
        rows += yield from _within(start, total, _heads(bench, index, heads))
    done = model.n_heads
    for kind in model.layer_kinds:
        rows += yield from _within(done, total, _whole(bench, place.at(kind)))
        done += 1
        if can_be_cut(model):
            rows += yield from _within(done, total, _cut(bench, place.at(kind), SEED + DRAWS * index))
            done += 1
    return _table(rows), {}


def ends(bench: Bench) -> Steps:
    """The rows of embedding and unembedding, and of the embedding cut down; the controls by their own z."""
    model = bench.model.header
    place = Address(model.slug)
    asked = [place.at(kind) for kind in ends_of(model) if not is_double(model, place.at(kind), bench.processing)]
    rows: list[Arrays] = []
    for done, address in enumerate(asked):
        rows += yield from _within(done, len(asked) + 1, _whole(bench, address))
    rows += yield from _within(len(asked), len(asked) + 1, _cut(bench, place.at("embed"), SEED))
    return _table(rows) | _controls(bench), {}


def _heads(bench: Bench, index: int, heads: Iterable[int]) -> Progress:
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
    found = work.found(bench, index, missing) if missing else []
    shares = [
        (prefix, [each for each in found if each.circuit == circuit]) for circuit in CIRCUITS for prefix in PREFIXES
    ]
    for done, (prefix, own) in enumerate(shares):
        if own:
            rows += yield from _within(done, len(shares), _together(bench, prefix, own))
    return rows


def _together(bench: Bench, prefix: str, found: Sequence[Found]) -> Progress:
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


def _whole(bench: Bench, address: Address) -> Progress:
    """The rows of one matrix by itself."""
    assert address.kind is not None
    artifact = bench.store.read(recipes.decomposition(bench.model, address, bench.processing, {}))
    if artifact is not None:
        prefix = "right_" if tally.end_of(address.kind) == "write" else "left_"
        return [_rows(address.kind, 0, _headlines(artifact.arrays, prefix))]
    whole: Subject = yield from _within(0, 3, subject(bench, address))
    terms: Decomposition = yield from _within(1, 3, BASES["svd"].decompose(whole.product, {}))
    judged = yield from _within(2, 3, _judged(bench, *_of_stream(whole.product, terms)))
    return [_rows(address.kind, 0, judged)]


def _cut(bench: Bench, address: Address, seed: int) -> Progress:
    """The rows of the matrix cut down to the rank of a head's, several times."""
    import torch

    from app.core.bases.svd import decompose_all
    from app.core.restriction import random_neurons, random_projection
    from app.core.shares import shares_of, side_by_side

    assert address.kind is not None
    whole: Subject = yield from _within(0, DRAWS + 1, subject(bench, address))
    cut = random_neurons if address.layer is not None else random_projection
    rows, at_once = [], max(1, VECTORS // bench.model.manifest.d_head)

    def take_apart(draw: int) -> "tuple[Side, Tensor]":
        matrix = cut(whole.product, bench.model.manifest.d_head, seed + draw)
        (terms,) = decompose_all([matrix])
        return _of_stream(matrix, terms)

    for start in range(0, DRAWS, at_once):
        draws = range(start, min(start + at_once, DRAWS))
        found = side_by_side(take_apart, draws, shares_of(bench.tables.device()))
        vectors = torch.cat([own for _, own in found])
        judged = yield from _within(start + 1, DRAWS + 1, _judged(bench, found[0][0], vectors))
        ends = np.cumsum([len(own) for _, own in found])[:-1]
        shares = zip(*(np.split(judged[name], ends) for name in ("z", "p")), strict=True)
        rows += [_rows(address.kind + CUT, draw, {"z": z, "p": p}) for draw, (z, p) in zip(draws, shares, strict=True)]
    return rows


def _of_stream(matrix: "Matrix", terms: "Decomposition") -> "tuple[Side, Tensor]":
    """The side that is the residual stream's, and the directions on it."""
    return (matrix.right, terms.right) if matrix.is_upright else (matrix.left, terms.left)


def _judged(bench: Bench, side: "Side", vectors: "Tensor") -> Judging:
    """z and p of the rays of the vectors, read out a part at a time."""
    parts = []
    for start in range(0, max(1, len(vectors)), VECTORS):
        yield start, len(vectors)
        parts.append(_headlines(read(bench, side.name, vectors[start : start + VECTORS])))
    return joined(parts)


def _headlines(arrays: Mapping[str, Any], prefix: str = "") -> Arrays:
    """z and p of both rays by the length that judges them; nan where there is no control."""
    if f"{prefix}z" in arrays:
        return {name: arrays[prefix + name][..., HEADLINE] for name in ("z", "p")}
    return dict.fromkeys(("z", "p"), np.full((len(arrays[f"{prefix}top_ids"]), 2), np.nan, np.float32))


def _controls(bench: Bench) -> Arrays:
    """Rays of random directions by their own z, for each end that is read with a table of its own."""
    from app.core.significance import standing

    found: Arrays = {}
    for end in ("read", "write"):
        if by := control(bench, end):
            rays = by.coherence[..., HEADLINE].ravel()
            found[f"control_{end}"] = tally.counted(standing(rays, rays)[0])
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


def _within(done: int, total: int, steps: Steps) -> Steps:
    """The steps of one part as steps of the whole, in hundredths."""
    try:
        while True:
            own, of = next(steps)
            yield 100 * done + 100 * own // max(of, 1), 100 * total
    except StopIteration as end:
        return end.value
    finally:
        steps.close()
