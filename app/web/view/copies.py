"""Sentences about quantised copies: their bits, and which of their directions the rounded numbers determine.

Knows no artifact: determinacy is computed elsewhere.
"""

import math
import re
from collections.abc import Sequence

from app.core.address import Address
from app.explorer.header import Model
from app.explorer.pages.directions import Determinacy, Direction
from app.explorer.pages.matrices import MatrixPage
from app.web.view.numbers import percent

WEIGHTS = {
    "ov": ("attn.W_V", "attn.W_O"),
    "qk": ("attn.W_Q", "attn.W_K"),
    "mlp-in": ("mlp.W_in",),
    "mlp-gate": ("mlp.W_gate",),
    "mlp-out": ("mlp.W_out",),
    "embed": ("embed.W_E",),
    "unembed": ("unembed.W_U",),
    "pos": ("pos_embed.W_pos",),
}
DIGITS = re.compile(r"\d+")
UNKNOWN = "how far its rounding turns these directions is not estimated."


def copy_of(model: Model) -> str:
    """Say which model a quantised one is a copy of; empty for other models.

    Example: "4-bit copy of SmolLM2-135M-Instruct: not the original's numbers"
    """
    if model.quantised is None:
        return ""
    return f"{model.quantised.bits}-bit copy of {model.name}: not the original's numbers"


def name_bits(model: Model, address: Address) -> str:
    """Name the bits of a quantised model's matrix, those of its coarsest factor; empty for other models.

    Example: "4-bit copy"; "8-bit copy" of an embedding that was kept in more bits than the rest
    """
    if model.quantised is None:
        return ""
    others = dict(model.quantised.others)
    kinds = [others.get(name, model.quantised.kind) for name in _weights_of(address)]
    fewest = min((int(found[0]) for kind in kinds if (found := DIGITS.search(kind))), default=model.quantised.bits)
    return f"{fewest}-bit copy"


def _weights_of(address: Address) -> list[str]:
    """List the names of the weights that a matrix is made of; none for stacked heads."""
    where = "" if address.layer is None else f"blocks.{address.layer}."
    return [f"{where}{name}" for name in WEIGHTS.get(address.kind or "", ())]


def describe_determined(page: MatrixPage) -> str:
    """Say which directions of a quantised copy's matrix its numbers determine.

    Example: "directions 0–3 are determined to about 10 degrees; from 4 on only their span is (97.6% of the span from
    4 on stays on the read side, 98.1% on the write side)."
    """
    found = page.determinacy
    if found is None:
        return UNKNOWN
    sure = _name_sure(found, page.rank)
    return f"{sure}." if found.rest is None else f"{sure} ({_name_kept_span(found, page.sides)})."


def describe_turn(one: Direction) -> str:
    """Say how far another rounding would rotate a direction of a quantised copy, and what that means.

    Example: "another rounding like it turns this direction by about 8 degrees on the read side and about 9 degrees on the
    write side: it is determined. Towards its neighbours, directions 5 to 8, it can be up to 18 degrees."
    """
    assert one.turn is not None
    left, right = (degrees(each) for each in (one.turn.left, one.turn.right))
    by = f"{left} on the {one.left.side} side and {right} on the {one.right.side} side"
    means = "it is determined" if one.turn.determined else "it is not determined by itself"
    neighbours = ""
    if one.badge is not None:
        to = f"its neighbours, directions {one.badge.first} to {one.badge.last},"
        neighbours = f" Towards {to} it can be up to {math.ceil(one.badge.degrees)} degrees."
    return f"another rounding like it turns this direction by {by}: {means}.{neighbours}"


def _name_sure(found: Determinacy, rank: int) -> str:
    first, later = found.first, found.later
    if found.degrees is None:
        if later:
            return f"direction 0 is not determined, {later} of the others {_verb_for(later)}; of the rest only their span is"
        return "no direction is determined, only the span of all is"
    to = f"determined to {degrees(found.degrees)}"
    if first == rank:
        return f"all {rank} directions are {to}" if rank > 1 else f"its one direction is {to}"
    sure = f"directions 0–{first - 1} are {to}" if first > 1 else f"direction 0 is {to}"
    if first == rank - 1:
        return f"{sure}; the last one is not"
    if later:
        return f"{sure}, and {later} of the {rank - first} after {'them' if first > 1 else 'it'}; of the others only their span is"
    return f"{sure}; from {first} on only their span is"


def _verb_for(n: int) -> str:
    return "is" if n == 1 else "are"


def _name_kept_span(found: Determinacy, sides: Sequence[str]) -> str:
    assert found.rest is not None
    left, right = percent(found.rest.left), percent(found.rest.right)
    span = f"the span from {found.first} on" if found.first else "the span of all"
    return f"{left} of {span} stays on the {sides[0]} side, {right} on the {sides[1]} side"


def degrees(value: float) -> str:
    """Say an angle in words, rounded up so that it is never understated.

    Example: degrees(9.2) -> "about 10 degrees"; degrees(0.2) -> "less than a degree"
    """
    whole = math.ceil(value)
    return f"about {whole} degrees" if whole > 1 else "about a degree" if value >= 0.5 else "less than a degree"
