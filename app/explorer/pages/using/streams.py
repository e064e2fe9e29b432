"""The pages about the streams of the reference text: the linear map between two of them, and unlikely tokens in them."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from app.explorer.header import Model
from app.explorer.layout import LINEAR_BASES, LinearBasis
from app.explorer.pages.search import Unbuilt
from app.explorer.pages.shared import Linked, OfWeights
from app.explorer.pages.using.statistics import ReferenceText
from app.explorer.serial import AddressText, Entries, EstimateValue, ForPeople
from app.explorer.view import View
from app.store.jobs import Job, Task

QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Unmade:
    """What stands in place of numbers that are not computed: why, and a job that would compute them."""

    missing: Unbuilt
    task: Task | None
    """The task that computes them; None where the reference text is missing, too."""
    last: Job | None
    """The newest job of that task."""


@dataclass(frozen=True, slots=True)
class TermQuarter:
    """A quarter of a basis's directions, in its order."""

    first: int
    last: int
    score: float | None
    """The mean R^2 along its directions, on held-out text; null where the later stream does not vary along them."""
    embedding: float
    """Share of the embedding's variance along them."""
    start: float
    """Share of the variance of the stream that is mapped."""
    end: float
    """Share of the variance of the stream that it is mapped to."""


@dataclass(frozen=True, slots=True)
class BasisScore:
    """How a basis's directions are predicted by the linear map, and how the map looks in it."""

    basis: LinearBasis
    terms: int
    """Its directions."""
    score: float | None
    """The mean R^2 along them, on held-out text."""
    weighted: float | None
    """The same weighted by the later stream's variance along each: R^2 in all, in every orthonormal basis; atoms are not."""
    quarters: tuple[TermQuarter, ...]
    """Its directions in four parts; fewer where it has fewer directions."""
    diagonal: float | None
    """Share of the map's squared entries that stands on its diagonal; null for atoms, which are not orthogonal."""


@dataclass(frozen=True, slots=True)
class LinearPage(Linked, OfWeights):
    """The linear map between two layers' streams on the reference text, seen in bases."""

    address: AddressText
    model: ForPeople[Model]
    view: ForPeople[View]
    start: int
    """The stream that is mapped, by the layer that it enters."""
    end: int
    """The stream that it is mapped to; the model's number of layers is the last one."""
    basis: LinearBasis
    """The basis that is shown."""
    statistics: str
    """The name of the statistics of use whose text the streams are of."""
    text: ReferenceText
    """The text: own, what the model wrote by itself; given, one of whoever runs the server."""
    n_positions: int
    """Positions of the text."""
    n_sinks: int
    """Positions that were left out besides each window's first, since their stream is many times as long as others'."""
    whole: EstimateValue
    """R^2 in all on held-out windows of the text, in any basis. The interval is over windows."""
    unmoved: float
    """R^2 in all of the identity: the later stream taken to be the earlier one."""
    penalty: float
    """The ridge penalty, in units of the mean square of a coordinate."""
    bases: tuple[BasisScore, ...]
    """The bases, random directions always among them."""
    scores: tuple[float | None, ...]
    """R^2 along each direction of the shown basis."""
    map: tuple[tuple[float, ...], ...]
    """Mean squares of blocks of the map in the shown basis, from (rows) to (columns), in units of the mean of all; empty for
    atoms."""
    there: ForPeople[tuple[tuple[int, int], ...]]
    """The streams of all maps of this text that are here."""
    atoms_command: ForPeople[str]
    """The command that brings the atoms of an NMF of the embedding; empty where they are here."""
    unmade: ForPeople[Unmade | None] = None
    order: ClassVar[tuple[LinearBasis, ...]] = LINEAR_BASES

    @property
    def unbuilt(self) -> Unbuilt | None:
        """Why nothing is shown; None where something is."""
        return None if self.unmade is None else self.unmade.missing

    @property
    def shown(self) -> BasisScore:
        """The basis that is shown."""
        return self.of(self.basis)

    @property
    def random(self) -> BasisScore:
        """Random directions."""
        return self.of("random")

    @property
    def best_quarter(self) -> tuple[LinearBasis, int, float] | None:
        """The quarter whose directions are predicted best, random ones left out: its basis, number and score."""
        scored = [
            (one.basis, at, part.score)
            for one in self.bases
            for at, part in enumerate(one.quarters)
            if one.basis != "random" and part.score is not None
        ]
        return max(scored, key=lambda quarter: quarter[2], default=None)

    def of(self, basis: LinearBasis) -> BasisScore:
        """Return a basis of the page."""
        return next(each for each in self.bases if each.basis == basis)


Repurposed = Literal["absent", "against", "found", "unsettled"]
"""Whether streams in the middle hold more of unlikely tokens' vectors than streams at other positions do, which says nothing of
what all positions share: absent, the whole interval is below a tenth more; found, it is above that with and without the set's mean; against, it is above that with the mean alone, and all
streams in the middle lie against it, as what makes these tokens unlikely does; unsettled, none of these."""


@dataclass(frozen=True, slots=True)
class UnlikelyStream:
    """What the stream that enters a layer holds of the least likely tokens' vectors. Intervals are over windows of the text."""

    layer: int
    """The layer; the model's number of layers for what the final norm reads."""
    naive: EstimateValue
    """The share of the stream in the span of the set's vectors, by that in the span of as frequent tokens' vectors, nothing
    centred: what one computes first, and what misleads."""
    control: EstimateValue
    """The same share by that of the streams at other positions in the span of the same set, streams and vectors centred."""
    without: EstimateValue
    """As `control`, without the mean of the set's vectors."""
    signed: EstimateValue
    """Cosine of the stream with the mean of the set's vectors."""
    signed_others: EstimateValue
    """The same of the streams at other positions."""
    undone: EstimateValue
    """Cosine of what the stream has in the span with what later layers add there: -1 where they take it away."""
    share: float
    """Share of the stream in the span of its own set, centred."""
    chance: float
    """Share of the streams at other positions there."""


@dataclass(frozen=True, slots=True)
class UnlikelyExample:
    """A position of the text, and some of the least likely tokens behind it."""

    before: Entries
    """The text up to the position."""
    least: Entries
    """The least likely tokens, the least first."""


@dataclass(frozen=True, slots=True)
class UnlikelyPage(Linked, OfWeights):
    """Whether the streams in the middle of a model hold the vectors of tokens that are unlikely to come next."""

    address: AddressText
    model: ForPeople[Model]
    view: ForPeople[View]
    statistics: str
    """The name of the statistics of use whose text the streams are of."""
    text: ReferenceText
    """The text: own, what the model wrote by itself; given, one of whoever runs the server."""
    n_positions: int
    """Positions of the text that were looked at."""
    n_windows: int
    """Windows of the text that they are of."""
    n_tokens: int
    """The least likely tokens at each."""
    random_share: float
    """Share of a stream that lies in a random span of as many dimensions, on average."""
    middle: tuple[int, int]
    """The first and the last stream of the middle, by the layers that they enter."""
    verdict: Repurposed
    """Whether the middle holds more of these tokens than the control."""
    naive: EstimateValue
    """The naive ratio of the streams in the middle together."""
    control: EstimateValue
    """The ratio to the control there: the number to go by."""
    without: EstimateValue
    """The same without the mean of the set's vectors."""
    streams: tuple[UnlikelyStream, ...]
    """The ratios of every stream."""
    examples: tuple[UnlikelyExample, ...]
    unmade: ForPeople[Unmade | None] = None

    @property
    def unbuilt(self) -> Unbuilt | None:
        """Why nothing is shown; None where something is."""
        return None if self.unmade is None else self.unmade.missing

    @property
    def shares_in_middle(self) -> tuple[float, float]:
        """The least and the largest share that streams in the middle have in the span of their own set."""
        low, high = self.middle
        shares = [one.share for one in self.streams if low <= one.layer <= high]
        return min(shares), max(shares)
