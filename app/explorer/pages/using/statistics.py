"""What directions do on text, on the pages of a direction, of a matrix and of a model."""

from dataclasses import dataclass
from typing import Literal

from app.core.address import Sign
from app.explorer.serial import AddressText, Entries, EstimateValue, ForPeople

ReferenceText = Literal["own", "given"]
"""The text that statistics are of: what the model wrote by itself, or one that whoever runs the server named."""


@dataclass(frozen=True, slots=True)
class UsePeak:
    """A place of the reference text where much arrives of a direction."""

    ray: Sign
    """The end along which it is written there."""
    z: float
    """What arrives, in standard deviations from its mean over the text."""
    tokens: Entries
    """The tokens around it."""
    at: int
    """Which of them is the place, counted from 0: what is written there decides the token behind it."""


@dataclass(frozen=True, slots=True)
class DirectionUse:
    """What a direction does on the reference text, the first position of each window left out."""

    used_share: float
    """Its share of the variance of what its head writes; `energy_share` is what it would be if the stream were even."""
    spread: float
    """Standard deviation of what it reads at a position, in the stream as the head reads it."""
    skew: EstimateValue
    """Skewness of what it reads: above 0 where the longer tail about the mean is on the + side. The interval is over
    groups of windows."""
    positive: float
    """Share of positions at which it reads more than 0."""
    text: ReferenceText
    """The text: own, what the model wrote by itself; given, one of whoever runs the server."""
    peaks: tuple[UsePeak, ...]
    """Where most arrives of it, first along its + end."""


@dataclass(frozen=True, slots=True)
class HeadUse:
    """How a head's first directions share out what it writes on the reference text."""

    first: int
    """So many directions, the strongest first."""
    used: EstimateValue
    """Their share of the variance of what the head writes."""
    even: float
    """Their share if the stream were even: that of their squared singular values."""
    fitted: float
    """The share of as many axes fitted to the head's output, on the other half of the text."""
    random: float
    """The share that as many random directions of its span have on average."""
    n_tokens: int
    """Positions that were counted."""
    text: ReferenceText
    """The text: own, what the model wrote by itself; given, one of whoever runs the server."""
    used_curve: ForPeople[tuple[float, ...]]
    """Share of the first 0, 1, 2 … directions."""
    even_curve: ForPeople[tuple[float, ...]]
    """The same if the stream were even."""
    fitted_curve: ForPeople[tuple[float, ...]]
    """Share of as many fitted axes."""

    @property
    def at(self) -> tuple[int, ...]:
        """Numbers of directions of the curves."""
        return tuple(range(len(self.used_curve)))

    @property
    def random_curve(self) -> tuple[float, ...]:
        """Share of as many random directions of the span, on average."""
        return tuple(n / self.at[-1] for n in self.at)


@dataclass(frozen=True, slots=True)
class ModelUse:
    """How the heads of a model use their first directions on the reference text, beside an even stream."""

    first: int
    """So many directions of each head, the strongest first."""
    n_heads: int
    """Heads that write something that varies."""
    used: float
    """Their share of the variance of what a head writes: the median over heads."""
    even: float
    """Their share if the stream were even, that of their squared singular values: the median over heads."""
    ratio: EstimateValue
    """The first share by the second: the median over heads. The interval is over windows of the text."""
    above: float
    """Share of the heads whose interval lies above what an even stream would give; .025 by chance."""
    below: float
    """Share of the heads whose interval lies below it; .025 by chance."""
    n_tokens: int
    """Positions that were counted."""
    text: ReferenceText
    """The text: own, what the model wrote by itself; given, one of whoever runs the server."""


@dataclass(frozen=True, slots=True)
class MixedIn:
    """A singular direction that an axis of a head's output is partly."""

    address: AddressText
    index: int
    cosine: float
    """The size of the cosine of what the two write; its square is the direction's share of the axis."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis of a head's output is, besides a direction."""

    held_share: float
    """Share of the variance of what the head writes along the axis of that place that was fitted on the other half of the
    text; `merit` is the share on the text that the axes were fitted to, which is too high for the first axes, and too low for
    later ones: shares of the first axes together are what to compare."""
    mixture: tuple[MixedIn, ...]
    """The singular directions that it is most like, most first."""
    mixture_share: float
    """The share of the axis that these make together, the sum of their squared cosines; all directions make 1."""


@dataclass(frozen=True, slots=True)
class HeadAxes:
    """The axes that a head's output varies along."""

    n_tokens: int
    """Positions of the reference text that they were fitted to."""
    text: ReferenceText
    """The text: own, what the model wrote by itself; given, one of whoever runs the server."""
    first: Axis | None
    """The first axis; None for a matrix of rank 0."""
    first_share: float
    """Its share of the variance of what the head writes, on the text that it was fitted to."""
    random_share: float
    """The share that a random axis of the span has, on average."""
    random_cosine: float
    """The size of the cosine that a random axis of the span has with the direction that it is most like, on average."""
