"""A page as a small table of HTML, for notebooks: no script, no style, every text of it escaped.

Tokens are hostile input, and so may be a server: what is not of the expected form is left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from .text import spell

MOST_ROWS = 12
MOST_TOKENS = 8
LONGEST_TOKEN = 24
"""Characters of a token that are shown."""
SIGNS = (("+", "plus"), ("−", "minus"))

Row = tuple[str, ...]


def draw(json: Mapping[str, Any], path: str, url: str) -> str:
    """Draw a page: its name with a link, and one table of what it is about."""
    name = escape(spell(str(json.get("label") or path)))
    head = f'<a href="{escape(url)}">{name}</a>' if url else name
    parts = [f"<p>{head}, {escape(spell(str(json['weights'])))} weights</p>" if "weights" in json else f"<p>{head}</p>"]
    for title, names, rows in _tables_of(json):
        parts += [f"<p>{escape(title)}</p>"] if title else []
        parts.append(_write_table(names, list(rows)))
    return "".join(parts)


def _tables_of(json: Mapping[str, Any]) -> Iterator[tuple[str, Row, Iterable[Row]]]:
    """Choose the tables that a page is shown by: (title, names of columns, rows of HTML)."""
    if _objects(json.get("directions")) and "singular_values" in json:
        yield _table_of_matrix("", json)
    elif isinstance(json.get("ov"), dict) and isinstance(json.get("qk"), dict):
        yield _table_of_matrix("OV", json["ov"])
        yield _table_of_matrix("QK", json["qk"])
    elif isinstance(json.get("left"), dict) and isinstance(json.get("right"), dict):
        sides = (json["left"], json["right"])
        yield "", ("side", "", "tokens"), [(_text(side.get("side")), *row) for side in sides for row in _rays_of(side)]
    elif hits := _objects(json.get("hits")):
        yield "", ("direction", "end", "side", "theme", "tokens"), [_hit(hit) for hit in hits]
    elif chosen := _objects(json.get("next")):
        names = tuple(name for name in ("chance", "before", "after") if name in chosen[0])
        yield "next", ("token", *names), [(_token(one), *(_number(one.get(name)) for name in names)) for one in chosen]
    else:
        plain = [(_text(name), _text(own)) for name, own in json.items() if isinstance(own, str | int | float)]
        yield "", ("", ""), plain


def _table_of_matrix(title: str, json: Mapping[str, Any]) -> tuple[str, Row, Iterable[Row]]:
    found = _objects(json.get("directions"))
    first = found[0] if found else {}
    sides = [str(side.get("side", "")) for side in (first.get("left"), first.get("right")) if isinstance(side, dict)]
    names = ("", "strength", *(f"{spell(side)} {sign}" for side in sides for sign, _ in SIGNS))
    rows = [
        (
            _text(one.get("index")),
            _number(one.get("singular_value")),
            *(tokens for side in (one.get("left"), one.get("right")) for _, tokens in _rays_of(side)),
        )
        for one in found
    ]
    return title, names, rows


def _hit(hit: Mapping[str, Any]) -> Row:
    end = {"p": "+", "n": "−"}.get(str(hit.get("ray")), "")
    return (
        *map(_text, (hit.get("address"), end, hit.get("side"))),
        _number(hit.get("theme")),
        _tokens(hit.get("tokens")),
    )


def _rays_of(side: Any) -> list[Row]:
    return [(sign, _tokens(side.get(name))) for sign, name in SIGNS] if isinstance(side, dict) else []


def _tokens(found: Any) -> str:
    return " ".join(map(_token, _objects(found)[:MOST_TOKENS]))


def _token(one: Mapping[str, Any]) -> str:
    text = spell(str(one.get("token", "")))
    shown = text[:LONGEST_TOKEN] + ("…" if len(text) > LONGEST_TOKEN else "")
    return f"<code>{escape(shown.replace(' ', '·'))}</code>"


def _objects(found: Any) -> list[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _text(own: Any) -> str:
    return "" if own is None else escape(spell(str(own))[:200])


def _number(own: Any) -> str:
    return f"{own:.4g}" if isinstance(own, int | float) else ""


def _write_table(names: Sequence[str], rows: Sequence[Row]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows[:MOST_ROWS])
    more = f"<p>and {len(rows) - MOST_ROWS} more</p>" if len(rows) > MOST_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
