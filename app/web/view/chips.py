"""Tokens as templates print them: chips with tooltips, alone or with bars, the spellings of one word as one chip.

One call for a row of chips: a page has hundreds, and a call each would cost more than the rest of it. JSON and CSV are
never merged.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from markupsafe import Markup, escape

from app.core.address import Address, Sign
from app.core.judging.forms import form_of
from app.core.plain_text import spell_out
from app.explorer.pages.rays import Hit, Token
from app.explorer.view import View
from app.models.vocabulary import TokenEntry
from app.web.urls.places import TokenLinks
from app.web.urls.urls import Urls
from app.web.view.numbers import ordinal

LONGEST_TITLE = 600
"""Characters of a token that its tooltip shows: a vocabulary may hold tokens of many kilobytes."""


class Chip(NamedTuple):
    """A token as a template prints it."""

    shown: str
    about: str
    """Text of the tooltip: the whole text where the chip had to cut it, its id and its score."""
    kind: str
    """Class of the chip; empty for plain text, which most of a page's hundreds are."""


def chips(tokens: Sequence[Token]) -> list[Chip]:
    """Make the chips of a ray's tokens, a row in one call.

    Example: [Token(511, " their", "·their", "text", 1.5)] -> [Chip("·their", "id 511 · 1.500", "")]
    """
    return [
        Chip(shown, _tooltip_of(id_, text, shown, kind, value), "" if kind == "text" else kind)
        for id_, text, shown, kind, value, _ in tokens
    ]


def chip_row(
    tokens: Sequence[Token], links: TokenLinks, found: Sequence[Hit] = (), ray: Sign = "p", most: int | None = None
) -> Markup:
    """Draw a ray's tokens as HTML: with hundreds, a template's own loop and escaping would take half of a page's time.

    Each links its page, without being a stop of the tab key. A token of `found` is marked, or follows with its place
    where it is not among the tokens. `most`: words, each with all of its spellings.

    Example: [Token(511, " their", "·their", "text", 1.5)] -> <bdi title="id 511 · 1.500"><a href="/gpt2/token/511"
    tabindex="-1">·their</a></bdi>
    """
    return word_row(merge_words(tokens)[:most], links, found, ray)


def word_row(words: Sequence[Sequence[Token]], links: TokenLinks, found: Sequence[Hit] = (), ray: Sign = "p") -> Markup:
    """Draw merged words of a ray as HTML, as `chip_row` does its tokens."""
    # Escaped once, not for each of hundreds of tokens.
    links = TokenLinks(str(escape(links.start)), str(escape(links.query)))
    own = [one for one in found if one.ray == ray]
    drawn = "".join(_draw_marked(words, own, links) if found else [_draw_word(word, links) for word in words])
    return Markup(drawn)  # noqa: S704 (numbers and texts that are escaped)


def merge_words(tokens: Sequence[Token]) -> list[list[Token]]:
    """Merge tokens that differ in case and white space alone, each word at the place of its first token.

    Example: " black", "Black", "!" -> [[" black", "Black"], ["!"]]
    """
    words: dict[object, list[Token]] = {}
    for token in tokens:
        # A token that is no word merges with none: its key is its id, which equals no text.
        key = (_cached_form(token[1]) or token[0]) if token[3] == "text" else token[0]
        if key in words:
            words[key].append(token)
        else:
            words[key] = [token]
    return list(words.values())


def plain_chips(entries: Sequence[TokenEntry]) -> list[Chip]:
    """Make chips of tokens without scores.

    Example: [Entry(511, " their", "·their", "text")] -> [Chip("·their", "id 511", "")]
    """
    return [_plain_chip(*entry) for entry in entries]


def entry_row(entries: Sequence[TokenEntry], links: TokenLinks, asked: Collection[int] = ()) -> Markup:
    """Draw tokens without scores as HTML, the spellings of one word as one chip; those that were asked for are marked.

    Example: [Entry(511, " their", "·their", "text")] -> <bdi title="id 511"><a href="/gpt2/token/511" tabindex="-1">·their</a></bdi>
    """
    links = TokenLinks(str(escape(links.start)), str(escape(links.query)))
    drawn = "".join(
        _draw_entries(word, links, "mark" if any(one.id in asked for one in word) else "")
        for word in merge_words([Token(*entry, 0.0) for entry in entries])
    )
    return Markup(drawn)  # noqa: S704 (numbers and texts that are escaped)


class WordBar(NamedTuple):
    """A word as a template prints it, with the width of its bar."""

    shown: str
    about: str
    kind: str
    width: float
    """Width of the bar in percent of the longest."""
    score: str
    """Score of its first token, with decimals enough to tell scores apart."""
    place: Address | None
    """The place that it links, if it is no token."""
    id: int
    """Id of its first token."""


def bars(tokens: Sequence[Token], most: int, longest: float = 0.0) -> list[WordBar]:
    """Make bars of a ray's first words, merged as in a row of chips; `longest`: the score of a whole bar.

    Example: [Token(5, " a", "·a", "text", 2.0), Token(9, "A", "A", "text", 1.0)], 12 -> [WordBar("·a ×2", …, 100, "2.00")]
    """
    top = longest or max((abs(token.score) for token in tokens), default=0.0) or 1.0
    return [
        WordBar(
            *_chip_of(word),
            round(100 * abs(word[0].score) / top, 1),
            _format_score(word[0].score, top),
            word[0].place,
            word[0].id,
        )
        for word in merge_words(tokens)[:most]
    ]


def bar_rows(tokens: Sequence[Token], links: TokenLinks, urls: Urls, view: View) -> Markup:
    """Draw tokens as rows of a table: each as a link, its score as a bar beside the longest, and in digits.

    A page has two hundred such rows, and a template's own loop would take longer for them than for all the rest of it.
    What an entry names that is no token, a neuron say, is linked in the visitor's view.

    Example: [Token(511, " their", "·their", "text", 1.5)] -> <tr><td><bdi title="id 511 · 1.500"><a
    href="/gpt2/token/511">·their</a></bdi></td><td><svg …><rect width="100.0%" height="100%"/></svg></td><td>1.50</td></tr>
    """
    top = max((abs(token.score) for token in tokens), default=0.0) or 1.0
    links = TokenLinks(str(escape(links.start)), str(escape(links.query)))
    drawn = "".join(
        f'<tr><td>{_draw_linked(chip, token, links, urls, view)}</td><td><svg class="bar" aria-hidden="true"><rect '
        f'width="{round(100 * abs(token.score) / top, 1)}%" height="100%"/></svg></td><td>{_format_score(token.score, top)}</td></tr>\n'
        for chip, token in zip(chips(tokens), tokens, strict=True)
    )
    return Markup(drawn)  # noqa: S704 (numbers and texts that are escaped)


def _draw_linked(chip: Chip, token: Token, links: TokenLinks, urls: Urls, view: View) -> str:
    """Draw a chip whose link the tab key stops at."""
    if token.place is not None:
        url = escape(urls.page(token.place, view))
        return f'<a class="chip" href="{url}" title="{escape(chip.about)}">{escape(chip.shown)}</a>'
    return _draw_chip(chip, f'<a href="{links.to(token.id)}">')


def _format_score(score: float, top: float) -> str:
    decimals = min(max(2 - math.floor(math.log10(top)), 2), 12)
    return f"{score:.{decimals}f}".replace("-", "−")


def _draw_word(word: Sequence[Token], links: TokenLinks) -> str:
    id_, _, shown, kind, value, _ = word[0]
    link = _link_tag(word[0], links)
    if len(word) == 1:
        if kind == "text" and shown[-1:] != "…":
            return f'<bdi title="id {id_} · {value:.3f}">{link}{_escape_cached(shown)}</a></bdi>'
        return _draw_chip(_chip_of(word), link)
    # As `_chip_of`, but with texts that are escaped once: a page has a hundred such words. Only plain text is merged.
    about = " · ".join(
        [
            f"{_escape_cached(_whole_text(one) if one.shown[-1:] == '…' else one.shown)} {one[4]:.3f} (id {one[0]})"
            for one in word
        ]
    )
    n = len(word)
    return f'<bdi title="{n} tokens: {about}">{link}{_escape_cached(shown)} ×{n}</a></bdi>'


def _chip_of(word: Sequence[Token]) -> Chip:
    """Make one chip for all tokens of a word; a plain space, which no shown token has, sets their number apart."""
    first = word[0]
    (chip,) = chips(word[:1])
    if len(word) == 1:
        return chip
    about = " · ".join(f"{_whole_text(token)} {token.score:.3f} (id {token.id})" for token in word)
    return Chip(f"{first.shown} ×{len(word)}", f"{len(word)} tokens: {about}", chip.kind)


def _plain_chip(id_: int, text: str, shown: str, kind: str) -> Chip:
    about = f"{_spell_visible(text)} · id {id_}" if shown.endswith("…") else f"id {id_}"
    return Chip(shown, about, "" if kind == "text" else kind)


def _draw_entries(word: Sequence[Token], links: TokenLinks, inside: str) -> str:
    """Draw the tokens of one word as a chip without scores; `inside`: the element around its text."""
    first, link = word[0], _link_tag(word[0], links)
    if len(word) == 1 and not inside and first.kind == "text" and first.shown[-1:] != "…":
        return f'<bdi title="id {first.id}">{link}{_escape_cached(first.shown)}</a></bdi>'
    chip = _plain_chip(first.id, first.text, first.shown, first.kind)
    if len(word) > 1:
        about = " · ".join(f"{_whole_text(one)} (id {one.id})" for one in word)
        chip = Chip(f"{chip.shown} ×{len(word)}", f"{len(word)} tokens: {about}", chip.kind)
    return _draw_chip(chip, link, inside)


def _whole_text(token: Token) -> str:
    return _spell_visible(token.text) if token.shown.endswith("…") else token.shown


@lru_cache(maxsize=1 << 16)
def _cached_form(text: str) -> str | None:
    return form_of(text)


@lru_cache(maxsize=1 << 16)
def _escape_cached(shown: str) -> str:
    return str(escape(shown))


def _draw_marked(words: Sequence[Sequence[Token]], found: list[Hit], links: TokenLinks) -> Iterator[str]:
    ids = {one.token.id for one in found}
    shown = {token.id for word in words for token in word}
    for word in words:
        is_found = any(token.id in ids for token in word)
        yield _draw_chip(_chip_of(word), _link_tag(word[0], links), "mark") if is_found else _draw_word(word, links)
    for one in found:
        if one.token.id not in shown:
            drawn = _draw_chip(_chip_of([one.token]), _link_tag(one.token, links), "mark")
            yield f'<span class="beyond">{ordinal(one.place)}</span>{drawn}'


def _link_tag(token: Token, links: TokenLinks) -> str:
    return f'<a href="{links.start}{token.id}{links.query}" tabindex="-1">'


def _draw_chip(chip: Chip, link: str, inside: str = "") -> str:
    kind = f' class="{escape(chip.kind)}"' if chip.kind else ""
    text = f"<{inside}>{escape(chip.shown)}</{inside}>" if inside else escape(chip.shown)
    return f'<bdi title="{escape(chip.about)}"{kind}>{link}{text}</a></bdi>'


def _tooltip_of(id_: int, text: str, shown: str, kind: str, value: float) -> str:
    about = f"id {id_} · {value:.3f}" + (f" · {kind}" if kind != "text" else "")
    return f"{_spell_visible(text)} · {about}" if shown.endswith("…") else about


def _spell_visible(text: str) -> str:
    shown = spell_out(text[:LONGEST_TITLE])
    return shown if len(text) <= LONGEST_TITLE else f"{shown}… ({len(text):,} characters)"


def plain_text(token: TokenEntry) -> str:
    """Return a token as part of a running text: its own where that is plain, else as it is shown.

    Example: plain_text(Entry(511, " their", "·their", "text")) -> " their"
    """
    return token.text if token.kind == "text" and token.text.isprintable() else token.shown
