"""The geometry of the charts: numbers in, integer coordinates out. The macros draw them, the style colours them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from app.core.address import Kind, Ray
from app.core.judging.rays import RayClass
from app.explorer.pages.circuitry import PairPage
from app.explorer.pages.composition import COLOURED, CompositionPage
from app.explorer.pages.search import StripRow

STEP = 10
"""Width of a bar and its gap, in the chart's own units."""
HEIGHT = 100


class Bar(NamedTuple):
    """One bar, standing on the lower edge of a chart HEIGHT high."""

    x: int
    y: int
    height: int


class SpectrumBar(NamedTuple):
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


def spectrum(values: Sequence[float], indices: Sequence[int]) -> list[SpectrumBar]:
    """The singular values as steps, each with the number of its direction and its value.

    Example: spectrum((4.0, 2.0), (0, 1))[1] -> SpectrumBar("1 · σ 2", "M10 0h10v100h-10z", "M11 50h8v50h-8z")
    """
    return [
        SpectrumBar(f"{index} · σ {value:.4g}", f"M{x} 0h10v100h-10z", f"M{x + 1} {y}h8v{height}h-8z")
        for index, value, (x, y, height) in zip(indices, values, bars(values), strict=True)
    ]


def outline(values: Sequence[float]) -> str:
    """The path of all bars at once, for charts that are only looked at.

    Example: outline((4.0, 2.0)) -> "M1 100V0h8V100M11 100V50h8V100"
    """
    return _path(bars(values))


CLASSES: tuple[RayClass, ...] = ("antipodal", "one-sided", "undetermined", "neither")
"""From most readable ends to none."""


def class_bars(counted: Mapping[RayClass, int]) -> list[tuple[int, RayClass, int]]:
    """Where in a bar of all directions those of each class begin, and how many they are; without those that nothing is of.

    Example: class_bars({"antipodal": 2, "one-sided": 0, "neither": 5, "undetermined": 1}) -> [(0, "antipodal", 2),
    (2, "undetermined", 1), (3, "neither", 5)]
    """
    numbers = [counted.get(each, 0) for each in CLASSES]
    starts = accumulate(numbers, initial=0)
    return [(start, each, n) for start, each, n in zip(starts, CLASSES, numbers, strict=False) if n]


def thinned(values: Sequence[float], most: int = 512) -> list[float]:
    """At most so many of the values, evenly chosen, the first and the last among them: charts have no more pixels.

    Example: thinned((5.0, 4.0, 3.0, 2.0, 1.0), 3) -> [5.0, 3.0, 1.0]
    """
    n = len(values)
    return list(values) if n <= most else [values[round(i * (n - 1) / (most - 1))] for i in range(most)]


def shares(at: Sequence[int], values: Sequence[float], width: int = 1000) -> str:
    """The path of shares of one over numbers of terms, which stand on a logarithmic axis after 0.

    Example: shares((0, 1, 10, 100), (0.0, 0.5, 0.75, 1.0)) -> "M0 100L333 50L667 25L1000 0"
    """
    points = zip((_along(n, at[-1]) for n in at), values, strict=True)
    return "M" + "L".join(f"{round(width * x)} {round(HEIGHT * (1 - value))}" for x, value in points)


def share_ticks(last: int) -> list[tuple[str, int]]:
    """What stands under that axis, and where, in percent of its width: 0, powers of ten, the last number.

    Example: share_ticks(100) -> [("0", 0), ("1", 33), ("10", 67), ("100", 100)]
    """
    powers = (10**i for i in range(len(str(last))))
    # A power that the last number is not even twice of would touch its label.
    shown = [0, *(n for n in powers if 2 * n <= last), last]
    return [(f"{n:,}", round(100 * _along(n, last))) for n in shown]


def _along(n: int, last: int) -> float:
    # Room for 0 as for a factor of ten: where it lies is no matter of logarithms.
    return (math.log10(n) + 1) / (math.log10(last) + 1) if n else 0.0


def line(values: Sequence[float], width: int = 1000) -> str:
    """The path of shares of one at equal steps.

    Example: line((1.0, 0.5, 0.0)) -> "M0 0L500 50L1000 100"
    """
    step = width / max(1, len(values) - 1)
    points = (f"{round(i * step)} {round(HEIGHT * (1 - min(1.0, value)))}" for i, value in enumerate(values))
    return "M" + "L".join(points)


def together(counts: Sequence[float], others: Sequence[float]) -> tuple[str, str]:
    """Two outlines on one scale, as high as the logarithms of the counts: tails are what they are compared for.

    Example: together((0, 1), (0, 3)) -> ("M0 100L1 50", "M0 100L1 0")
    """
    top = math.log1p(max(*counts, *others)) or 1.0

    def path(values: Sequence[float]) -> str:
        return "M" + "L".join(f"{i} {round(HEIGHT * (1 - math.log1p(value) / top))}" for i, value in enumerate(values))

    return path(counts), path(others)


def tallest(all_counts: Sequence[Sequence[int]]) -> float:
    """The largest share that any bin of the histograms has: what they are drawn on one scale by.

    Example: tallest([(1, 3), (1, 1)]) -> 0.75
    """
    return max((max(counts) / sum(counts) for counts in all_counts if sum(counts)), default=0.0) or 1.0


def contour(counts: Sequence[int], top: float) -> str:
    """The outline of a histogram's shares of all, step by step, as high as their square roots: tails are to be seen.

    Example: contour((1, 3), 0.75) -> "M0 100V42H1V0H2V100"
    """
    total = sum(counts) or 1
    heights = (round(HEIGHT * (1 - math.sqrt(count / total / top))) for count in counts)
    return "M0 100" + "".join(f"V{height}H{at}" for at, height in enumerate(heights, 1)) + "V100"


def bounds(all_values: Sequence[Sequence[float | None]]) -> tuple[float, float]:
    """The smallest and the largest of all values, zero among them: one scale for many curves.

    Example: bounds([(1.0, None), (0.5,)]) -> (0.0, 1.0)
    """
    known = [value for values in all_values for value in values if value is not None]
    low, high = min(0.0, *known, 0.0), max(0.0, *known, 0.0)
    return (low, high) if high > low else (0.0, 1.0)


class Course(NamedTuple):
    """A curve on a scale that others share, its points, and where zero lies."""

    path: str
    points: list[tuple[int, int]]
    """In percent of the chart, so that one alone is seen too."""
    zero: int


def course(values: Sequence[float | None], low: float, high: float, width: int = 1000) -> Course:
    """Values at equal steps between two ends of a scale; a value that is None interrupts the curve.

    Example: course((1.0, None, 0.5), 0.0, 1.0) -> Course("M0 0M1000 50", [(0, 0), (100, 50)], 100)
    """
    step = 1 / max(1, len(values) - 1)
    path, points, before = "", list[tuple[int, int]](), None
    for i, value in enumerate(values):
        if value is not None:
            y = round(HEIGHT * (high - value) / (high - low))
            path += f"{'M' if before is None else 'L'}{round(width * i * step)} {y}"
            points.append((round(100 * i * step), y))
        before = value
    return Course(path, points, round(HEIGHT * high / (high - low)))


class Wave(NamedTuple):
    """A curve around zero, and where zero lies."""

    path: str
    zero: int


def wave(values: Sequence[float], width: int = 1000) -> Wave:
    """Values along an axis, the largest and the smallest at the edges of the chart, zero among them.

    Example: wave((1.0, -1.0)) -> Wave("M0 0L1000 100", 50)
    """
    high, low = max(0.0, *values), min(0.0, *values)
    span = (high - low) or 1.0
    step = width / max(1, len(values) - 1)
    points = "L".join(f"{round(i * step)} {round(HEIGHT * (high - value) / span)}" for i, value in enumerate(values))
    return Wave(f"M{points}", round(HEIGHT * high / span))


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


class Among(NamedTuple):
    """A histogram with values that lie somewhere along its axis, or beyond what was counted."""

    bars: str
    """Path in a chart 1000 wide."""
    places: tuple[float | None, ...]
    """Of the values, in percent of the width."""
    low: float
    high: float
    """The ends of the axis."""


def among(counts: Sequence[int], low: float, high: float, values: Sequence[float | None]) -> Among:
    """Counts in equal bins from low to high, as high as their logarithms, on an axis that has room for the values.

    Example: among((1, 0), 0.0, 1.0, (2.0, None)) -> Among("M0 100V0H250V100", (100.0, None), 0.0, 2.0)
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
    return Among(drawn, places, first, last)


def zero(low: float, high: float, n_bins: int) -> int:
    """Where the score 0 lies on a histogram's axis.

    Example: zero(-1.0, 3.0, 4) -> 10
    """
    if low >= 0:
        return 0
    return round(STEP * n_bins * (-low / (high - low))) if high > 0 else STEP * n_bins


def _path(drawn: Sequence[Bar]) -> str:
    return "".join(f"M{x + 1} {HEIGHT}V{y}h8V{HEIGHT}" for x, y, _height in drawn)


class DrawnCell(NamedTuple):
    """A cell of a map of two heads that is more than chance makes."""

    row: int
    column: int
    x: float
    y: float
    cosine: float
    ray: Ray
    """The end of the column's direction that lies along the row's + end."""


def drawn_cells(page: PairPage, size: float, left: float, top: float) -> Iterator[DrawnCell]:
    """The cells of the map from twice chance on, each `size` wide, the first at (left, top)."""
    for row, cosines in enumerate(page.cosines):
        for column, cosine in enumerate(cosines):
            if abs(cosine) >= 2 * page.chance:
                ray = Ray(page.columns[column], "p" if cosine >= 0 else "n")
                yield DrawnCell(row, column, left + size * column, top + size * row, cosine, ray)


class StripCell(NamedTuple):
    """A layer of a strip that has some of what was found."""

    layer: int
    about: str
    weight: float
    """How dark it is: 1 where most are."""
    path: str


class Strip(NamedTuple):
    """One kind of matrix, over all layers; of the model's own matrices only how many."""

    kind: Kind
    n: int
    about: str
    """In words, where most are."""
    cells: tuple[StripCell, ...]


def strip(rows: Sequence[StripRow]) -> list[Strip]:
    """Where what was found lies in depth, with every layer as wide as a STEP.

    Example: strip([StripRow("ov", (0, 2))])[0].cells -> (StripCell(1, "L1: 2", 1.0, "M10 0h10v10h-10z"),)
    """
    top = max((count for row in rows for count in row.counts), default=1)
    return [_strip(row, top) for row in rows]


def _strip(row: StripRow, top: int) -> Strip:
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


def overlaid(one: Sequence[float], other: Sequence[float], top: float = 0.0) -> tuple[str, str, float]:
    """Paths of two falling curves over one axis of numbers, in a chart 1000 wide, and the height of its upper edge.

    Example: overlaid((2.0, 1.0), (1.0,)) -> ("M0 0H500V50H1000", "M0 50H500", 2.0)
    """
    high = top or max([*one, *other, 0.0]) or 1.0
    n = max(len(one), len(other), 1)

    def path(values: Sequence[float]) -> str:
        heights = (round(HEIGHT * (1 - value / high)) for value in values)
        return "".join(f"{'V' if at else 'M0 '}{y}H{round(1000 * (at + 1) / n)}" for at, y in enumerate(heights))

    return path(one), path(other), high


def drawn_from(cs: float) -> str:
    """The class of the colour of a composition score; none where it is not drawn.

    Example: drawn_from(1.6) -> "s0"; drawn_from(3.2) -> "s4"; drawn_from(1) -> ""
    """
    at = sum(cs >= least for least in COLOURED)
    return f"s{at - 1}" if at else ""


class Composed(NamedTuple):
    """A map of heads by heads, in units of a cell's width."""

    box: str
    paths: list[tuple[str, str]]
    """Class, and path of all cells of that colour."""
    grid: str
    """Lines between layers."""
    ticks: list[tuple[str, float, float, str]]
    """Label, x, y, anchor."""
    size: float
    """Of their letters."""
    blocks: list[tuple[int, int]]
    """Layer of the writers, layer of the readers: those with a pair that is drawn."""
    labels: list[tuple[str, str]]
    """Of each block what it says, and its path."""


def composition_map(page: CompositionPage) -> Composed:
    """Writers down and readers across; of one layer of readers the readers down, so that the strip lies."""
    turned = page.reader is not None and page.writer is None
    heads, n_layers = page.model.n_heads, page.model.n_layers
    writes, reads = range(n_layers - 1), range(1, n_layers)
    if page.writer is not None:
        writes, reads = range(page.writer, page.writer + 1), range(page.writer + 1, n_layers)
    elif page.reader is not None:
        writes, reads = range(page.reader), range(page.reader, page.reader + 1)
    down, across = (reads, writes) if turned else (writes, reads)
    # A group of readers is as large as its heads would be, and a strip three times as high as it would be.
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
        paths.setdefault(drawn_from(cs), []).append(f"M{x} {y}h{wide}v{high}h-{wide}z")
    size = max(3.0, round(max(width, height) / 62, 1))
    ticks = [
        (f"L{layer}", round((at + 0.5) * heads, 1), round(-size / 3, 1), "middle")
        for at, layer in enumerate(across)
        if at % _every(heads, 2.4 * size) == 0
    ]
    ticks += [
        (f"L{layer}", round(-size / 3, 1), round((at + 0.5) * heads * tall + size / 3, 1), "end")
        for at, layer in enumerate(down)
        if at % _every(heads * tall, size) == 0
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
    return Composed(
        f"{-3 * size:g} {-1.6 * size:g} {width + 3 * size:g} {height + 1.6 * size:g}",
        sorted((name, "".join(cells)) for name, cells in paths.items()),
        "".join(grid),
        ticks,
        size,
        blocks,
        labels,
    )


def _every(step: float, room: float) -> int:
    """How many steps a label needs."""
    return max(1, math.ceil(room / step))
