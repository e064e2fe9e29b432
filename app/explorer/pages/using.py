"""What directions do on text, on the pages of a direction and of a matrix."""

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
    """Skewness of what it reads: above 0 where its larger values are on the + side. The interval is over windows."""
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

    @property
    def explained(self) -> tuple[float, ...]:
        """The curve of the directions, as a chart of shares draws it."""
        return self.used_curve

    @property
    def svd(self) -> tuple[float, ...]:
        """The curve of the fitted axes, which no other axes can be much above."""
        return self.fitted_curve
