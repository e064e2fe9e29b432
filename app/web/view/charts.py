"""The geometry of the charts: numbers in, integer coordinates out. Macros draw them, the style sheet colours them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from app.core.address import Kind, Ray
from app.core.judging.rays import RayClass
from app.explorer.pages.circuitry import PairPage
from app.explorer.pages.composition import COLOURED, CompositionPage
from app.explorer.pages.search import StripRow
from app.explorer.pages.using.changes import StudyPoint

STEP = 10
"""Width of a bar with its gap, in the chart's own units."""
HEIGHT = 100
LEAST_DIVERGENCE = 1e-9
"""A divergence below which rounding is all that is left."""


class Bar(NamedTuple):
    """One bar, standing on the lower edge of a chart HEIGHT high."""

    x: int
    y: int
    height: int


class SpectrumBar(NamedTuple):
    """A bar of a spectrum as its macro prints it: texts, since printing each number would cost as much as a text."""

    label: str
    column: str
    """Path of the whole height, which takes clicks."""
    bar: str
    """Path of the visible bar."""


def bars(values: Sequence[float]) -> list[Bar]:
    """Compute bars as high as the values, the largest as high as the chart.

    Example: bars((4.0, 2.0)) -> [Bar(0, 0, 100), Bar(10, 50, 50)]
    """
    top = max(values, default=0.0)
    heights = [max(round(HEIGHT * value / top), 1) if value > 0 else 0 for value in values]
    return [Bar(STEP * i, HEIGHT - height, height) for i, height in enumerate(heights)]


def spectrum(values: Sequence[float], indices: Sequence[int]) -> list[SpectrumBar]:
    """Compute the bars of a spectrum, each with the index of its direction and its singular value.

    Example: spectrum((4.0, 2.0), (0, 1))[1] -> SpectrumBar("1 · σ 2", "M10 0h10v100h-10z", "M11 50h8v50h-8z")
    """
    return [
        SpectrumBar(f"{index} · σ {value:.4g}", f"M{x} 0h10v100h-10z", f"M{x + 1} {y}h8v{height}h-8z")
        for index, value, (x, y, height) in zip(indices, values, bars(values), strict=True)
    ]


def outline(values: Sequence[float]) -> str:
    """Draw all bars as one path, for charts without links.

    Example: outline((4.0, 2.0)) -> "M1 100V0h8V100M11 100V50h8V100"
    """
    return _bar_path(bars(values))


CLASSES: tuple[RayClass, ...] = ("antipodal", "one-sided", "undetermined", "neither")
"""Classes of directions, from most readable rays to none."""


def class_bars(counted: Mapping[RayClass, int]) -> list[tuple[int, RayClass, int]]:
    """Compute the start and the length of each class in a bar of all directions; empty classes are left out.

    Example: class_bars({"antipodal": 2, "one-sided": 0, "neither": 5, "undetermined": 1}) -> [(0, "antipodal", 2),
    (2, "undetermined", 1), (3, "neither", 5)]
    """
    numbers = [counted.get(each, 0) for each in CLASSES]
    starts = accumulate(numbers, initial=0)
    return [(start, each, n) for start, each, n in zip(starts, CLASSES, numbers, strict=False) if n]


def thin_values(values: Sequence[float], most: int = 512) -> list[float]:
    """Choose at most so many of the values, evenly, with the first and the last: charts have no more pixels.

    Example: thin_values((5.0, 4.0, 3.0, 2.0, 1.0), 3) -> [5.0, 3.0, 1.0]
    """
    n = len(values)
    return list(values) if n <= most else [values[round(i * (n - 1) / (most - 1))] for i in range(most)]


def share_path(at: Sequence[int], values: Sequence[float], width: int = 1000) -> str:
    """Draw the path of shares of one over numbers of terms, on a logarithmic axis that begins with 0.

    Example: share_path((0, 1, 10, 100), (0.0, 0.5, 0.75, 1.0)) -> "M0 100L333 50L667 25L1000 0"
    """
    points = zip((_log_position(n, at[-1]) for n in at), values, strict=True)
    return "M" + "L".join(f"{round(width * x)} {round(HEIGHT * (1 - value))}" for x, value in points)


def share_ticks(last: int) -> list[tuple[str, int]]:
    """Compute labels and places, in percent of the width, under that axis: 0, powers of ten, the last number.

    Example: share_ticks(100) -> [("0", 0), ("1", 33), ("10", 67), ("100", 100)]
    """
    powers = (10**i for i in range(len(str(last))))
    # The label of a power more than half the last number would touch that number's.
    shown = [0, *(n for n in powers if 2 * n <= last), last]
    return [(f"{n:,}", round(100 * _log_position(n, last))) for n in shown]


def _log_position(n: int, last: int) -> float:
    # log(0) has no place: 0 gets one decade to the left of 1.
    return (math.log10(n) + 1) / (math.log10(last) + 1) if n else 0.0


def line_path(values: Sequence[float], width: int = 1000, top: float = 1.0) -> str:
    """Draw the path of shares of one at equal steps; or of `top`, where the upper edge is.

    Example: line_path((1.0, 0.5, 0.0)) -> "M0 0L500 50L1000 100"
    """
    step = width / max(1, len(values) - 1)
    points = (f"{round(i * step)} {round(HEIGHT * (1 - min(1.0, value / top)))}" for i, value in enumerate(values))
    return "M" + "L".join(points)


def two_histograms(counts: Sequence[float], others: Sequence[float]) -> tuple[str, str]:
    """Draw two histograms on one scale, as high as the logarithms of the counts, so that their tails can be compared.

    Example: two_histograms((0, 1), (0, 3)) -> ("M0 100L1 50", "M0 100L1 0")
    """
    top = math.log1p(max(*counts, *others)) or 1.0

    def path(values: Sequence[float]) -> str:
        return "M" + "L".join(f"{i} {round(HEIGHT * (1 - math.log1p(value) / top))}" for i, value in enumerate(values))

    return path(counts), path(others)


def largest_share(all_counts: Sequence[Sequence[int]]) -> float:
    """Find the largest share of any bin in the histograms, for one scale of all.

    Example: largest_share([(1, 3), (1, 1)]) -> 0.75
    """
    return max((max(counts) / sum(counts) for counts in all_counts if sum(counts)), default=0.0) or 1.0


def histogram_outline(counts: Sequence[int], top: float) -> str:
    """Draw the outline of a histogram's shares, as high as their square roots, so that tails are visible.

    Example: histogram_outline((1, 3), 0.75) -> "M0 100V42H1V0H2V100"
    """
    total = sum(counts) or 1
    heights = (round(HEIGHT * (1 - math.sqrt(count / total / top))) for count in counts)
    return "M0 100" + "".join(f"V{height}H{at}" for at, height in enumerate(heights, 1)) + "V100"


def find_bounds(all_values: Sequence[Sequence[float | None]]) -> tuple[float, float]:
    """Find the smallest and the largest of zero and all values: one scale for many curves.

    Example: find_bounds([(1.0, None), (0.5,)]) -> (0.0, 1.0)
    """
    known = [value for values in all_values for value in values if value is not None]
    low, high = min(0.0, *known, 0.0), max(0.0, *known, 0.0)
    return (low, high) if high > low else (0.0, 1.0)


class ScaledLine(NamedTuple):
    """A curve on a scale that others share, its points, and the height of zero."""

    path: str
    points: list[tuple[int, int]]
    """Points in percent of the chart, so that a single one is visible, too."""
    zero: int


def line_on_scale(values: Sequence[float | None], low: float, high: float, width: int = 1000) -> ScaledLine:
    """Draw values at equal steps on the scale from low to high; None interrupts the curve.

    Example: line_on_scale((1.0, None, 0.5), 0.0, 1.0) -> ScaledLine("M0 0M1000 50", [(0, 0), (100, 50)], 100)
    """
    step = 1 / max(1, len(values) - 1)
    path, points, before = "", list[tuple[int, int]](), None
    for i, value in enumerate(values):
        if value is not None:
            y = round(HEIGHT * (high - value) / (high - low))
            path += f"{'M' if before is None else 'L'}{round(width * i * step)} {y}"
            points.append((round(100 * i * step), y))
        before = value
    return ScaledLine(path, points, round(HEIGHT * high / (high - low)))


def band_on_scale(lows: Sequence[float], highs: Sequence[float], low: float, high: float, width: int = 1000) -> str:
    """Draw the area between two curves at equal steps on the scale from low to high.

    Example: band_on_scale((0.0, 0.5), (1.0, 1.0), 0.0, 1.0) -> "M0 100L1000 50L1000 0L0 0z"
    """
    step = width / max(1, len(lows) - 1)
    points = [(round(i * step), value) for i, value in enumerate(lows)]
    points += reversed([(round(i * step), value) for i, value in enumerate(highs)])
    return "M" + "L".join(f"{x} {round(HEIGHT * (high - value) / (high - low))}" for x, value in points) + "z"


def average_groups(values: Sequence[float | None], most: int) -> list[float | None]:
    """Average values over at most so many groups of neighbours; None for a group without any.

    Example: average_groups((1.0, 2.0, None, 4.0), 2) -> [1.5, 4.0]
    """
    k = min(most, len(values))
    edges = [round(len(values) * i / k) for i in range(k + 1)] if k else [0]
    groups = ([value for value in values[a:b] if value is not None] for a, b in pairwise(edges))
    return [sum(group) / len(group) if group else None for group in groups]


SHADES = (1.5, 3.0, 6.0, 12.0, 24.0)
"""Least squares of each colour of a map of blocks, in units of the mean of all."""


def block_map(rows: Sequence[Sequence[float]]) -> list[tuple[str, str]]:
    """Draw the blocks of a map that are well above the mean, a path for each colour.

    Example: block_map(((4.0, 0.0), (0.0, 0.2))) -> [("s1", "M0 0h1v1h-1z")]
    """
    paths: dict[str, list[str]] = {}
    for y, row in enumerate(rows):
        for x, value in enumerate(row):
            at = sum(value >= least for least in SHADES)
            if at:
                paths.setdefault(f"s{at - 1}", []).append(f"M{x} {y}h1v1h-1z")
    return sorted((name, "".join(cells)) for name, cells in paths.items())


class SignedLine(NamedTuple):
    """A curve around zero, and the height of zero."""

    path: str
    zero: int


def signed_line(values: Sequence[float], width: int = 1000) -> SignedLine:
    """Draw values at equal steps, the largest and the smallest (or zero) at the edges of the chart.

    Example: signed_line((1.0, -1.0)) -> SignedLine("M0 0L1000 100", 50)
    """
    high, low = max(0.0, *values), min(0.0, *values)
    span = (high - low) or 1.0
    step = width / max(1, len(values) - 1)
    points = "L".join(f"{round(i * step)} {round(HEIGHT * (high - value) / span)}" for i, value in enumerate(values))
    return SignedLine(f"M{points}", round(HEIGHT * high / span))


class SignedHistogram(NamedTuple):
    """A histogram's bars as two paths, one on each side of the score 0, and the place of 0."""

    minus: str
    plus: str
    zero: int


def signed_histogram(counts: Sequence[int], low: float, high: float) -> SignedHistogram:
    """Draw bars as high as the logarithms of the counts: readouts show the tails, which are a few tokens."""
    at = zero_position(low, high, len(counts))
    drawn = bars([math.log1p(count) for count in counts])
    minus = [bar for bar in drawn if bar.x + STEP / 2 < at]
    return SignedHistogram(_bar_path(minus), _bar_path(drawn[len(minus) :]), at)


class MarkedHistogram(NamedTuple):
    """A histogram with marked values along its axis, or beyond its bins."""

    bars: str
    """Path of the bars in a chart 1000 wide."""
    places: tuple[float | None, ...]
    """Places of the values, in percent of the width."""
    low: float
    high: float
    """Ends of the axis: low and high."""


def histogram_with_markers(
    counts: Sequence[int], low: float, high: float, values: Sequence[float | None]
) -> MarkedHistogram:
    """Draw counts in equal bins from low to high, as high as their logarithms, on an axis long enough for the values.

    Example: histogram_with_markers((1, 0), 0.0, 1.0, (2.0, None)) -> MarkedHistogram("M0 100V0H250V100",
    (100.0, None), 0.0, 2.0)
    """
    there = [value for value in values if value is not None]
    first, last = min(low, *there, high), max(high, *there, low)
    span = (last - first) or 1.0
    top = math.log1p(max(counts, default=0)) or 1.0
    edges = [round(1000 * (low + (high - low) * i / len(counts) - first) / span) for i in range(len(counts) + 1)]
    drawn = "".join(
        f"M{edges[i]} {HEIGHT}V{round(HEIGHT * (1 - math.log1p(count) / top))}H{edges[i + 1]}V{HEIGHT}"
        for i, count in enumerate(counts)
        if count
    )
    places = tuple(None if value is None else round(100 * (value - first) / span, 1) for value in values)
    return MarkedHistogram(drawn, places, first, last)


def zero_position(low: float, high: float, n_bins: int) -> int:
    """Compute the place of the score 0 on a histogram's axis.

    Example: zero_position(-1.0, 3.0, 4) -> 10
    """
    if low >= 0:
        return 0
    return round(STEP * n_bins * (-low / (high - low))) if high > 0 else STEP * n_bins


def _bar_path(drawn: Sequence[Bar]) -> str:
    return "".join(f"M{x + 1} {HEIGHT}V{y}h8V{HEIGHT}" for x, y, _height in drawn)


class DrawnCell(NamedTuple):
    """A cell of a map of two heads whose cosine is beyond chance."""

    row: int
    column: int
    x: float
    y: float
    cosine: float
    ray: Ray
    """The ray of the column's direction that lies along the row's + ray."""


def draw_cells(page: PairPage, size: float, left: float, top: float) -> Iterator[DrawnCell]:
    """Compute the cells of a map of two heads from twice chance on, each `size` wide, the first at (left, top)."""
    for row, cosines in enumerate(page.cosines):
        for column, cosine in enumerate(cosines):
            if abs(cosine) >= 2 * page.chance:
                ray = Ray(page.columns[column], "p" if cosine >= 0 else "n")
                yield DrawnCell(row, column, left + size * column, top + size * row, cosine, ray)


class StripCell(NamedTuple):
    """A layer in a strip that has some of the rays found."""

    layer: int
    about: str
    weight: float
    """Darkness of the cell: 1 for the largest count."""
    path: str


class Strip(NamedTuple):
    """The rays found in one kind of matrix, over all layers; for the model's own matrices only their number."""

    kind: Kind
    n: int
    about: str
    """The layers with the most, in words."""
    cells: tuple[StripCell, ...]


def draw_strips(rows: Sequence[StripRow]) -> list[Strip]:
    """Draw the layers of the rays found, for each kind of matrix, every layer as wide as a STEP.

    Example: draw_strips([StripRow("ov", (0, 2))])[0].cells -> (StripCell(1, "L1: 2", 1.0, "M10 0h10v10h-10z"),)
    """
    top = max((count for row in rows for count in row.counts), default=1)
    return [_draw_strip(row, top) for row in rows]


def _draw_strip(row: StripRow, top: int) -> Strip:
    if len(row.counts) == 1 and row.kind in {"embed", "unembed"}:
        return Strip(row.kind, row.counts[0], f"{row.counts[0]}", ())
    cells = tuple(
        StripCell(
            layer,
            f"L{layer}: {count}",
            round(0.2 + 0.8 * count / top, 2),
            f"M{STEP * layer} 0h{STEP}v{STEP}h-{STEP}z",
        )
        for layer, count in enumerate(row.counts)
        if count
    )
    most = sorted(cells, key=lambda cell: -cell.weight)[:3]
    return Strip(row.kind, sum(row.counts), ", ".join(cell.about for cell in most), cells)


def overlay_curves(one: Sequence[float], other: Sequence[float], top: float = 0.0) -> tuple[str, str, float]:
    """Draw two falling curves over one axis, in a chart 1000 wide; also return the value at its upper edge.

    Example: overlay_curves((2.0, 1.0), (1.0,)) -> ("M0 0H500V50H1000", "M0 50H500", 2.0)
    """
    high = top or max([*one, *other, 0.0]) or 1.0
    n = max(len(one), len(other), 1)

    def path(values: Sequence[float]) -> str:
        heights = (round(HEIGHT * (1 - value / high)) for value in values)
        return "".join(f"{'V' if at else 'M0 '}{y}H{round(1000 * (at + 1) / n)}" for at, y in enumerate(heights))

    return path(one), path(other), high


class DivergencePaths(NamedTuple):
    """The curves of divergences over amounts, in a chart 1000 wide."""

    own: str
    random: str
    grid: str
    """A line for each power of ten between the edges."""
    bottom: float
    """The value at the lower edge."""
    top: float
    ticks: list[tuple[str, int]]
    """Labels and places of amounts, in percent of the width."""


def divergence_paths(amounts: Sequence[float], own: Sequence[float], random: Sequence[float]) -> DivergencePaths:
    """Draw divergences over amounts from -1 to 10, on logarithmic axes: that of amounts is linear up to 1.

    A curve is broken at 0, where nothing is changed, and stays at the lower edge where it is below the least power of ten.

    Example: divergence_paths((-1, 1, 10), (.1, .1, 1), (.01, .01, .1)).own -> "M0 50M500 50L1000 0"
    """
    known = [value for value in (*own, *random) if value > LEAST_DIVERGENCE] or [LEAST_DIVERGENCE]
    low, high = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
    high = max(high, low + 1)

    def path(values: Sequence[float]) -> str:
        drawn, before = "", None
        for amount, value in zip(amounts, values, strict=True):
            level = (math.log10(max(value, 10.0**low)) - low) / (high - low)
            is_new = before is None or (before < 0) != (amount < 0)
            drawn += f"{'M' if is_new else 'L'}{round(1000 * _amount_position(amount))} {round(HEIGHT * (1 - level))}"
            before = amount
        return drawn

    lines = [round(HEIGHT * (1 - n / (high - low))) for n in range(1, high - low + 1)]
    ticks = [("gone", 0), ("as it is", 25), ("×2", 50), ("×4", round(100 * _amount_position(3.0))), ("×11", 100)]
    return DivergencePaths(
        path(own), path(random), "".join(f"M0 {y}H1000" for y in lines), 10.0**low, 10.0**high, ticks
    )


class GainPaths(NamedTuple):
    """Log-odds gained over divergence, in a chart 1000 wide."""

    own: str
    others: list[str]
    zero: str
    """The line at which nothing is gained."""
    bottom: float
    top: float
    width: float
    """The divergence at the right edge."""


def gain_paths(own: Sequence[StudyPoint], *others: Sequence[StudyPoint]) -> GainPaths:
    """Draw what rules gain over the divergence that they cost, from nothing on, up to where one and another are known.

    A rule that costs next to nothing at all its amounts is a short line, and does not narrow the rest.
    """
    farthest = [max(point.divergence for point in points) for points in (own, *others)]
    width = min(farthest[0], max(farthest[1:])) or 1.0
    curves = [[(0.0, 0.0), *((point.divergence, point.gain) for point in points)] for points in (own, *others)]
    shown = [[point for point in curve if point[0] <= width] for curve in curves]
    gains = [gain for curve in shown for _, gain in curve]
    low, high = min(gains), max(gains)
    high = high if high > low else low + 1

    def height(gain: float) -> int:
        return round(HEIGHT * (high - gain) / (high - low))

    first, *rest = ("M" + "L".join(f"{round(1000 * x / width)} {height(gain)}" for x, gain in each) for each in shown)
    return GainPaths(first, rest, f"M0 {height(0.0)}H1000", low, high, width)


def _amount_position(amount: float) -> float:
    return (amount + 1) / 4 if amount <= 1 else 0.5 + math.log10(amount) / 2


def score_class(cs: float) -> str:
    """Choose the class of a composition score's colour; empty for a score that is not drawn.

    Example: score_class(1.6) -> "s0"; score_class(3.2) -> "s4"; score_class(1) -> ""
    """
    at = sum(cs >= least for least in COLOURED)
    return f"s{at - 1}" if at else ""


class CompositionMap(NamedTuple):
    """The geometry of a map of heads by heads, in units of a cell's width."""

    box: str
    paths: list[tuple[str, str]]
    """Class of a colour, and the path of all its cells."""
    grid: str
    """Path of the lines between layers."""
    ticks: list[tuple[str, float, float, str]]
    """Label, x, y, anchor."""
    size: float
    """Font size of the ticks."""
    blocks: list[tuple[int, int]]
    """(layer of the writers, layer of the readers) of each block with a pair that is drawn."""
    labels: list[tuple[str, str]]
    """Text and path of each block."""


def composition_map(page: CompositionPage) -> CompositionMap:
    """Draw a map with writers down and readers across; transposed for one layer of readers, to make the strip wide."""
    turned = page.reader is not None and page.writer is None
    heads, n_layers = page.model.n_heads, page.model.n_layers
    writes, reads = range(n_layers - 1), range(1, n_layers)
    if page.writer is not None:
        writes, reads = range(page.writer, page.writer + 1), range(page.writer + 1, n_layers)
    elif page.reader is not None:
        writes, reads = range(page.reader), range(page.reader, page.reader + 1)
    down, across = (reads, writes) if turned else (writes, reads)
    # A group of readers is as wide as its heads together; a map of one layer has cells three times as high.
    tall, group = 1 if len(down) > 1 else 3, heads // page.per_layer
    wide, high = (1, group * tall) if turned else (group, tall)
    width, height = len(across) * heads, len(down) * heads * tall
    best: dict[tuple[int, int], float] = {}
    paths: dict[str, list[str]] = {}
    for row, column, cs in page.cells:
        block = (row // heads, column // page.per_layer)
        best[block] = max(best.get(block, 0.0), cs)
        x, y = (row, column) if turned else (column, row)
        x, y = x * wide - across.start * heads, y * high - down.start * heads * tall
        paths.setdefault(score_class(cs), []).append(f"M{x} {y}h{wide}v{high}h-{wide}z")
    size = max(3.0, round(max(width, height) / 62, 1))
    ticks = [
        (f"L{layer}", round((at + 0.5) * heads, 1), round(-size / 3, 1), "middle")
        for at, layer in enumerate(across)
        if at % _steps_per_label(heads, 2.4 * size) == 0
    ]
    ticks += [
        (f"L{layer}", round(-size / 3, 1), round((at + 0.5) * heads * tall + size / 3, 1), "end")
        for at, layer in enumerate(down)
        if at % _steps_per_label(heads * tall, size) == 0
    ]
    grid = [f"M0 {at * heads * tall}H{width}" for at in range(len(down) + 1)]
    grid += [f"M{at * heads} 0V{height}" for at in range(len(across) + 1)]
    blocks: list[tuple[int, int]] = []
    labels: list[tuple[str, str]] = []
    for (writer, reader), cs in sorted(best.items()):
        row, column = (reader, writer) if turned else (writer, reader)
        x, y = (column - across.start) * heads, (row - down.start) * heads * tall
        blocks.append((writer, reader))
        labels.append((f"L{writer} → L{reader} · up to {cs:.2f}", f"M{x} {y}h{heads}v{heads * tall}h-{heads}z"))
    return CompositionMap(
        f"{-3 * size:g} {-1.6 * size:g} {width + 3 * size:g} {height + 1.6 * size:g}",
        sorted((name, "".join(cells)) for name, cells in paths.items()),
        "".join(grid),
        ticks,
        size,
        blocks,
        labels,
    )


def _steps_per_label(step: float, room: float) -> int:
    """Compute how many steps a label takes."""
    return max(1, math.ceil(room / step))
