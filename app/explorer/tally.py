"""The statistics of a census: the z and p of every ray, a row a direction, in; numbers for each kind of matrix, out.

Each with an interval over matrices, where those are enough; what is no independent evidence counts as one matrix: all
that is drawn from one, and the heads that share keys and values. Knows no store, no tokens and no pages' words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.address import CIRCUITS, Kind
from app.core.bootstrap import Estimate, difference, mean, superiority
from app.core.discovery import FDR, q_values
from app.core.progression import PARTS, first_minus_last, parts, rank_correlation
from app.core.rays import ALPHA
from app.core.significance import standing
from app.explorer.pages import CUT, CensusEffect, CensusKind, End, Model

Array = NDArray[Any]

READ_GROUPS = ("qk-query", "qk-key", "ov-read", "mlp-in", "mlp-gate", "unembed")
WRITE_GROUPS = ("ov-write", "mlp-out", "embed")
GROUPS = (*READ_GROUPS, "mlp-in-cut", "mlp-gate-cut", *WRITE_GROUPS, "mlp-out-cut", "embed-cut")
"""In the order of the page: what is read with one table stands together."""
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

LOW, HIGH, BINS = -4.0, 8.0, 48
"""Of the distributions of z; what lies beyond is counted in the last bin of its side."""
SEED = 0
DRAWS = 8
"""Of each matrix that is cut down."""
PARAMETERS = {"draws": DRAWS, "seed": SEED}
"""All that decides what a layer's rows are, besides the weights and what judges rays."""


class Matrix(NamedTuple):
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
        judged = np.isfinite(self.z)
        sums: Array = np.where(judged, self.z, 0).sum(axis=1)
        return sums / np.where(judged.any(axis=1), judged.sum(axis=1), np.nan)


@dataclass(frozen=True)
class Group:
    """One kind of matrix, read at one side."""

    name: str
    clusters: tuple[tuple[Matrix, ...], ...]
    """Of the matrices with a ray that could be judged, those that are no independent evidence stand together."""
    n_matrices: int
    """All of them; what is drawn from one counts as one."""
    n_unjudged: int
    """Rays of all of them."""

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """Those with a ray that could be judged."""
        return tuple(matrix for cluster in self.clusters for matrix in cluster)

    def rays(self) -> list[Array]:
        """The z of each cluster's rays, without those that could not be judged."""
        return [np.concatenate([_judged(matrix.z) for matrix in cluster]) for cluster in self.clusters]


def ends_of(model: Model) -> tuple[Kind, ...]:
    """The matrices of no layer that are counted."""
    return tuple(kind for kind in model.model_kinds if kind in GROUPS)


def can_be_cut(model: Model) -> bool:
    """Whether the model's MLPs have neurons enough to draw as many as a head has dimensions."""
    return model.d_mlp > model.d_head


def matrix_and_side(group: str) -> tuple[str, str]:
    """Which matrix the group is of, and which side of it.

    Example: matrix_and_side("qk-key") -> ("qk", "key"); matrix_and_side("mlp-out-cut") -> ("mlp-out", "write")
    """
    matrix, _, side = group.partition("-")
    return (matrix, side) if matrix in CIRCUITS else (group.removesuffix(CUT), end_of(group))


def end_of(group: str) -> End:
    """Which end of the model the group is read with."""
    return "write" if group.removesuffix(CUT) in WRITE_GROUPS else "read"


def grouped(layers: Mapping[int | None, Mapping[str, Array]], sharing: int = 1) -> dict[str, Group]:
    """The rows of each layer's artifact, and of the ends' (layer None), by group.

    `sharing`: how many heads share keys and values. Their QK keys, and what their OV reads, span the same dimensions. They
    are one cluster in every group of heads; for queries and writes, which are each head's own, that may make an interval
    wider than it need be. Groups of which no ray could be judged are left out.
    """
    found: dict[str, list[Matrix]] = {}
    for layer, arrays in layers.items():
        starts = np.flatnonzero(arrays["index"] == 0)
        for rows in map(slice, starts, (*starts[1:], len(arrays["index"]))):
            name = GROUPS[int(arrays["group"][rows.start])]
            head = int(arrays["part"][rows.start]) if matrix_and_side(name)[0] in CIRCUITS else 0
            found.setdefault(name, []).append(Matrix(layer, head, arrays["z"][rows], arrays["p"][rows]))
    groups = (_group(name, found[name], sharing) for name in GROUPS if name in found)
    return {group.name: group for group in groups if group.clusters}


def random_rays(coherence: Array) -> list[Array]:
    """The z of the rays [n 2] of random directions by their own mean and spread, a cluster a direction: its two rays.

    Those that could not be judged are left out.
    """
    z, _ = standing(coherence.ravel(), coherence.ravel())
    return [rays for rays in map(_judged, z.reshape(coherence.shape)) if len(rays)]


def kind(group: Group, n_layers: int, control: Sequence[Array]) -> CensusKind:
    """What is known of one group beside the random directions, a cluster each, that its z are by.

    Their mean is 0, but with other random directions it would have been another: they are drawn again, too.
    """
    rays = group.rays()
    p = [np.concatenate([_judged(matrix.p) for matrix in cluster]) for cluster in group.clusters]
    return CensusKind(
        group=group.name,
        end=end_of(group.name),
        n_matrices=group.n_matrices,
        n_rays=sum(map(len, rays)),
        n_unjudged=group.n_unjudged,
        readable=mean([(own < ALPHA).astype(np.float64) for own in p], SEED),
        discovered=float((q_values(np.concatenate(p)) < FDR).mean()),
        mean=difference(rays, control, SEED),
        superiority=superiority(rays, control, SEED),
        counts=tuple(counted(np.concatenate(rays)).tolist()),
        by_layer=_by_layer(group, n_layers),
        by_rank=_by_rank(group),
        early=_over_matrices(group, first_minus_last),
        correlation=_over_matrices(group, rank_correlation),
        later=_later(group, n_layers),
    )


def effects(groups: Mapping[str, Group]) -> tuple[CensusEffect, ...]:
    """The comparisons that can be made."""
    return tuple(
        CensusEffect(
            first,
            other,
            difference(groups[first].rays(), groups[other].rays(), SEED),
            superiority(groups[first].rays(), groups[other].rays(), SEED),
        )
        for first, other in COMPARED
        if first in groups and other in groups
    )


def counted(z: Array) -> Array:
    """How many of the numbers lie in each bin; nan in none."""
    places = ((_judged(z).astype(np.float64) - LOW) * (BINS / (HIGH - LOW))).astype(np.int64)
    return np.bincount(places.clip(0, BINS - 1), minlength=BINS)


def _group(name: str, matrices: Sequence[Matrix], sharing: int) -> Group:
    """The matrices in clusters, those without a judged ray counted only."""
    clusters: dict[tuple[int | None, int], list[Matrix]] = {}
    for matrix in matrices:
        if np.isfinite(matrix.z).any():
            clusters.setdefault((matrix.layer, matrix.head // sharing), []).append(matrix)
    return Group(
        name,
        tuple(map(tuple, clusters.values())),
        len({(matrix.layer, matrix.head) for matrix in matrices}),
        sum(int((~np.isfinite(matrix.z)).sum()) for matrix in matrices),
    )


def _judged(values: Array) -> Array:
    return values[np.isfinite(values)]


def _over_matrices(group: Group, number: Any) -> Estimate | None:
    """Mean of a number that each matrix has of its directions in order."""
    values = [[number(_judged(matrix.means)) for matrix in cluster] for cluster in group.clusters]
    known = [np.array([each for each in cluster if each is not None], np.float64) for cluster in values]
    known = [cluster for cluster in known if len(cluster)]
    return mean(known, SEED) if known else None


def _by_layer(group: Group, n_layers: int) -> tuple[float | None, ...]:
    """Mean z of each layer; empty for what belongs to none."""
    if any(matrix.layer is None for matrix in group.matrices):
        return ()
    found = [[_judged(matrix.z) for matrix in group.matrices if matrix.layer == layer] for layer in range(n_layers)]
    return tuple(float(np.concatenate(each).mean()) if each else None for each in found)


def _by_rank(group: Group) -> tuple[float | None, ...]:
    """Mean z of each tenth of a matrix's directions, the strongest first."""
    places = np.concatenate([parts(len(matrix.z)) for matrix in group.matrices])
    means = np.concatenate([matrix.means for matrix in group.matrices]).astype(np.float64)
    judged = np.isfinite(means)
    counts = np.bincount(places[judged], minlength=PARTS)
    sums = np.bincount(places[judged], means[judged], minlength=PARTS)
    return tuple(float(total / count) if count else None for total, count in zip(sums, counts, strict=True))


def _later(group: Group, n_layers: int) -> Estimate | None:
    """Mean of the later half of the layers minus that of the first; the layer between them counts for neither."""
    half = n_layers // 2
    early, late = [], []
    for cluster, z in zip(group.clusters, group.rays(), strict=True):
        layer = cluster[0].layer
        if layer is None:
            return None
        if layer < half:
            early.append(z)
        elif layer >= n_layers - half:
            late.append(z)
    return difference(late, early, SEED) if early and late else None
