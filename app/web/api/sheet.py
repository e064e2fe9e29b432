"""Tables as CSV: a matrix's directions, one direction's tokens, a census, a search, composition scores.

A token is written as a JSON string, quotes included: control characters stay visible, and no spreadsheet takes it for a
formula. So are the entries of other sides: "neuron 7", "position 3", "L5H3 OV 2-". A number that a basis, or a ray
that is not judged, does not have is empty. Coherence, z and p are those of the first 50 tokens; rotation_p, the p among
random rotations of the same span, is a column where these were asked for; turn_degrees, how far another rounding
rotates the direction on that side, in quantised copies; held_share, and mixture, the singular directions with the sizes
of their cosines, of the axes of a head's output.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

from app.core.judging.rays import HEADLINE
from app.explorer.pages.composition import ComposedPair
from app.explorer.pages.directions import Direction, DirectionPage, SideReadout
from app.explorer.pages.matrices import HeadPage, MatrixPage
from app.explorer.pages.rays import Judgement, Token
from app.explorer.pages.search import SearchPage
from app.explorer.pages.using.experiments import ExperimentPage, Trial

Row = tuple[object, ...]
FACT_COLUMNS = ("direction", "basis", "singular_value", "energy_share", "gap", "merit", "unit")
AXIS_COLUMNS = ("held_share", "mixture")
FORM_COLUMNS = ("forms_z", "forms_p", "beyond_z", "beyond_p", "beyond_share", "n_forms", "letterless", "reading")
RAY_COLUMNS = ("coherence", "z", "p", "q", "spelling_z", "spelling_p", *FORM_COLUMNS)
SIDE_COLUMNS = ("side", "class", "difference_p")


def direction_sheet(page: DirectionPage) -> str:
    """Write a row for each kept token, or other entry: the facts of the direction, its side and ray, and its own."""
    rotated, copied = page.view.rotated, page.model.quantised is not None
    rows = [
        (
            *_facts_of(page),
            *_axis_of(page),
            *_side_facts(side),
            *turn,
            sign,
            *judged,
            place,
            token.id,
            _as_json(token),
            token.score,
        )
        for side, turn in _sides_of(page, copied)
        for sign, judged, tokens in zip("+-", _ray_numbers(side, rotated), (side.plus, side.minus), strict=True)
        for place, token in enumerate(tokens)
    ]
    own = (*_name_side_columns(copied), "ray", *_name_ray_columns(rotated), "place", "id", "token", "score")
    return _write_csv([(*FACT_COLUMNS, *_name_axis_columns([page]), *own), *rows])


def experiment_sheet(page: ExperimentPage) -> str:
    """Write a row for each prompt of an experiment; of random changes their mean, and each by its number."""
    numbers = range(page.draws)
    names = ["prompt", "text", "kl", "random_kl", "energy", "random_energy", "measured_before", "measured_after"]
    names += ["factor", "random_factor", *(["swapped_factor"] if page.odds else [])]
    names += ["before", "before_chance", "after", "after_chance"]
    names += [f"random_{name}_{n}" for name in ("kl", "factor") for n in numbers]
    rows = [_write_trial(trial, of_odds=bool(page.odds)) for trial in page.trials]
    return _write_csv([tuple(names), *rows])


def _write_trial(trial: Trial, *, of_odds: bool) -> Row:
    return (
        trial.key,
        json.dumps("".join(token.text for token in trial.tokens), ensure_ascii=False),
        trial.divergence,
        fmean(trial.random),
        trial.energy,
        fmean(trial.random_energy) if trial.random_energy else None,
        trial.measured_before,
        trial.measured_after,
        trial.factor,
        math.exp(trial.random_gain),
        *((trial.swapped_factor,) if of_odds else ()),
        json.dumps(trial.before.token, ensure_ascii=False),
        trial.before.chance,
        json.dumps(trial.after.token, ensure_ascii=False),
        trial.after.chance,
        *trial.random,
        *trial.random_factors,
    )


def matrix_sheet(*pages: MatrixPage) -> str:
    """Write a row for each direction and side of the pages, with the rays' top tokens separated by spaces."""
    rotated, copied = any(page.view.rotated for page in pages), any(page.model.quantised for page in pages)
    judged = (f"{ray}_{name}" for ray in ("plus", "minus") for name in _name_ray_columns(rotated))
    axes = _name_axis_columns([one for page in pages for one in page.directions])
    rows: list[Row] = [(*FACT_COLUMNS, *axes, *_name_side_columns(copied), *judged, "plus", "minus")]
    for page in pages:
        for one in page.directions:
            rows += [
                (*_facts_of(one), *_axis_of(one), *_side_row(side, turn, rotated))
                for side, turn in _sides_of(one, copied)
            ]
    return _write_csv(rows)


def head_sheet(page: HeadPage) -> str:
    """Write the rows of both matrices of a head, one after the other."""
    return matrix_sheet(page.ov, page.qk)


def census_sheet(parts: Iterable[Mapping[str, list[object]]]) -> Iterator[str]:
    """Write a row for each ray of a census, a piece for each part: the whole is too long to be held at once."""
    for place, columns in enumerate(parts):
        names = [] if place else [tuple(columns)]
        yield _write_csv([*names, *zip(*columns.values(), strict=True)])


def search_sheet(page: SearchPage) -> str:
    """Write a row for each ray that a search found, with its first tokens separated by spaces."""
    numbers = ("theme", "alignment", "expected", "gain", "strength", "z", "p")
    names = ("rank", "direction", "ray", "side", *numbers, "reading", "letterless", "tokens")
    rows = [
        (
            *(rank, str(one.address), one.ray, one.side),
            *(getattr(one, name) for name in numbers),
            *(one.reading, one.letterless, _join_tokens(one.tokens)),
        )
        for rank, one in enumerate(page.hits, 1)
    ]
    return _write_csv([names, *rows])


def composition_sheet(parts: Iterable[Sequence[ComposedPair]]) -> Iterator[str]:
    """Write a row for each pair of heads, a piece for each part."""
    yield _write_csv([("writer", "reader", "cs", "fdr", "siblings")])
    for pairs in parts:
        rows = [(pair.writer, pair.reader, pair.cs, pair.fdr, " ".join(map(str, pair.siblings))) for pair in pairs]
        yield _write_csv(rows)


def _facts_of(one: Direction) -> Row:
    basis = one.address.basis
    return (str(one.address), basis, one.singular_value, one.energy_share, one.gap, one.merit, one.unit)


def _name_axis_columns(directions: Sequence[Direction]) -> Row:
    """Name the columns that only axes of a head's output have."""
    return AXIS_COLUMNS if any(one.axis for one in directions) else ()


def _axis_of(one: Direction) -> Row:
    if one.axis is None:
        return ()
    return one.axis.held_share, " ".join(f"{mixed.index}:{mixed.cosine:.4f}" for mixed in one.axis.mixture)


def _name_side_columns(copied: bool) -> Row:
    """Name the columns of a side."""
    return (*SIDE_COLUMNS, "turn_degrees") if copied else SIDE_COLUMNS


def _sides_of(one: Direction, copied: bool) -> tuple[tuple[SideReadout, Row], ...]:
    """Return both sides of a direction, in a quantised copy each with how far another rounding rotates it."""
    if not copied:
        return (one.left, ()), (one.right, ())
    left, right = (None, None) if one.turn is None else (one.turn.left, one.turn.right)
    return (one.left, (left,)), (one.right, (right,))


def _name_ray_columns(rotated: bool) -> Row:
    """Name the columns of a ray."""
    return (*RAY_COLUMNS, "rotation_p") if rotated else RAY_COLUMNS


def _side_row(side: SideReadout, turn: Row, rotated: bool) -> Row:
    """Make the row of a side: its facts, the numbers and the tokens of both rays."""
    plus, minus = _ray_numbers(side, rotated)
    return (*_side_facts(side), *turn, *plus, *minus, _join_tokens(side.plus), _join_tokens(side.minus))


def _side_facts(side: SideReadout) -> Row:
    return (side.side, side.rays.kind, side.rays.difference_p) if side.rays else (side.side, None, None)


def _ray_numbers(side: SideReadout, rotated: bool) -> tuple[Row, Row]:
    """Make the numbers of a side's + ray and - ray."""
    if side.rays is None:
        return _judgement_numbers(None, rotated), _judgement_numbers(None, rotated)
    return _judgement_numbers(side.rays.plus, rotated), _judgement_numbers(side.rays.minus, rotated)


def _judgement_numbers(one: Judgement | None, rotated: bool) -> Row:
    if one is None:
        return (None,) * len(_name_ray_columns(rotated))
    numbers = (one.coherence[HEADLINE], one.z[HEADLINE], one.p[HEADLINE], one.q, one.spelling_z, one.spelling_p)
    numbers += tuple(getattr(one, name) for name in FORM_COLUMNS)
    return (*numbers, one.rotation_p) if rotated else numbers


def _as_json(token: Token) -> str:
    return json.dumps(token.text)


def _join_tokens(tokens: tuple[Token, ...]) -> str:
    return " ".join(map(_as_json, tokens))


def _write_csv(rows: Iterable[Row]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
