"""Tokens as a template prints them: chips with tooltips, alone or with bars.

One call for a row of chips: a page has hundreds, and a call each would cost more than the rest of it.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from markupsafe import Markup, escape

from app.core.plain_text import spell_out
from app.explorer.pages import Token
from app.models.vocabulary import Entry

LONGEST_TITLE = 600
"""Characters of a token that its tooltip shows: a vocabulary may hold tokens of many kilobytes."""


class Chip(NamedTuple):
    """A token as a template prints it."""

    shown: str
    about: str
    """What the tooltip says: the whole text where the chip had to cut it, its id and its score."""
    kind: str
    """Empty for plain text: most chips are, and a page has hundreds."""


def chips(tokens: Sequence[Token]) -> list[Chip]:
    """A ray's tokens, ready to print: one call for a row of chips, since a call each would cost more than the rest.

    Example: [Token(511, " their", "·their", "text", 1.5)] -> [Chip("·their", "id 511 · 1.500", "")]
    """
    return [
        Chip(shown, _about(id_, text, shown, kind, value), "" if kind == "text" else kind)
        for id_, text, shown, kind, value, _ in tokens
    ]


def chip_row(tokens: Sequence[Token]) -> Markup:
    """A ray's tokens as HTML: in a page of hundreds, a template's own loop and escaping would be half of its time.

    Example: [Token(511, " their", "·their", "text", 1.5)] -> <bdi tabindex="-1" title="id 511 · 1.500">·their</bdi>
    """
    return Markup(  # noqa: S704 (numbers and texts that are escaped)
        "".join(
            [
                f'<bdi tabindex="-1" title="id {id_} · {value:.3f}">{_escaped(shown)}</bdi>'
                if kind == "text" and shown[-1:] != "…"
                else _unusual(Chip(shown, _about(id_, text, shown, kind, value), "" if kind == "text" else kind))
                for id_, text, shown, kind, value, _ in tokens
            ]
        )
    )


def plain_chips(entries: Sequence[Entry]) -> list[Chip]:
    """Tokens without their scores.

    Example: [Entry(511, " their", "·their", "text")] -> [Chip("·their", "id 511", "")]
    """
    return [
        Chip(
            shown,
            f"{_visible(text)} · id {id_}" if shown.endswith("…") else f"id {id_}",
            "" if kind == "text" else kind,
        )
        for id_, text, shown, kind in entries
    ]


def measured(tokens: Sequence[Token]) -> list[tuple[str, str, str, float, str]]:
    """Chips with the width of their bars, in percent of the longest, and their scores with decimals to tell them apart."""
    top = max((abs(token.score) for token in tokens), default=0.0) or 1.0
    decimals = min(max(2 - math.floor(math.log10(top)), 2), 12)
    return [
        (*chip, round(100 * abs(token.score) / top, 1), f"{token.score:.{decimals}f}".replace("-", "−"))
        for chip, token in zip(chips(tokens), tokens, strict=True)
    ]


@lru_cache(maxsize=1 << 16)
def _escaped(shown: str) -> str:
    return str(escape(shown))


def _unusual(chip: Chip) -> str:
    kind = f' class="{escape(chip.kind)}"' if chip.kind else ""
    return f'<bdi tabindex="-1" title="{escape(chip.about)}"{kind}>{escape(chip.shown)}</bdi>'


def _about(id_: int, text: str, shown: str, kind: str, value: float) -> str:
    about = f"id {id_} · {value:.3f}" + (f" · {kind}" if kind != "text" else "")
    return f"{_visible(text)} · {about}" if shown.endswith("…") else about


def _visible(text: str) -> str:
    shown = spell_out(text[:LONGEST_TITLE])
    return shown if len(text) <= LONGEST_TITLE else f"{shown}… ({len(text):,} characters)"
