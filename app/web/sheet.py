"""Tables as CSV: of a matrix's directions, and of one direction's tokens.

A token stands in the form of a JSON string, quotes included: control characters stay visible, and no spreadsheet
takes it for a formula.
"""

import csv
import io
import json
from collections.abc import Iterable

from app.explorer.pages import DirectionPage, HeadPage, MatrixPage, Token

Row = tuple[object, ...]


def direction_sheet(page: DirectionPage) -> str:
    """Every token that is kept: side, ray, place, id, token, score."""
    direction = page.direction
    rows = [
        (side.side, sign, place, token.id, _literal(token), token.score)
        for side in (direction.left, direction.right)
        for sign, tokens in (("+", side.plus), ("-", side.minus))
        for place, token in enumerate(tokens)
    ]
    return _written([("side", "ray", "place", "id", "token", "score"), *rows])


def matrix_sheet(*pages: MatrixPage) -> str:
    """The directions of the page, each with its top tokens separated by spaces."""
    rows: list[Row] = [("direction", "singular_value", "energy_share", "gap", "side", "plus", "minus")]
    for page in pages:
        for one in page.directions:
            facts = (str(one.address), one.singular_value, one.energy_share, one.gap)
            rows += [(*facts, side.side, _row(side.plus), _row(side.minus)) for side in (one.left, one.right)]
    return _written(rows)


def head_sheet(page: HeadPage) -> str:
    """Both matrices of a head, one after the other."""
    return matrix_sheet(page.ov, page.qk)


def _literal(token: Token) -> str:
    return json.dumps(token.text)


def _row(tokens: tuple[Token, ...]) -> str:
    return " ".join(map(_literal, tokens))


def _written(rows: Iterable[Row]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
