"""What directions do on text, on the pages of a direction, of a matrix and of a model."""

from dataclasses import dataclass

from app.explorer.serial import EstimateValue, ForPeople


@dataclass(frozen=True, slots=True)
class DirectionUse:
    """What a direction does on text that the model wrote by itself, the first position of each window left out."""

    used_share: float
    """Its share of the variance of what its head writes; `energy_share` is what it would be if the stream were even."""
    spread: float
    """Standard deviation of what it reads at a position, in the stream as the head reads it."""
    skew: EstimateValue
    """Skewness of what it reads: above 0 where the longer tail about the mean is on the + side. The interval is over
    groups of windows."""
    positive: float
    """Share of positions at which it reads more than 0."""


@dataclass(frozen=True, slots=True)
class HeadUse:
    """How a head's first directions share out what it writes on text that the model wrote by itself."""

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
    used_curve: ForPeople[tuple[float, ...]]
    """Share of the first 0, 1, 2 … directions."""
    fitted_curve: ForPeople[tuple[float, ...]]
    """Share of as many fitted axes."""

    @property
    def at(self) -> tuple[int, ...]:
        """Numbers of directions of the curves."""
        return tuple(range(len(self.used_curve)))


@dataclass(frozen=True, slots=True)
class ModelUse:
    """How the heads of a model use their first directions on text that it wrote by itself, beside an even stream."""

    first: int
    """So many directions of each head, the strongest first."""
    n_heads: int
    """Heads that write something that varies."""
    used: float
    """Their share of the variance of what a head writes: the median over heads."""
    even: float
    """Their share if the stream were even, that of their squared singular values: the median over heads."""
    ratio: float
    """The first share by the second: the median over heads."""
    above: float
    """Share of the heads whose interval lies above what an even stream would give; .025 by chance."""
    below: float
    """Share of the heads whose interval lies below it; .025 by chance."""
    n_tokens: int
    """Positions that were counted."""
