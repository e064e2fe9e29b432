"""Tables as CSV: of a matrix's directions, and of one direction's tokens.

A token stands in the form of a JSON string, quotes included: control characters stay visible, and no spreadsheet
takes it for a formula. So does what stands for tokens on other sides: "neuron 7", "position 3", "L5H3 OV 2-". What a
basis has no number for is empty.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping

from app.explorer.pages import Direction, DirectionPage, HeadPage, MatrixPage, Token

Row = tuple[object, ...]
FACTS = ("direction", "basis", "singular_value", "energy_share", "gap", "merit", "unit")


def direction_sheet(page: DirectionPage) -> str:
    """Every token, or other entry, that is kept: the facts of the direction, side, ray, place, id, token, score."""
    direction = page.direction
    rows = [
        (*_facts(direction), side.side, sign, place, token.id, _literal(token), token.score)
        for side in (direction.left, direction.right)
        for sign, tokens in (("+", side.plus), ("-", side.minus))
        for place, token in enumerate(tokens)
    ]
    return _written([(*FACTS, "side", "ray", "place", "id", "token", "score"), *rows])


def matrix_sheet(*pages: MatrixPage) -> str:
    """The directions of the page, each with its top tokens separated by spaces."""
    rows: list[Row] = [(*FACTS, "side", "plus", "minus")]
    for page in pages:
        for one in page.directions:
            rows += [(*_facts(one), side.side, _row(side.plus), _row(side.minus)) for side in (one.left, one.right)]
    return _written(rows)


def head_sheet(page: HeadPage) -> str:
    """Both matrices of a head, one after the other."""
    return matrix_sheet(page.ov, page.qk)


def census_sheet(columns: Mapping[str, list[object]]) -> str:
    """A row for each ray of a census."""
    return _written([tuple(columns), *zip(*columns.values(), strict=True)])


def _facts(one: Direction) -> Row:
    basis = one.address.basis
    return (str(one.address), basis, one.singular_value, one.energy_share, one.gap, one.merit, one.unit)


def _literal(token: Token) -> str:
    return json.dumps(token.text)


def _row(tokens: tuple[Token, ...]) -> str:
    return " ".join(map(_literal, tokens))


def _written(rows: Iterable[Row]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
