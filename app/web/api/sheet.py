"""Tables as CSV: of a matrix's directions, and of one direction's tokens.

A token stands in the form of a JSON string, quotes included: control characters stay visible, and no spreadsheet
takes it for a formula. So does what stands for tokens on other sides: "neuron 7", "position 3", "L5H3 OV 2-". What a
basis, or a ray that is not judged, has no number for is empty. Coherence, z and p are those of the first 50 tokens;
rotation_p, the p among random rotations of the same span, is there where these were asked for; turn_degrees, how far
another rounding turns the direction on that side, in quantised copies.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from app.core.judging.rays import HEADLINE
from app.explorer.pages.composition import HeadPair
from app.explorer.pages.directions import Direction, DirectionPage, SideReadout
from app.explorer.pages.matrices import HeadPage, MatrixPage
from app.explorer.pages.rays import Judgement, Token
from app.explorer.pages.search import SearchPage

Row = tuple[object, ...]
FACTS = ("direction", "basis", "singular_value", "energy_share", "gap", "merit", "unit")
FORMS = ("forms_z", "forms_p", "beyond_z", "beyond_p", "beyond_share", "n_forms", "letterless", "reading")
JUDGED = ("coherence", "z", "p", "q", "spelling_z", "spelling_p", *FORMS)
SIDE = ("side", "class", "difference_p")


def direction_sheet(page: DirectionPage) -> str:
    """Every token, or other entry, that is kept: the facts of the direction, of its side and ray, and its own."""
    direction, rotated, copied = page.direction, page.view.rotated, page.model.quantised is not None
    rows = [
        (*_facts(direction), *_side(side), *turn, sign, *judged, place, token.id, _literal(token), token.score)
        for side, turn in _sides(direction, copied)
        for sign, judged, tokens in zip("+-", _rays(side, rotated), (side.plus, side.minus), strict=True)
        for place, token in enumerate(tokens)
    ]
    own = (*_side_names(copied), "ray", *_names(rotated), "place", "id", "token", "score")
    return _written([(*FACTS, *own), *rows])


def matrix_sheet(*pages: MatrixPage) -> str:
    """The directions of the page, each with its top tokens separated by spaces."""
    rotated, copied = any(page.view.rotated for page in pages), any(page.model.quantised for page in pages)
    judged = (f"{ray}_{name}" for ray in ("plus", "minus") for name in _names(rotated))
    rows: list[Row] = [(*FACTS, *_side_names(copied), *judged, "plus", "minus")]
    for page in pages:
        for one in page.directions:
            rows += [(*_facts(one), *_whole(side, turn, rotated)) for side, turn in _sides(one, copied)]
    return _written(rows)


def head_sheet(page: HeadPage) -> str:
    """Both matrices of a head, one after the other."""
    return matrix_sheet(page.ov, page.qk)


def census_sheet(parts: Iterable[Mapping[str, list[object]]]) -> Iterator[str]:
    """A row for each ray of a census, in as many pieces as there are parts: too long to be held as one."""
    for place, columns in enumerate(parts):
        names = [] if place else [tuple(columns)]
        yield _written([*names, *zip(*columns.values(), strict=True)])


def search_sheet(page: SearchPage) -> str:
    """The rays that a search found, each with its first tokens separated by spaces."""
    numbers = ("theme", "alignment", "expected", "gain", "strength", "z", "p")
    names = ("rank", "direction", "ray", "side", *numbers, "reading", "letterless", "tokens")
    rows = [
        (
            *(rank, str(one.address), one.ray, one.side),
            *(getattr(one, name) for name in numbers),
            *(one.reading, one.is_letterless, _row(one.tokens)),
        )
        for rank, one in enumerate(page.found, 1)
    ]
    return _written([names, *rows])


def composition_sheet(parts: Iterable[Sequence[HeadPair]]) -> Iterator[str]:
    """A row for each pair of heads, in as many pieces as there are parts."""
    yield _written([("writer", "reader", "cs", "fdr", "siblings")])
    for pairs in parts:
        rows = [(pair.writer, pair.reader, pair.cs, pair.fdr, " ".join(map(str, pair.siblings))) for pair in pairs]
        yield _written(rows)


def _facts(one: Direction) -> Row:
    basis = one.address.basis
    return (str(one.address), basis, one.singular_value, one.energy_share, one.gap, one.merit, one.unit)


def _side_names(copied: bool) -> Row:
    """What is said of a side."""
    return (*SIDE, "turn_degrees") if copied else SIDE


def _sides(one: Direction, copied: bool) -> tuple[tuple[SideReadout, Row], ...]:
    """Both sides, of a quantised copy each with how far it is turned."""
    if not copied:
        return (one.left, ()), (one.right, ())
    left, right = (None, None) if one.turn is None else (one.turn.left, one.turn.right)
    return (one.left, (left,)), (one.right, (right,))


def _names(rotated: bool) -> Row:
    """What a ray has numbers for."""
    return (*JUDGED, "rotation_p") if rotated else JUDGED


def _whole(side: SideReadout, turn: Row, rotated: bool) -> Row:
    """All of a side in one row."""
    plus, minus = _rays(side, rotated)
    return (*_side(side), *turn, *plus, *minus, _row(side.plus), _row(side.minus))


def _side(side: SideReadout) -> Row:
    return (side.side, side.rays.kind, side.rays.difference_p) if side.rays else (side.side, None, None)


def _rays(side: SideReadout, rotated: bool) -> tuple[Row, Row]:
    """The numbers of both rays."""
    if side.rays is None:
        return _judged(None, rotated), _judged(None, rotated)
    return _judged(side.rays.plus, rotated), _judged(side.rays.minus, rotated)


def _judged(one: Judgement | None, rotated: bool) -> Row:
    if one is None:
        return (None,) * len(_names(rotated))
    numbers = (one.coherence[HEADLINE], one.z[HEADLINE], one.p[HEADLINE], one.q, one.spelling_z, one.spelling_p)
    numbers += tuple(getattr(one, name) for name in FORMS)
    return (*numbers, one.rotation_p) if rotated else numbers


def _literal(token: Token) -> str:
    return json.dumps(token.text)


def _row(tokens: tuple[Token, ...]) -> str:
    return " ".join(map(_literal, tokens))


def _written(rows: Iterable[Row]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
