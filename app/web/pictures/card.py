"""A card: what a link shows where it is pasted, as a value, made of the value of its page. Knows no font and no SVG."""

from dataclasses import dataclass
from functools import singledispatch
from statistics import median
from typing import Literal

from app.core.address import Sign
from app.explorer.pages.census import CensusPage
from app.explorer.pages.circuitry import Aligned, PairPage, TokenPage
from app.explorer.pages.contrast import ContrastEnd, ContrastPage, Match
from app.explorer.pages.directions import Direction, DirectionPage, SideReadout, name_deed
from app.explorer.pages.lists import ListPage
from app.explorer.pages.maps import LayerPage, ModelPage
from app.explorer.pages.matrices import HeadPage, MatrixPage
from app.explorer.pages.search import SearchPage
from app.explorer.pages.using.experiments import ExperimentPage

MOST_TOKENS = 10
BY_CHANCE = 0.05
"""So few directions would lie as far out by chance where a mark stands."""
DOES: dict[str, str] = {
    "writes": "written by",
    "reads": "read by",
    "queries": "query of",
    "keys": "key of",
    "neurons-write": "written by",
    "neurons-read": "read by",
}
"""What a direction does to a token, in front of its name."""
MOST_BARS = 128
Tone = Literal["", "p", "n"]
COLOURS = ("#f3efe7", "#dfe9f4", "#b9d3ec", "#8db9e0", "#62a3e2", "#2f78b8", "#0b5a9c")
"""Colours of a map's cells, the smallest value first."""
MAP_BOX = (740.0, 236.0, 396.0, 296.0)
"""Left, top, width and height of a map on a card."""


@dataclass(frozen=True, slots=True)
class CardRow:
    """A line of a card."""

    label: str
    tokens: tuple[str, ...] = ()
    tone: Tone = ""
    is_marked: bool = False
    """These tokens are more alike than those of random directions."""
    said: str = ""
    """Words in the place of tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card."""

    kicker: str
    """The model, or what stands above the title."""
    title: str
    subtitle: str = ""
    rows: tuple[CardRow, ...] = ()
    spectrum: tuple[float, ...] = ()
    at: int | None = None
    """The place in the spectrum that the card is of."""
    cells: tuple[tuple[float, float, float, str], ...] = ()
    """Squares of a map: left, top, size, colour."""
    verdict: str = ""
    is_marked: bool = False
    """A mark stands before the verdict."""


@singledispatch
def draw_card(page: object) -> Card:
    """Make the card of a page; TypeError for a page that has none."""
    raise TypeError(f"{type(page).__name__} has no card")


@draw_card.register
def _of_direction(page: DirectionPage) -> Card:
    ends: tuple[Sign, Sign] = ("p", "n")
    rows = [row for side in (page.left, page.right) for sign in ends if (row := _row_of_side(side, sign)) is not None]
    marked = sum(row.is_marked for row in rows)
    verdict = ""
    if page.is_judged:
        verdict = f"{marked} of {len(rows)} ends stand out" if marked else "No end stands out from random ones"
    place = page.indices.index(page.index)
    return Card(
        kicker=page.model.name,
        title=page.label,
        subtitle=f"{_name_kind(page)} · rank {page.rank} · σ {page.singular_value:.3g} · {page.energy_share:.1%} of the matrix",
        rows=tuple(rows),
        spectrum=page.singular_values[:MOST_BARS],
        at=place if place < MOST_BARS else None,
        verdict=verdict,
        is_marked=marked > 0,
    )


@draw_card.register
def _of_matrix(page: MatrixPage) -> Card:
    found = sum(min(verdict.n_readable, verdict.n_found) for verdict in page.verdicts)
    judged = sum(verdict.n_rays for verdict in page.verdicts)
    return Card(
        kicker=page.model.name,
        title=page.label,
        subtitle=f"{page.rank} directions in the basis {page.view.basis}",
        rows=tuple(_list_directions(page.directions, 4)),
        spectrum=page.singular_values[:MOST_BARS],
        verdict=f"{found} of {judged} ends stand out" if judged else "",
        is_marked=found > 0,
    )


@draw_card.register
def _of_head(page: HeadPage) -> Card:
    rows = [*_list_directions(page.ov.directions, 2, "OV "), *_list_directions(page.qk.directions, 2, "QK ")]
    return Card(
        kicker=page.model.name,
        title=page.label,
        subtitle="What an attention head reads, writes and looks for",
        rows=tuple(rows),
        spectrum=page.ov.singular_values[:MOST_BARS],
    )


@draw_card.register
def _of_layer(page: LayerPage) -> Card:
    pairs = page.heads[:5]
    rows = [row for pair in pairs for row in _list_directions(pair.ov.strongest, 1, f"H{pair.ov.address.head} ")]
    return Card(
        kicker=page.model.name,
        title=page.label,
        subtitle=f"{len(page.heads)} heads: what the first of them write along their strongest direction",
        rows=tuple(rows),
    )


@draw_card.register
def _of_model(page: ModelPage) -> Card:
    one = page.model
    return Card(
        kicker="The singular directions of",
        title=one.name,
        subtitle=f"{one.n_layers} layers of {one.n_heads} heads · width {one.d_model} · {one.d_vocab:,} tokens",
        rows=tuple(
            CardRow(cell.address.label, tuple(token.shown for token in cell.plus), "p")
            for cell in page.map.ranked[:5]
            if cell.plus
        ),
        cells=_draw_map(page),
        verdict=f"The largest by {page.map.score.replace('-', ' ')}, and what they write; on the map layers go from left to right",
    )


@draw_card.register
def _of_search(page: SearchPage) -> Card:
    rows = [
        CardRow(
            _label_end(f"{one.label} {name_deed(one.side)}", one.ray),
            tuple(token.shown for token in one.tokens[:MOST_TOKENS]),
            one.ray,
        )
        for one in page.hits
    ]
    return Card(
        kicker=page.model.name,
        title=page.inquiry.q or "Search",
        subtitle="The ends of directions whose tokens are most like it"
        if page.hits
        else "Which directions are about these words?",
        rows=tuple(rows[:5]),
    )


@draw_card.register
def _of_token(page: TokenPage) -> Card:
    first = [(group.does, ray) for at in (0, 1) for group in page.groups for ray in group.rays[at : at + 1]]
    beyond = sum(group.n_beyond for group in page.groups)
    return Card(
        kicker=page.model.name,
        title=page.entry.shown,
        subtitle=f"Token {page.entry.id} of {page.n_tokens:,}, and directions that write, read or look for it",
        rows=tuple(_row_of_ray(DOES[does], ray) for does, ray in first[:5]),
        verdict=_say_beyond(page, beyond),
        is_marked=beyond > 0,
    )


@draw_card.register
def _of_pair(page: PairPage) -> Card:
    rows = [
        CardRow(
            _label_end(f"{one.writer.label.removeprefix(page.a.label).strip()} writes", one.writer_ray),
            tuple(entry.shown for entry in one.written[:MOST_TOKENS]),
            one.writer_ray,
            one.expected < BY_CHANCE,
        )
        for one in page.strongest[:5]
    ]
    return Card(
        kicker=page.model.name,
        title=f"{page.a.label} and {page.b.label}",
        subtitle=f"What {page.a.label} writes that {page.b.label} reads through {'OV' if page.part == 'value' else 'QK'}",
        rows=tuple(rows),
        verdict=f"{page.n_beyond} pairs of directions lie closer than chance explains" if page.n_beyond else "",
        is_marked=page.n_beyond > 0,
    )


@draw_card.register
def _of_contrast(page: ContrastPage) -> Card:
    if page.first is None or page.second is None:
        return Card(
            kicker="singular-lens", title="Side by side", subtitle="Two heads, matrices or directions of one kind"
        )
    alike = (
        ""
        if page.matched is None or page.chance is None
        else f"Partners {page.matched:.2f} alike, {page.chance:.2f} by chance"
    )
    return Card(
        kicker=" · ".join(dict.fromkeys(place.model.name for place in (page.first, page.second))),
        title=f"{page.first.address.label} beside {page.second.address.label}",
        subtitle="The tokens that their directions have in common",
        rows=tuple(_list_common(page)[:5]),
        verdict=alike,
    )


@draw_card.register
def _of_census(page: CensusPage) -> Card:
    kinds = [one for one in page.kinds if not one.equal_rank and not one.is_of_axes]
    kinds.sort(key=lambda one: -one.readable.value)
    return Card(
        kicker=page.model.name,
        title="Census",
        subtitle=f"The most readable of {len(kinds)} kinds of matrices, in {page.layers_read} of {page.model.n_layers} layers",
        rows=tuple(
            CardRow(
                " ".join(word.upper() if word in {"ov", "qk", "mlp"} else word for word in one.kind.split("-")),
                said=f"{one.readable.value:.1%} of {one.rays:,} ends, by chance 1%",
            )
            for one in kinds[:5]
        ),
    )


@draw_card.register
def _of_list(page: ListPage) -> Card:
    rows = []
    for place in page.places[:5]:
        end = next((end for end in place.ends if end.stands_out), place.ends[0] if place.ends else None)
        tokens = () if end is None else tuple(token.shown for token in end.tokens)
        rows.append(CardRow(place.address.label, tokens, "" if end is None else end.ray, bool(end and end.stands_out)))
    models = dict.fromkeys(place.model.name for place in page.places)
    return Card(
        kicker=" · ".join(models) or "singular-lens",
        title=page.title or "A list of places",
        subtitle=f"{len(page.places)} place{'' if len(page.places) == 1 else 's'}",
        rows=tuple(rows),
    )


@draw_card.register
def _of_experiment(page: ExperimentPage) -> Card:
    change = page.change
    title = change.get("edit") or change.get("of") or f"SARA, {change['rule']}, c {change['pull']}"
    interval = page.divergence.interval
    told = f" ({interval.low:.2g} to {interval.high:.2g})" if interval else ""
    rows = [
        CardRow("KL", said=f"{page.divergence.value:.2g} nats{told} · at random {median(page.random):.2g}"),
        CardRow("beyond random", said=f"behind {page.n_beyond} of {len(page.trials)} prompts"),
        CardRow("another token", said=f"is the likeliest behind {page.n_turned} of {len(page.trials)}"),
    ]
    return Card(
        kicker=page.model.name, title=title, subtitle=f"An experiment on {len(page.trials)} prompts", rows=tuple(rows)
    )


def _row_of_side(side: SideReadout, ray: Sign) -> CardRow | None:
    shown = tuple(token.shown for token in side.list_tokens(ray)[:MOST_TOKENS])
    return CardRow(_label_end(name_deed(side.side), ray), shown, ray, side.stands_out(ray)) if shown else None


def _say_beyond(page: TokenPage, beyond: int) -> str:
    if not page.groups:
        return ""
    if not beyond:
        return "No direction does more to it than chance explains: these are the nearest"
    return f"{beyond} direction{'s do' if beyond > 1 else ' does'} more to it than chance explains"


def _row_of_ray(does: str, ray: Aligned) -> CardRow:
    tokens = tuple(entry.shown for entry in ray.tokens[:MOST_TOKENS])
    return CardRow(_label_end(f"{does} {ray.label}", ray.ray), tokens, ray.ray, ray.expected < BY_CHANCE)


def _list_common(page: ContrastPage) -> list[CardRow]:
    """List what partners have in common at the end where that is most; of two directions, at each end."""
    if len(page.matches) == 1:
        return [_row_of_common(_label_end(name_deed(end.side), end.rays[0]), end) for end in page.matches[0].ends]
    return [
        _row_of_common(f"{one.first.index} and {one.second.index}", end)
        for one in page.matches
        if (end := _find_fullest(one)) is not None
    ]


def _find_fullest(match: Match) -> ContrastEnd | None:
    return max(match.ends, key=lambda end: end.n_both, default=None)


def _row_of_common(label: str, end: ContrastEnd) -> CardRow:
    tokens = tuple(token.shown for token in end.both[:MOST_TOKENS])
    return CardRow(label, tokens, end.rays[0], said="" if tokens else "nothing in common")


def _label_end(name: str, ray: Sign) -> str:
    return f"{name} {'+' if ray == 'p' else '−'}"


def _list_directions(directions: tuple[Direction, ...], most: int, before: str = "") -> list[CardRow]:
    """List what directions write, or else read, at their + ends."""
    rows = []
    for one in directions[:most]:
        side = one.right if one.right.plus else one.left
        row = _row_of_side(side, "p")
        if row is not None:
            rows.append(CardRow(f"{before}{one.index} {row.label}", row.tokens, "p", row.is_marked))
    return rows


def _name_kind(page: DirectionPage) -> str:
    return f"singular direction {page.index}" if page.view.basis == "svd" else f"{page.view.basis} {page.index}"


def _draw_map(page: ModelPage) -> tuple[tuple[float, float, float, str], ...]:
    """Draw heads as squares, the first layer first, in columns of layers."""
    left, top, width, height = MAP_BOX
    n_layers, n_heads = len(page.map.rows), max(map(len, page.map.rows))
    step = min(width / n_layers, height / n_heads)
    low, span = page.map.low, (page.map.high - page.map.low) or 1.0

    def colour(value: float) -> str:
        return COLOURS[min(len(COLOURS) - 1, int(len(COLOURS) * (value - low) / span))]

    return tuple(
        (round(left + step * x, 2), round(top + step * y, 2), round(0.86 * step, 2), colour(cell.value))
        for x, row in enumerate(page.map.rows)
        for y, cell in enumerate(row)
    )
