"""The page of a census: how readable every direction of a model is, by kind and depth."""

import re
from dataclasses import dataclass
from typing import Literal

from app.core.address import Address
from app.core.judging.bootstrap import Estimate
from app.explorer.groups import CUT, Depth, SpanPart
from app.explorer.header import Model
from app.explorer.view import End, Processing, View


@dataclass(frozen=True, slots=True)
class CensusDepth:
    """How readable one kind is in a part of the layers: the first one, the middle ones, or the last fifth."""

    depth: Depth
    layers: range
    readable: Estimate
    mean: Estimate
    superiority: Estimate
    early: Estimate | None


@dataclass(frozen=True, slots=True)
class CensusKind:
    """The readability of one kind's rays at one side of a matrix; z is against random directions read the same way."""

    group: str
    """`ov-write`, `qk-key`, `mlp-in`, `embed` …; with `-cut` at its end: that matrix, restricted to a head's rank."""
    end: End
    """The end that it is read with: the embedding, or the unembedding."""
    n_matrices: int
    """All matrices of the kind; each estimate has its number of independent ones."""
    n_rays: int
    n_unjudged: int
    """Rays with too few trained tokens, which are not counted."""
    readable: Estimate
    """Share of the rays at p < .01."""
    discovered: float
    """Share of the rays at a false discovery rate of 10%, over the rays of this kind."""
    n_control: int
    """Rays of random directions that p is taken from: it is never below 1 / (n_control + 1)."""
    n_at_floor: int
    """Rays with that smallest p."""
    n_needed: int
    """Rays at the smallest p that are needed before any is found at that false discovery rate."""
    mean: Estimate
    """Mean z over rays; the interval is that of the difference from random directions, which are resampled as well."""
    superiority: Estimate
    """The probability that one of the rays has a larger z than one of a random direction."""
    counts: tuple[int, ...]
    """Rays by z, in the page's bins."""
    by_layer: tuple[float | None, ...]
    """Mean z of each layer; None for one that is not read yet, empty for a kind that belongs to no layer."""
    by_rank: tuple[float | None, ...]
    """Mean z of each tenth of a matrix's directions, the strongest first."""
    readable_by_rank: tuple[float | None, ...]
    """Share of the rays at p < .01 in each tenth."""
    early: Estimate | None
    """Mean z of the first quarter of a matrix's directions minus that of the last; None where they are too few."""
    correlation: Estimate | None
    """Spearman's correlation of rank and z within a matrix: negative where early directions read better."""
    later: Estimate | None
    """Mean z of the later half of the layers minus that of the first; None where one half is missing."""
    depths: tuple[CensusDepth, ...]
    """First, middle and last layers by themselves, from early to late; empty for a kind that belongs to no layer."""

    @property
    def is_beyond_control(self) -> bool:
        """True if rays beat the whole control, which is too small to show that any is no false discovery."""
        return not self.discovered and 0 < self.n_at_floor < self.n_needed

    @property
    def is_cut(self) -> bool:
        """True for a control of equal rank."""
        return self.group.endswith(CUT)


@dataclass(frozen=True, slots=True)
class EffectDepth:
    """How much better one kind reads than another in a part of the layers."""

    depth: Depth
    layers: range
    difference: Estimate
    superiority: Estimate


@dataclass(frozen=True, slots=True)
class CensusEffect:
    """How much better one kind reads than another, with the same table."""

    group: str
    other: str
    difference: Estimate
    """Difference of mean z."""
    superiority: Estimate
    """The probability that a ray of the first has the larger z."""
    depths: tuple[EffectDepth, ...]
    """Depths that both kinds have, from early to late."""


@dataclass(frozen=True, slots=True)
class SpanShares:
    """Readable rays among a kind's singular directions and among random vectors of the same matrices' spans."""

    layers: range | None
    """A part of the layers; None for all of them."""
    own: Estimate
    random: Estimate
    difference: Estimate
    """Difference of the shares."""


@dataclass(frozen=True, slots=True)
class CensusSpan:
    """A comparison of one kind's singular directions with random vectors of their matrix's span."""

    group: str
    among: SpanPart
    n_matrices: int
    shares: SpanShares
    depths: tuple[tuple[Depth, SpanShares], ...]
    """First, middle and last layers by themselves, from early to late."""

    @property
    def parts(self) -> tuple[SpanShares, ...]:
        """Shares of all layers, then of each depth."""
        return (self.shares, *(own for _, own in self.depths))


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question, as far as the numbers allow one."""

    about: Literal["order", "size", "span", "random", "rank", "components", "layers"]
    answer: str
    evidence: tuple[str, ...]
    """A sentence for each number that the answer rests on."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The sentences of the answer."""
        return tuple(re.split(r"(?<=\.) (?=[A-Z])", self.answer))


@dataclass(frozen=True, slots=True)
class CensusPage:
    """How readable the directions of every matrix of a model are, as far as its layers have been read."""

    address: Address
    model: Model
    view: View
    n_layers: int
    """Layers read so far."""
    kinds: tuple[CensusKind, ...]
    effects: tuple[CensusEffect, ...]
    spans: tuple[CensusSpan, ...]
    findings: tuple[Finding, ...]
    controls: tuple[tuple[End, tuple[int, ...]], ...]
    """Rays of random directions by their own z, in the same bins."""
    edges: tuple[float, float]
    """Outer edges of the bins; rays beyond are in the first and the last."""
    other: tuple[CensusKind, ...]
    """Kinds in the other weight processing; empty unless its census is complete."""
    other_weights: Processing | None
    """The other weight processing; None where the model has only one."""
    seed: int
    """Seed of the intervals and of the rank-restricted draws."""
    draws: int
    """Rank-restricted draws of each layer."""
    depths: tuple[range, ...]
    """The first, middle and last layers."""
    missing: tuple[str, ...]
    """Sentences on what the census leaves out, and why."""

    @property
    def is_whole(self) -> bool:
        """True if every layer was read."""
        return self.n_layers == self.model.n_layers

    @property
    def has_depths(self) -> bool:
        """True if any depth has enough layers for an interval."""
        return any(part.mean.interval for kind in self.kinds for part in kind.depths)

    @property
    def n_intervals(self) -> int:
        """Number of intervals that the findings rest on."""
        numbers: list[Estimate | None] = []
        for kind in self.kinds:
            parts: tuple[CensusKind | CensusDepth, ...] = (kind, *kind.depths)
            numbers += [number for part in parts for number in (part.mean, part.superiority, part.readable)]
            if not kind.is_cut:
                numbers += [*(part.early for part in parts), kind.later if self.is_whole else None]
        for effect in self.effects:
            compared: tuple[CensusEffect | EffectDepth, ...] = (effect, *effect.depths)
            numbers += [number for part in compared for number in (part.difference, part.superiority)]
        for span in self.spans:
            numbers += [shares.difference for shares in span.parts]
        return sum(number is not None and number.interval is not None for number in numbers)
