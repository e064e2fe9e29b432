"""The geometry of the charts: numbers in, integer coordinates out. The macros draw them, the style colours them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

STEP = 10
"""Width of a bar and its gap, in the chart's own units."""
HEIGHT = 100


class Bar(NamedTuple):
    """One bar, standing on the lower edge of a chart HEIGHT high."""

    x: int
    y: int
    height: int


class Step(NamedTuple):
    """A bar of a spectrum as its macro prints it: texts, since a page has hundreds and each number costs as much as a text."""

    label: str
    column: str
    """Path of the whole height: where a click counts."""
    bar: str
    """Path of what is seen."""


def bars(values: Sequence[float]) -> list[Bar]:
    """Bars as high as the values, the largest as high as the chart.

    Example: bars((4.0, 2.0)) -> [Bar(0, 0, 100), Bar(10, 50, 50)]
    """
    top = max(values, default=0.0)
    heights = [max(round(HEIGHT * value / top), 1) if value > 0 else 0 for value in values]
    return [Bar(STEP * i, HEIGHT - height, height) for i, height in enumerate(heights)]


def spectrum(values: Sequence[float]) -> list[Step]:
    """The singular values as steps, each with its index and value.

    Example: spectrum((4.0, 2.0))[1] -> Step("1 · σ 2", "M10 0h10v100h-10z", "M11 50h8v50h-8z")
    """
    return [
        Step(f"{i} · σ {value:.4g}", f"M{x} 0h10v100h-10z", f"M{x + 1} {y}h8v{height}h-8z")
        for i, (value, (x, y, height)) in enumerate(zip(values, bars(values), strict=True))
    ]


def outline(values: Sequence[float]) -> str:
    """The path of all bars at once, for charts that are only looked at.

    Example: outline((4.0, 2.0)) -> "M1 100V0h8V100M11 100V50h8V100"
    """
    return _path(bars(values))


class Halves(NamedTuple):
    """A histogram's bars as two paths, one on each side of the score 0, and where that lies."""

    minus: str
    plus: str
    zero: int


def histogram(counts: Sequence[int], low: float, high: float) -> Halves:
    """Bars as high as the logarithms of the counts: the tails are what the readouts show, and they are a few tokens."""
    at = zero(low, high, len(counts))
    drawn = bars([math.log1p(count) for count in counts])
    minus = [bar for bar in drawn if bar.x + STEP / 2 < at]
    return Halves(_path(minus), _path(drawn[len(minus) :]), at)


def zero(low: float, high: float, n_bins: int) -> int:
    """Where the score 0 lies on a histogram's axis.

    Example: zero(-1.0, 3.0, 4) -> 10
    """
    if low >= 0:
        return 0
    return round(STEP * n_bins * (-low / (high - low))) if high > 0 else STEP * n_bins


def _path(drawn: Sequence[Bar]) -> str:
    return "".join(f"M{x + 1} {HEIGHT}V{y}h8V{HEIGHT}" for x, y, _height in drawn)
