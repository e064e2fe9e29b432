"""Drawing: a card as SVG, by a template, and as PNG, by resvg. Knows no page.

Every text is a value of the template, which escapes it, and no value is a path, an address or markup: so no picture of a
stranger's and no file is ever read.
"""

from dataclasses import dataclass
from functools import cache

from jinja2 import Environment

from app.web.pictures.card import MAP_BOX, Card, CardRow
from app.web.pictures.lettering import BOLD, FAMILY, Lettering, find_fonts

WIDTH, HEIGHT = 1200, 630
MARGIN = 64
LABEL, NARROWEST_LABEL, WIDEST_LABEL = 25, 172, 380
"""Size of the letters of labels, and the width of their column: as wide as they need, within these."""
MARK_ROOM = 40
CHIP, CHIP_PAD, CHIP_GAP = 27, 12, 10
"""Size of the letters in a chip, and room around them, in pixels."""
ROW_HEIGHT = 62
ROWS_FROM = 236
MOST_ROWS = 5
SPECTRUM_HEIGHT = 74
NARROWEST_CUT = 60
"""Pixels that are left for a chip before it is cut at all."""


@dataclass(frozen=True)
class DrawnChip:
    """A token in its place."""

    x: float
    width: float
    text: str


@dataclass(frozen=True)
class DrawnRow:
    """A row of chips in its place."""

    y: int
    label: str
    tone: str
    is_marked: bool
    chips: tuple[DrawnChip, ...]
    said: str


@cache
def open_lettering() -> Lettering:
    """Open the fonts of this machine, once."""
    return find_fonts()


def draw_svg(templates: Environment, card: Card) -> str:
    """Draw a card as SVG, 1200 by 630."""
    letters = open_lettering()
    room = WIDTH - 2 * MARGIN
    end = MAP_BOX[0] - MARGIN // 2 if card.cells else WIDTH - MARGIN
    shown = card.rows[:MOST_ROWS]
    needed = [letters.measure(letters.spell(row.label), LABEL) + MARK_ROOM for row in shown]
    column = min(WIDEST_LABEL if not card.cells else NARROWEST_LABEL, max([NARROWEST_LABEL, *needed]))
    rows = [_place_row(letters, n, row, column, end) for n, row in enumerate(shown)]
    return templates.get_template("pictures/card.svg").render(
        width=WIDTH,
        height=HEIGHT,
        margin=MARGIN,
        family=FAMILY,
        kicker=letters.cut(letters.spell(card.kicker), 28, room - 260),
        title=letters.cut(letters.spell(card.title), round(60 * BOLD), room),
        subtitle=letters.cut(letters.spell(card.subtitle), 30, room),
        verdict=letters.cut(letters.spell(card.verdict), 26, room - 380 * bool(card.spectrum)),
        rows=rows,
        column=column,
        is_marked=card.is_marked,
        cells=card.cells,
        bars=_place_bars(card),
        chip=CHIP,
        pad=CHIP_PAD,
    )


def draw_png(templates: Environment, card: Card) -> bytes:
    """Draw a card as PNG."""
    import resvg_py

    svg = draw_svg(templates, card)
    files = [str(path) for path in open_lettering().files_of(svg)]
    # Nothing is read but these fonts: no folder for pictures is named, and the SVG holds none.
    return resvg_py.svg_to_bytes(
        svg_string=svg,
        width=WIDTH,
        height=HEIGHT,
        skip_system_fonts=True,
        font_files=files,
        font_family=FAMILY,
    )


def _place_row(letters: Lettering, number: int, row: CardRow, column: float, end: float) -> DrawnRow:
    x, chips = MARGIN + column, list[DrawnChip]()
    for token in row.tokens:
        text, room = letters.spell(token), end - x - 2 * CHIP_PAD
        if letters.measure(text, CHIP) > room:
            if room < NARROWEST_CUT:
                break
            text = letters.cut(text, CHIP, room)
        width = letters.measure(text, CHIP) + 2 * CHIP_PAD
        chips.append(DrawnChip(round(x, 1), round(width, 1), text))
        x += width + CHIP_GAP
    label = letters.cut(letters.spell(row.label), LABEL, column - MARK_ROOM)
    said = letters.cut(letters.spell(row.said), CHIP, end - MARGIN - column)
    return DrawnRow(ROWS_FROM + ROW_HEIGHT * number, label, row.tone, row.is_marked, tuple(chips), said)


def _place_bars(card: Card) -> list[tuple[float, float, float, bool]]:
    """Place the bars of a spectrum at the foot: x, y, height, and whether it is the one that the card is of."""
    if not card.spectrum:
        return []
    most, width = max(card.spectrum) or 1.0, 360.0
    step = width / len(card.spectrum)
    heights = [max(2.0, SPECTRUM_HEIGHT * value / most) for value in card.spectrum]
    return [
        (round(WIDTH - MARGIN - width + n * step, 2), round(HEIGHT - 40 - height, 2), round(height, 2), n == card.at)
        for n, height in enumerate(heights)
    ]
