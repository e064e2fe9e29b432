"""The statistics of a census: the z and p of every ray, a row a direction, in; numbers for each kind of matrix, out.

Each with an interval over layers, where those are enough: heads of one layer are alike, and no independent evidence.
Kinds that are compared have their layers in common, which are drawn for both at once. Knows no store, no tokens and no
pages' words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.address import CIRCUITS
from app.core.judging.bootstrap import Clusters, Estimate, difference, mean, superiority
from app.core.judging.discovery import FDR, needed_at_floor, q_values
from app.core.judging.progression import PARTS, first_minus_last, parts, rank_correlation
from app.core.judging.rays import ALPHA
from app.core.judging.significance import count_z, standing
from app.explorer.groups import (
    GROUPS,
    SEED,
    SPAN,
    SPANNED,
    WEIGHTED,
    WEIGHTED_GROUPS,
    Depth,
    SpanPart,
    end_of,
    matrix_and_side,
)
from app.explorer.pages.census import CensusDepth, CensusEffect, CensusKind, CensusSpan, EffectDepth, SpanShares

Array = NDArray[Any]

COMPARED: tuple[tuple[str, str], ...] = (
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
"""First what is predicted to read better. Each pair is read with one table, so that both have one control."""

FIFTH = 5
"""The last fifth of the layers is looked at by itself: what reads best stands there."""
FIRST = 4
"""Directions of a matrix, the strongest ones, that are held against random vectors weighted by singular value."""


class MatrixRays(NamedTuple):
    """The directions of one matrix, the strongest first."""

    layer: int | None
    head: int
    """0 for what is no head's."""
    z: Array
    """[n 2]: of both rays; nan for one that could not be judged."""
    p: Array

    @property
    def means(self) -> Array:
        """The z of each direction: the mean of its rays that could be judged; nan where none could."""
        return _of_rays(self.z, np.isfinite(self.z))

    @property
    def shares(self) -> Array:
        """The readable share of each direction's rays, counted the same way."""
        return _of_rays(self.p < ALPHA, np.isfinite(self.z))


@dataclass(frozen=True)
class Group:
    """One kind of matrix, read at one side."""

    name: str
    layers: Mapping[int | None, tuple[MatrixRays, ...]]
    """The matrices with a ray that could be judged; under None what belongs to no layer."""
    n_matrices: int
    """All of them; what is drawn from one counts as one."""
    n_unjudged: int
    """Rays of all of them."""

    @property
    def matrices(self) -> tuple[MatrixRays, ...]:
        """Those with a ray that could be judged."""
        return tuple(matrix for own in self.layers.values() for matrix in own)

    def z(self) -> Clusters:
        """Of each layer's rays, without those that could not be judged."""
        return {layer: np.concatenate([_judged(matrix.z) for matrix in own]) for layer, own in self.layers.items()}

    def readable(self) -> Clusters:
        """Of each layer's rays, 1 for a readable one and 0 for another."""
        return {
            layer: np.concatenate([_judged(matrix.p) < ALPHA for matrix in own]).astype(np.float64)
            for layer, own in self.layers.items()
        }

    def within(self, layers: Iterable[int | None]) -> "Group | None":
        """The same of these layers alone; None if it has no matrix in them."""
        own = {layer: self.layers[layer] for layer in layers if layer in self.layers}
        return replace(self, layers=own) if own else None

    def of_heads(self, other: "Group") -> "Group":
        """The same of those matrices that the other has something of."""
        kept = {(matrix.layer, matrix.head) for matrix in other.matrices}
        own = {
            layer: tuple(matrix for matrix in matrices if (layer, matrix.head) in kept)
            for layer, matrices in self.layers.items()
        }
        return replace(self, layers={layer: matrices for layer, matrices in own.items() if matrices})

    def first(self, n: int) -> "Group":
        """The same of the first n directions of each matrix."""
        own = {
            layer: tuple(matrix._replace(z=matrix.z[:n], p=matrix.p[:n]) for matrix in matrices)
            for layer, matrices in self.layers.items()
        }
        return replace(self, layers=own)


def depths(n_layers: int) -> dict[Depth, range]:
    """Which layers stand where; none in a model that has fewer than three.

    Example: depths(30) -> {"first": range(0, 1), "middle": range(1, 24), "last": range(24, 30)}
    """
    last = n_layers - max(1, n_layers // FIFTH)
    return {"first": range(1), "middle": range(1, last), "last": range(last, n_layers)} if last > 1 else {}


def grouped(layers: Mapping[int | None, Mapping[str, Array]]) -> dict[str, Group]:
    """The rows of each layer's artifact, and of the ends' (layer None), by group.

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
    groups = (_group(name, found[name]) for name in GROUPS if name in found)
    return {group.name: group for group in groups if group.layers}


def random_rays(coherence: Array) -> Clusters:
    """The z of the rays [n 2] of random directions by their own mean and spread, a cluster a direction: its two rays.

    Those that could not be judged are left out.
    """
    z, _ = standing(coherence.ravel(), coherence.ravel())
    rays = enumerate(map(_judged, z.reshape(coherence.shape)))
    return {("random", direction): own for direction, own in rays if len(own)}


def kind(group: Group, n_layers: int, control: Clusters) -> CensusKind:
    """What is known of one group beside the random directions, a cluster each, that its z are by.

    Their mean is 0, but with other random directions it would have been another: they are drawn again, too.
    """
    z, p = group.z(), np.concatenate([_judged(matrix.p) for matrix in group.matrices])
    n_control = sum(map(len, control.values()))
    return CensusKind(
        group=group.name,
        end=end_of(group.name),
        n_matrices=group.n_matrices,
        n_rays=sum(map(len, z.values())),
        n_unjudged=group.n_unjudged,
        readable=mean(group.readable(), SEED),
        discovered=float((q_values(p) < FDR).mean()),
        n_control=n_control,
        n_at_floor=int((p < 1.5 / (n_control + 1)).sum()),
        n_needed=needed_at_floor(len(p), n_control),
        mean=difference(z, control, SEED),
        superiority=superiority(z, control, SEED),
        counts=tuple(count_z(np.concatenate([*z.values()])).tolist()),
        by_layer=_by_layer(group, n_layers),
        by_rank=_by_rank(group, lambda matrix: matrix.means),
        readable_by_rank=_by_rank(group, lambda matrix: matrix.shares),
        early=_over_matrices(group, first_minus_last),
        correlation=_over_matrices(group, rank_correlation),
        later=_later(group, n_layers),
        depths=tuple(_kinds_at_depths(group, n_layers, control)),
    )


def effects(groups: Mapping[str, Group], n_layers: int) -> tuple[CensusEffect, ...]:
    """The comparisons that can be made."""
    return tuple(
        CensusEffect(
            first,
            other,
            *_compared(groups[first], groups[other]),
            tuple(_effects_at_depths(groups[first], groups[other], n_layers)),
        )
        for first, other in COMPARED
        if first in groups and other in groups
    )


def spans(groups: Mapping[str, Group], n_layers: int) -> tuple[CensusSpan, ...]:
    """The comparisons of singular directions with random vectors of the same matrices' spans."""
    found = []
    for name in SPANNED:
        if name in groups and name + SPAN in groups:
            drawn = groups[name + SPAN]
            found.append(_span(groups[name].of_heads(drawn), drawn, "all", n_layers))
    for name in WEIGHTED_GROUPS:
        if name in groups and name + WEIGHTED in groups:
            found.append(_span(groups[name].first(FIRST), groups[name + WEIGHTED], "first", n_layers))
    return tuple(found)


def _kinds_at_depths(group: Group, n_layers: int, control: Clusters) -> Iterator[CensusDepth]:
    """What is known of the group at each depth where it has matrices."""
    for depth, layers in depths(n_layers).items():
        if own := group.within(layers):
            yield CensusDepth(
                depth,
                layers,
                mean(own.readable(), SEED),
                difference(own.z(), control, SEED),
                superiority(own.z(), control, SEED),
                _over_matrices(own, first_minus_last),
            )


def _effects_at_depths(group: Group, other: Group, n_layers: int) -> Iterator[EffectDepth]:
    """The comparison at each depth where both have matrices."""
    for depth, layers in depths(n_layers).items():
        own, theirs = group.within(layers), other.within(layers)
        if own and theirs:
            yield EffectDepth(depth, layers, *_compared(own, theirs))


def _span(group: Group, drawn: Group, among: SpanPart, n_layers: int) -> CensusSpan:
    parts = (
        (depth, _shares(own, random, layers))
        for depth, layers in depths(n_layers).items()
        if (own := group.within(layers)) and (random := drawn.within(layers))
    )
    return CensusSpan(group.name, among, len(drawn.matrices), _shares(group, drawn, None), tuple(parts))


def _shares(group: Group, drawn: Group, layers: range | None) -> SpanShares:
    own, random = group.readable(), drawn.readable()
    return SpanShares(layers, mean(own, SEED), mean(random, SEED), difference(own, random, SEED))


def _compared(group: Group, other: Group) -> tuple[Estimate, Estimate]:
    """By the means and by single rays."""
    return difference(group.z(), other.z(), SEED), superiority(group.z(), other.z(), SEED)


def _group(name: str, layers: Mapping[int | None, Sequence[MatrixRays]]) -> Group:
    """The matrices of each layer, those without a judged ray counted only."""
    every = [matrix for own in layers.values() for matrix in own]
    judged = {layer: tuple(matrix for matrix in own if np.isfinite(matrix.z).any()) for layer, own in layers.items()}
    return Group(
        name,
        {layer: own for layer, own in judged.items() if own},
        len({(matrix.layer, matrix.head) for matrix in every}),
        sum(int((~np.isfinite(matrix.z)).sum()) for matrix in every),
    )


def _of_rays(values: Array, judged: Array) -> Array:
    """The mean of each row's values that are judged; nan where none is."""
    sums: Array = np.where(judged, values, 0).sum(axis=1)
    return sums / np.where(judged.any(axis=1), judged.sum(axis=1), np.nan)


def _judged(values: Array) -> Array:
    return values[np.isfinite(values)]


def _over_matrices(group: Group, number: Any) -> Estimate | None:
    """Mean of a number that each matrix has of its directions in order."""
    values = {layer: [number(_judged(matrix.means)) for matrix in own] for layer, own in group.layers.items()}
    known = {layer: np.array([each for each in own if each is not None], np.float64) for layer, own in values.items()}
    known = {layer: own for layer, own in known.items() if len(own)}
    return mean(known, SEED) if known else None


def _by_layer(group: Group, n_layers: int) -> tuple[float | None, ...]:
    """Mean z of each layer; empty for what belongs to none."""
    z = group.z()
    if None in z:
        return ()
    return tuple(float(z[layer].mean()) if layer in z else None for layer in range(n_layers))


def _by_rank(group: Group, values: Callable[[MatrixRays], Array]) -> tuple[float | None, ...]:
    """Mean of what each matrix has of its directions, over each tenth of them, the strongest first."""
    places = np.concatenate([parts(len(matrix.z)) for matrix in group.matrices])
    every = np.concatenate([values(matrix) for matrix in group.matrices]).astype(np.float64)
    judged = np.isfinite(every)
    counts = np.bincount(places[judged], minlength=PARTS)
    sums = np.bincount(places[judged], every[judged], minlength=PARTS)
    return tuple(float(total / count) if count else None for total, count in zip(sums, counts, strict=True))


def _later(group: Group, n_layers: int) -> Estimate | None:
    """Mean of the later half of the layers minus that of the first; the layer between them counts for neither."""
    half, z = n_layers // 2, group.z()
    if None in z:
        return None
    early = {layer: own for layer, own in z.items() if layer < half}
    late = {layer: own for layer, own in z.items() if layer >= n_layers - half}
    return difference(late, early, SEED) if early and late else None
