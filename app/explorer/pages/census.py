"""How readable every direction of a model is, by kind and depth."""

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
    """How readable the rays of one kind of matrix are, at one side; z is against random directions read the same way."""

    group: str
    """`ov-write`, `qk-key`, `mlp-in`, `embed` …; with `-cut` at its end: that matrix, cut down to a head's rank."""
    end: End
    """What it is read with: the embedding, or the unembedding."""
    n_matrices: int
    """All of them; an estimate says how many independent ones it rests on."""
    n_rays: int
    n_unjudged: int
    """Rays of too few tokens that were ever trained, which count for nothing."""
    readable: Estimate
    """Share of the rays at p < .01."""
    discovered: float
    """Share of the rays at a false discovery rate of 10%, over the rays of this kind."""
    n_control: int
    """Rays of random directions that p is the share of: it is never below 1 in one more than these."""
    n_at_floor: int
    """Rays whose p is that."""
    n_needed: int
    """How many must be before any is found at that rate."""
    mean: Estimate
    """Of z over rays; the interval is that of the difference from random directions, which were drawn as well."""
    superiority: Estimate
    """How often one of the rays has a larger z than one of a random direction."""
    counts: tuple[int, ...]
    """Rays by z, in the page's bins."""
    by_layer: tuple[float | None, ...]
    """Mean z; None for a layer that is not read yet, empty for what belongs to no layer."""
    by_rank: tuple[float | None, ...]
    """Mean z of each tenth of a matrix's directions, the strongest first."""
    readable_by_rank: tuple[float | None, ...]
    """Share of the rays at p < .01 of each tenth."""
    early: Estimate | None
    """Mean z of the first quarter of a matrix's directions minus that of the last; None where they are too few."""
    correlation: Estimate | None
    """Spearman's, of place and z within a matrix: negative where early directions read better."""
    later: Estimate | None
    """Mean z of the later half of the layers minus that of the first; None where there are no two."""
    depths: tuple[CensusDepth, ...]
    """Of first, middle and last layers by themselves, from early to late; empty for what belongs to no layer."""

    @property
    def is_beyond_control(self) -> bool:
        """Whether rays stand out from all of the control, which has too few to show that any is no false discovery."""
        return not self.discovered and 0 < self.n_at_floor < self.n_needed

    @property
    def is_cut(self) -> bool:
        """Whether it is a control of equal rank."""
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
    """Of mean z."""
    superiority: Estimate
    """How often a ray of the first has the larger z."""
    depths: tuple[EffectDepth, ...]
    """Of the layers that both have, from early to late."""


@dataclass(frozen=True, slots=True)
class SpanShares:
    """Readable rays among a kind's singular directions and among random vectors of the same matrices' spans."""

    layers: range | None
    """A part of the layers; None for all of them."""
    own: Estimate
    random: Estimate
    difference: Estimate
    """Of the shares."""


@dataclass(frozen=True, slots=True)
class CensusSpan:
    """Whether one kind's singular directions read better than any vector of their matrix's span would."""

    group: str
    among: SpanPart
    n_matrices: int
    shares: SpanShares
    depths: tuple[tuple[Depth, SpanShares], ...]
    """Of first, middle and last layers by themselves, from early to late."""

    @property
    def parts(self) -> tuple[SpanShares, ...]:
        """Of all layers, then of each depth."""
        return (self.shares, *(own for _, own in self.depths))


@dataclass(frozen=True, slots=True)
class Finding:
    """What the numbers allow to be said about one question."""

    about: Literal["order", "size", "span", "random", "rank", "components", "layers"]
    answer: str
    evidence: tuple[str, ...]
    """A sentence for each number that it rests on."""

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
    """Read so far."""
    kinds: tuple[CensusKind, ...]
    effects: tuple[CensusEffect, ...]
    spans: tuple[CensusSpan, ...]
    findings: tuple[Finding, ...]
    controls: tuple[tuple[End, tuple[int, ...]], ...]
    """Rays of random directions by their own z, in the same bins."""
    edges: tuple[float, float]
    """Of the bins; what lies beyond is in the first and the last."""
    other: tuple[CensusKind, ...]
    """The same of the other weight processing; empty unless all of it was computed."""
    other_weights: Processing | None
    """Which that is; None where the model has one."""
    seed: int
    """Of the intervals and of what was cut down."""
    draws: int
    """That many matrices were cut down in each layer."""
    depths: tuple[range, ...]
    """The layers that stand first, in the middle and last."""
    missing: tuple[str, ...]
    """What there is no census of, and why, in sentences."""

    @property
    def is_whole(self) -> bool:
        """Whether every layer was read."""
        return self.n_layers == self.model.n_layers

    @property
    def has_depths(self) -> bool:
        """Whether any part of the layers has enough of them for an interval."""
        return any(part.mean.interval for kind in self.kinds for part in kind.depths)

    @property
    def n_intervals(self) -> int:
        """That the findings rest on."""
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
