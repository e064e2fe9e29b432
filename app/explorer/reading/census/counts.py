"""The statistics of a census: the z and p of every ray in (a row a direction), numbers for each kind of matrix out.

Each number has an interval over layers, where there are enough: heads of one layer are alike, and no independent
evidence. Kinds that are compared share their layers, which are resampled for both at once. Knows no store, no tokens
and no pages' words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from app.core.address import CIRCUITS
from app.core.judging.bootstrap import Clusters, Estimate, estimate_difference, estimate_mean, estimate_superiority
from app.core.judging.discovery import FDR, count_needed_at_floor, q_values
from app.core.judging.progression import PARTS, assign_parts, first_minus_last, rank_correlation
from app.core.judging.rays import ALPHA
from app.core.judging.significance import compare_to_control, count_z
from app.explorer.groups import (
    AXES,
    GROUPS,
    SEED,
    SPAN,
    SPANNED_GROUPS,
    USED_GROUPS,
    WEIGHTED,
    WEIGHTED_GROUPS,
    Depth,
    SpanPart,
    end_of,
    matrix_and_side,
)
from app.explorer.pages.census import (
    AxesShares,
    CensusAxes,
    CensusComparison,
    CensusDepth,
    CensusKind,
    CensusSpan,
    ComparisonDepth,
    SpanShares,
)

Array = NDArray[Any]

COMPARED_KINDS: tuple[tuple[str, str], ...] = (
    ("qk-query", "mlp-in"),
    ("qk-key", "mlp-in"),
    ("ov-read", "mlp-in"),
    ("ov-write", "mlp-out"),
    ("mlp-in", "unembed"),
    ("mlp-out", "embed"),
    ("qk-query", "mlp-in-cut"),
    ("qk-key", "mlp-in-cut"),
    ("ov-read", "mlp-in-cut"),
    ("ov-write", "mlp-out-cut"),
    ("mlp-in-cut", "mlp-in"),
    ("mlp-out-cut", "mlp-out"),
    ("ov-write", "embed-cut"),
)
"""Pairs of kinds, the predicted better one first. Both are read with one table, so that they share a control."""

FIFTH = 5
"""The last 1/FIFTH of the layers is counted by itself: the most readable rays are there."""
FIRST = 4
"""Strongest directions of a matrix that are compared with random vectors weighted by singular value."""


class MatrixRays(NamedTuple):
    """The directions of one matrix, the strongest first."""

    layer: int | None
    head: int
    """0 for a matrix that belongs to no head."""
    z: Array
    """[n 2], for both rays; nan for one that could not be judged."""
    p: Array

    @property
    def means(self) -> Array:
        """The mean z of each direction's judged rays [n]; nan where none could be judged."""
        return _average_rays(self.z, np.isfinite(self.z))

    @property
    def shares(self) -> Array:
        """The readable share of each direction's judged rays [n]; nan where none could be judged."""
        return _average_rays(self.p < ALPHA, np.isfinite(self.z))


@dataclass(frozen=True)
class Group:
    """One kind of matrix, read at one side."""

    name: str
    layers: Mapping[int | None, tuple[MatrixRays, ...]]
    """Matrices with a judged ray, by layer; under None those that belong to no layer."""
    n_matrices: int
    """All matrices of the kind; several draws from one count as one."""
    n_unjudged: int
    """Rays that could not be judged, of all matrices."""

    @property
    def matrices(self) -> tuple[MatrixRays, ...]:
        """All matrices with a judged ray."""
        return tuple(matrix for own in self.layers.values() for matrix in own)

    def z(self) -> Clusters:
        """Collect the z of each layer's judged rays."""
        return {layer: np.concatenate([_keep_finite(matrix.z) for matrix in own]) for layer, own in self.layers.items()}

    def readable(self) -> Clusters:
        """Collect 1 for each readable ray of a layer and 0 for any other judged one."""
        return {
            layer: np.concatenate([_keep_finite(matrix.p) < ALPHA for matrix in own]).astype(np.float64)
            for layer, own in self.layers.items()
        }

    def in_layers(self, layers: Iterable[int | None]) -> "Group | None":
        """Restrict the group to these layers; None if it has no matrix in them."""
        own = {layer: self.layers[layer] for layer in layers if layer in self.layers}
        return replace(self, layers=own) if own else None

    def of_heads(self, other: "Group") -> "Group":
        """Restrict the group to the heads that the other group has, too."""
        kept = {(matrix.layer, matrix.head) for matrix in other.matrices}
        own = {
            layer: tuple(matrix for matrix in matrices if (layer, matrix.head) in kept)
            for layer, matrices in self.layers.items()
        }
        return replace(self, layers={layer: matrices for layer, matrices in own.items() if matrices})

    def take_first(self, n: int) -> "Group":
        """Restrict each matrix to its first n directions."""
        own = {
            layer: tuple(matrix._replace(z=matrix.z[:n], p=matrix.p[:n]) for matrix in matrices)
            for layer, matrices in self.layers.items()
        }
        return replace(self, layers=own)


def layers_by_depth(n_layers: int) -> dict[Depth, range]:
    """Split the layers into first, middle and last; empty for a model with fewer than three.

    Example: layers_by_depth(30) -> {"first": range(0, 1), "middle": range(1, 24), "last": range(24, 30)}
    """
    last = n_layers - max(1, n_layers // FIFTH)
    return {"first": range(1), "middle": range(1, last), "last": range(last, n_layers)} if last > 1 else {}


def group_rays(layers: Mapping[int | None, Mapping[str, Array]]) -> dict[str, Group]:
    """Group the rows of each layer's artifact, and of the ends' (layer None), by kind and side.

    Groups of which no ray could be judged are left out.
    """
    found: dict[str, dict[int | None, list[MatrixRays]]] = {}
    for layer, arrays in layers.items():
        starts = np.flatnonzero(arrays["index"] == 0)
        for rows in map(slice, starts, (*starts[1:], len(arrays["index"]))):
            name = GROUPS[int(arrays["group"][rows.start])]
            head = int(arrays["part"][rows.start]) if matrix_and_side(name)[0] in CIRCUITS else 0
            own = found.setdefault(name, {}).setdefault(layer, [])
            own.append(MatrixRays(layer, head, arrays["z"][rows], arrays["p"][rows]))
    groups = (_make_group(name, found[name]) for name in GROUPS if name in found)
    return {group.name: group for group in groups if group.layers}


def cluster_random_rays(coherence: Array) -> Clusters:
    """Standardise the coherence [n 2] of random rays by its own mean and spread, a cluster for each direction.

    Rays that could not be judged are left out.
    """
    z, _ = compare_to_control(coherence.ravel(), coherence.ravel())
    rays = enumerate(map(_keep_finite, z.reshape(coherence.shape)))
    return {("random", direction): own for direction, own in rays if len(own)}


def measure_kind(group: Group, n_layers: int, control: Clusters) -> CensusKind:
    """Measure one group beside the random directions (a cluster each) that its z are taken from.

    Their mean is 0, but other random directions would have had another: they are resampled, too.
    """
    z, p = group.z(), np.concatenate([_keep_finite(matrix.p) for matrix in group.matrices])
    n_control = sum(map(len, control.values()))
    return CensusKind(
        kind=group.name,
        end=end_of(group.name),
        matrices=group.n_matrices,
        rays=sum(map(len, z.values())),
        unjudged=group.n_unjudged,
        readable=estimate_mean(group.readable(), SEED),
        discovered=float((q_values(p) < FDR).mean()),
        controls=n_control,
        at_floor=int((p < 1.5 / (n_control + 1)).sum()),
        needed_at_floor=count_needed_at_floor(len(p), n_control),
        mean_z=estimate_difference(z, control, SEED),
        larger_than_random=estimate_superiority(z, control, SEED),
        counts=tuple(count_z(np.concatenate([*z.values()])).tolist()),
        by_layer=_average_layers(group, n_layers),
        by_rank=_average_tenths(group, lambda matrix: matrix.means),
        readable_by_rank=_average_tenths(group, lambda matrix: matrix.shares),
        first_minus_last=_average_matrices(group, first_minus_last),
        rank_correlation=_average_matrices(group, rank_correlation),
        later_minus_first=_subtract_halves(group, n_layers),
        depths=tuple(_measure_at_depths(group, n_layers, control)),
    )


def compare_kinds(groups: Mapping[str, Group], n_layers: int) -> tuple[CensusComparison, ...]:
    """Compare the pairs in COMPARED of which both groups are there."""
    return tuple(
        CensusComparison(
            first,
            other,
            *_compare_groups(groups[first], groups[other]),
            tuple(_compare_at_depths(groups[first], groups[other], n_layers)),
        )
        for first, other in COMPARED_KINDS
        if first in groups and other in groups
    )


def compare_spans(groups: Mapping[str, Group], n_layers: int) -> tuple[CensusSpan, ...]:
    """Compare singular directions with random vectors of the same matrices' spans."""
    found = []
    for name in SPANNED_GROUPS:
        if name in groups and name + SPAN in groups:
            drawn = groups[name + SPAN]
            found.append(_compare_span(groups[name].of_heads(drawn), drawn, "all", n_layers))
    for name in WEIGHTED_GROUPS:
        if name in groups and name + WEIGHTED in groups:
            found.append(_compare_span(groups[name].take_first(FIRST), groups[name + WEIGHTED], "first", n_layers))
    return tuple(found)


def compare_axes(groups: Mapping[str, Group], n_layers: int) -> tuple[CensusAxes, ...]:
    """Compare the axes of heads' outputs with singular directions, in the layers that both are there for; beside random
    vectors of the same spans.
    """
    found = []
    for name in USED_GROUPS:
        drawn = {"all": groups.get(name + SPAN), "first": groups.get(name + WEIGHTED)}
        axes, own = groups.get(name + AXES), groups.get(name)
        for among, random in drawn.items():
            if axes and own and random:
                parts = (axes, own) if among == "all" else (axes.take_first(FIRST), own.take_first(FIRST))
                found.append(_compare_axes(name, cast("SpanPart", among), *parts, random, n_layers))
    return tuple(one for one in found if one.shares)


def _compare_axes(
    name: str, among: SpanPart, axes: Group, directions: Group, random: Group, n_layers: int
) -> CensusAxes:
    parts: list[tuple[Depth | None, range | None]] = [(None, None), *layers_by_depth(n_layers).items()]
    found = (_share_axes(axes, directions, random, depth, layers) for depth, layers in parts)
    return CensusAxes(name, among, len(axes.matrices), tuple(shares for shares in found if shares))


def _share_axes(
    axes: Group, directions: Group, random: Group, depth: Depth | None, layers: range | None
) -> AxesShares | None:
    """Compare the three in these layers, or (None) in all, as far as there are axes; None where one of them is missing."""
    there = [layer for layer in axes.layers if layers is None or layer in layers]
    own, others, drawn, drawn_axes = (
        {layer: ends for layer, ends in group.readable().items() if layer in there}
        for group in (axes, directions, random, axes.of_heads(random))
    )
    if not (own and others and drawn and drawn_axes):
        return None
    return AxesShares(
        depth,
        layers,
        estimate_mean(own, SEED),
        estimate_mean(others, SEED),
        estimate_mean(drawn, SEED),
        estimate_mean(drawn_axes, SEED),
        estimate_difference(own, others, SEED),
    )


def _measure_at_depths(group: Group, n_layers: int, control: Clusters) -> Iterator[CensusDepth]:
    """Measure the group at each depth where it has matrices."""
    for depth, layers in layers_by_depth(n_layers).items():
        if own := group.in_layers(layers):
            yield CensusDepth(
                depth,
                layers,
                estimate_mean(own.readable(), SEED),
                estimate_difference(own.z(), control, SEED),
                estimate_superiority(own.z(), control, SEED),
                _average_matrices(own, first_minus_last),
            )


def _compare_at_depths(group: Group, other: Group, n_layers: int) -> Iterator[ComparisonDepth]:
    """Compare both groups at each depth where both have matrices."""
    for depth, layers in layers_by_depth(n_layers).items():
        own, theirs = group.in_layers(layers), other.in_layers(layers)
        if own and theirs:
            yield ComparisonDepth(depth, layers, *_compare_groups(own, theirs))


def _compare_span(group: Group, drawn: Group, among: SpanPart, n_layers: int) -> CensusSpan:
    parts = (
        _compare_shares(own, random, depth, layers)
        for depth, layers in layers_by_depth(n_layers).items()
        if (own := group.in_layers(layers)) and (random := drawn.in_layers(layers))
    )
    return CensusSpan(group.name, among, len(drawn.matrices), (_compare_shares(group, drawn), *parts))


def _compare_shares(group: Group, drawn: Group, depth: Depth | None = None, layers: range | None = None) -> SpanShares:
    own, random = group.readable(), drawn.readable()
    return SpanShares(
        depth, layers, estimate_mean(own, SEED), estimate_mean(random, SEED), estimate_difference(own, random, SEED)
    )


def _compare_groups(group: Group, other: Group) -> tuple[Estimate, Estimate]:
    """Compare two groups by their mean z and by single rays."""
    return estimate_difference(group.z(), other.z(), SEED), estimate_superiority(group.z(), other.z(), SEED)


def _make_group(name: str, layers: Mapping[int | None, Sequence[MatrixRays]]) -> Group:
    """Make a group of the matrices of each layer; those without a judged ray are only counted."""
    every = [matrix for own in layers.values() for matrix in own]
    judged = {layer: tuple(matrix for matrix in own if np.isfinite(matrix.z).any()) for layer, own in layers.items()}
    return Group(
        name,
        {layer: own for layer, own in judged.items() if own},
        len({(matrix.layer, matrix.head) for matrix in every}),
        sum(int((~np.isfinite(matrix.z)).sum()) for matrix in every),
    )


def _average_rays(values: Array, judged: Array) -> Array:
    """Average the judged values of each row; nan where there are none."""
    sums: Array = np.where(judged, values, 0).sum(axis=1)
    return sums / np.where(judged.any(axis=1), judged.sum(axis=1), np.nan)


def _keep_finite(values: Array) -> Array:
    return values[np.isfinite(values)]


def _average_matrices(group: Group, number: Any) -> Estimate | None:
    """Average over matrices a number that is computed from each one's mean z in order of rank; None if all are None."""
    values = {layer: [number(_keep_finite(matrix.means)) for matrix in own] for layer, own in group.layers.items()}
    known = {layer: np.array([each for each in own if each is not None], np.float64) for layer, own in values.items()}
    known = {layer: own for layer, own in known.items() if len(own)}
    return estimate_mean(known, SEED) if known else None


def _average_layers(group: Group, n_layers: int) -> tuple[float | None, ...]:
    """Average z over each layer; empty for a group that belongs to no layer."""
    z = group.z()
    if None in z:
        return ()
    return tuple(float(z[layer].mean()) if layer in z else None for layer in range(n_layers))


def _average_tenths(group: Group, values: Callable[[MatrixRays], Array]) -> tuple[float | None, ...]:
    """Average the matrices' values over each tenth of their directions, the strongest first."""
    places = np.concatenate([assign_parts(len(matrix.z)) for matrix in group.matrices])
    every = np.concatenate([values(matrix) for matrix in group.matrices]).astype(np.float64)
    judged = np.isfinite(every)
    counts = np.bincount(places[judged], minlength=PARTS)
    sums = np.bincount(places[judged], every[judged], minlength=PARTS)
    return tuple(float(total / count) if count else None for total, count in zip(sums, counts, strict=True))


def _subtract_halves(group: Group, n_layers: int) -> Estimate | None:
    """Subtract the first half's mean z from that of the later half of the layers; a middle layer counts for neither."""
    half, z = n_layers // 2, group.z()
    if None in z:
        return None
    early = {layer: own for layer, own in z.items() if layer < half}
    late = {layer: own for layer, own in z.items() if layer >= n_layers - half}
    return estimate_difference(late, early, SEED) if early and late else None
