"""The page of a census: how readable every direction of a model is, by kind and depth."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import PlainSerializer, computed_field

from app.core.judging.bootstrap import Estimate
from app.explorer.groups import AXES, CUT, Depth, SpanPart
from app.explorer.header import Model
from app.explorer.pages.shared import Linked, OfWeights
from app.explorer.serial import AddressText, EstimateValue, ForPeople
from app.explorer.view import End, Processing, View


class InLayers:
    """Numbers of a part of the layers."""

    __slots__ = ()
    layers: range

    @computed_field
    @property
    def first_layer(self) -> int:
        """The first layer of the part."""
        return self.layers[0]

    @computed_field
    @property
    def last_layer(self) -> int:
        """The last layer of the part."""
        return self.layers[-1]


@dataclass(frozen=True, slots=True)
class CensusDepth(InLayers):
    """How readable one kind is in a part of the layers: the first one, the middle ones, or the last fifth."""

    depth: Depth
    """The first layer, the last fifth, or the layers between."""
    layers: ForPeople[range]
    readable: EstimateValue
    mean_z: EstimateValue
    larger_than_random: EstimateValue
    first_minus_last: EstimateValue | None


@dataclass(frozen=True, slots=True)
class CensusKind:
    """The readability of one kind's rays at one side of a matrix; z is against random directions read the same way."""

    kind: str
    """`ov-write`, `qk-key`, `mlp-in`, `embed` …; with `-cut` at its end: that matrix, restricted to a head's rank; with
    `-used`: the axes that heads' outputs vary along."""
    end: End
    """The end that it is read with: the embedding, or the unembedding."""
    matrices: int
    """All matrices of the kind; each estimate has its number of independent ones."""
    rays: int
    unjudged: int
    """Rays with too few trained tokens, which are not counted."""
    readable: EstimateValue
    """Share of the rays at p < .01."""
    discovered: float
    """Share of the rays at a false discovery rate of 10%, over the rays of this kind."""
    controls: int
    """Rays of random directions that p is taken from: it is never below 1 / (controls + 1)."""
    at_floor: int
    """Rays with that smallest p."""
    needed_at_floor: int
    """Rays at the smallest p that are needed before any is found at that false discovery rate."""
    mean_z: EstimateValue
    """Mean z over rays; the interval is that of the difference from random directions, which are resampled as well."""
    larger_than_random: EstimateValue
    """The probability that one of the rays has a larger z than one of a random direction."""
    counts: tuple[int, ...]
    """Rays by z, in equal bins from the page's `low` to its `high`; the first and the last have those beyond."""
    by_layer: tuple[float | None, ...]
    """Mean z of each layer; None for one that is not read yet, empty for a kind that belongs to no layer."""
    by_rank: tuple[float | None, ...]
    """Mean z of each tenth of a matrix's directions, the strongest first."""
    readable_by_rank: tuple[float | None, ...]
    """Share of the rays at p < .01 in each tenth."""
    first_minus_last: EstimateValue | None
    """Mean z of the first quarter of a matrix's directions minus that of the last; None where they are too few."""
    rank_correlation: EstimateValue | None
    """Spearman's correlation of rank and z within a matrix: negative where early directions read better."""
    later_minus_first: EstimateValue | None
    """Mean z of the later half of the layers minus that of the first; None where one half is missing."""
    depths: tuple[CensusDepth, ...]
    """First, middle and last layers by themselves, from early to late; empty for a kind that belongs to no layer."""

    @property
    def is_beyond_control(self) -> bool:
        """True if rays beat the whole control, which is too small to show that any is no false discovery."""
        return not self.discovered and 0 < self.at_floor < self.needed_at_floor

    @computed_field
    @property
    def equal_rank(self) -> bool:
        """True for a control of equal rank: the matrix, restricted at random to the rank of a head's."""
        return self.kind.endswith(CUT)

    @property
    def is_of_axes(self) -> bool:
        """True for the axes of heads' outputs, which are compared with singular directions alone."""
        return self.kind.endswith(AXES)


@dataclass(frozen=True, slots=True)
class ComparisonDepth(InLayers):
    """How much better one kind reads than another in a part of the layers."""

    depth: Depth
    layers: ForPeople[range]
    difference: EstimateValue
    superiority: EstimateValue


@dataclass(frozen=True, slots=True)
class CensusComparison:
    """How much better one kind reads than another, with the same table."""

    first: str
    second: str
    difference: EstimateValue
    """Difference of mean z."""
    superiority: EstimateValue
    """The probability that a ray of the first has the larger z."""
    depths: tuple[ComparisonDepth, ...]
    """Depths that both kinds have, from early to late."""


@dataclass(frozen=True, slots=True)
class OfLayers:
    """Shares in a part of the layers."""

    depth: Depth | None
    """The part of the layers; None for all of them."""
    layers: ForPeople[range | None]

    @computed_field
    @property
    def first_layer(self) -> int | None:
        """The first layer of the part; null for all layers."""
        return self.layers[0] if self.layers else None

    @computed_field
    @property
    def last_layer(self) -> int | None:
        """The last layer of the part; null for all layers."""
        return self.layers[-1] if self.layers else None


@dataclass(frozen=True, slots=True)
class SpanShares(OfLayers):
    """Readable rays among a kind's singular directions and among random vectors of the same matrices' spans."""

    directions: EstimateValue
    random: EstimateValue
    difference: EstimateValue
    """Difference of the shares."""


@dataclass(frozen=True, slots=True)
class CensusSpan:
    """A comparison of one kind's singular directions with random vectors of their matrix's span."""

    kind: str
    among: SpanPart
    """All directions, beside random vectors of the span; or the first four, beside vectors weighted by singular value."""
    matrices: int
    shares: tuple[SpanShares, ...]
    """Shares of all layers, then of the first, middle and last ones by themselves."""


@dataclass(frozen=True, slots=True)
class AxesShares(OfLayers):
    """Readable rays among the axes of heads' outputs, among singular directions, and among random vectors of the same spans."""

    axes: EstimateValue
    directions: EstimateValue
    random: EstimateValue
    """Random vectors, which are of a few heads of each layer where all axes are compared."""
    drawn_axes: EstimateValue
    """The axes of the heads that the random vectors are of: to be held beside `random`."""
    difference: EstimateValue
    """Share of the axes minus that of the directions, both of all heads."""


@dataclass(frozen=True, slots=True)
class CensusAxes:
    """A comparison of the axes that heads' outputs vary along with the singular directions of the same matrices."""

    kind: str
    """What the heads read or write: `ov-read`, `ov-write`."""
    among: SpanPart
    """All axes of a head, beside random vectors of the span; or the first four, beside vectors weighted by singular value."""
    matrices: int
    shares: tuple[AxesShares, ...]
    """Shares of all layers, then of the first, middle and last ones by themselves."""


@dataclass(frozen=True, slots=True)
class CensusUse:
    """Whether what is readable of one kind is used, on text that the model wrote by itself."""

    kind: str
    correlation: EstimateValue | None
    """Spearman's correlation, within a head, of a direction's larger z and of its used share beside its weights' share, the
    place in the matrix taken out; null where no head has enough directions.
    """
    rays: int
    """Rays at p < .01 whose direction reads values that are skewed to one side."""
    same_side: EstimateValue | None
    """Share of these rays on the side to which those values are skewed, .5 by chance; null where there are none."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question, as far as the numbers allow one."""

    about: Literal["order", "size", "span", "random", "rank", "components", "layers", "use", "axes"]
    answer: str
    evidence: tuple[str, ...]
    """A sentence for each number that the answer rests on."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The sentences of the answer."""
        return tuple(re.split(r"(?<=\.) (?=[A-Z])", self.answer))


@dataclass(frozen=True, slots=True)
class CensusPage(Linked, OfWeights):
    """How readable the directions of every matrix of a model are, as far as its layers have been read."""

    address: AddressText
    """The model's address."""
    model: ForPeople[Model]
    view: ForPeople[View]
    layers_read: int
    """Layers read so far."""
    kinds: tuple[CensusKind, ...]
    comparisons: tuple[CensusComparison, ...]
    spans: tuple[CensusSpan, ...]
    uses: tuple[CensusUse, ...]
    """What heads read, and what they write; empty unless what directions do on text was computed."""
    axes: tuple[CensusAxes, ...]
    """The axes of what heads read and write; empty unless those of every head were computed in the layers read."""
    findings: tuple[Finding, ...]
    controls: Annotated[
        tuple[tuple[End, tuple[int, ...]], ...], PlainSerializer(dict, return_type=dict[str, tuple[int, ...]])
    ]
    """Rays of random directions by their own z, in the same bins, for each end."""
    low: float
    """Lower edge of the first bin; rays beyond are in it."""
    high: float
    """Upper edge of the last bin; rays beyond are in it."""
    other: ForPeople[tuple[CensusKind, ...]]
    """Kinds in the other weight processing; empty unless its census is complete."""
    other_weights: ForPeople[Processing | None]
    """The other weight processing; None where the model has only one."""
    seed: int
    """Seed of the intervals and of the rank-restricted draws."""
    draws: int
    """Rank-restricted draws of each layer."""
    depths: ForPeople[tuple[range, ...]]
    """The first, middle and last layers."""
    missing: tuple[str, ...]
    """Sentences on what the census leaves out, and why."""

    @computed_field
    @property
    def layers(self) -> int:
        """Layers of the model."""
        return self.model.n_layers

    @property
    def is_whole(self) -> bool:
        """True if every layer was read."""
        return self.layers_read == self.layers

    @property
    def has_depths(self) -> bool:
        """True if any depth has enough layers for an interval."""
        return any(part.mean_z.interval for kind in self.kinds for part in kind.depths)

    @property
    def n_intervals(self) -> int:
        """Number of intervals that the findings rest on."""
        numbers: list[Estimate | None] = []
        for kind in self.kinds:
            parts: tuple[CensusKind | CensusDepth, ...] = (kind, *kind.depths)
            numbers += [number for part in parts for number in (part.mean_z, part.larger_than_random, part.readable)]
            if not kind.equal_rank:
                numbers += [
                    *(part.first_minus_last for part in parts),
                    kind.later_minus_first if self.is_whole else None,
                ]
        for comparison in self.comparisons:
            compared: tuple[CensusComparison | ComparisonDepth, ...] = (comparison, *comparison.depths)
            numbers += [number for part in compared for number in (part.difference, part.superiority)]
        for span in self.spans:
            numbers += [shares.difference for shares in span.shares]
        for part_axes in self.axes:
            numbers += [shares.difference for shares in part_axes.shares]
        numbers += [number for use in self.uses for number in (use.correlation, use.same_side)]
        return sum(number is not None and number.interval is not None for number in numbers)
