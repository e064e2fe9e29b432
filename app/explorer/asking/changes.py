"""Changes of a model that a visitor names: edits of heads along singular directions, spelt and parsed.

An edit is a direction of a head's OV and how much more of it is written: `L27H8.ov.4:-1`. Raises BadOption in words that say
what would do, UnknownAddress for a place that the model does not have.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.core.address import Address, AddressError, Ray, Sign, format_short, parse, parse_short
from app.explorer.asking.places import check_place
from app.explorer.changes import EditKind, HeadEdit, Steering, spell_amount
from app.explorer.errors import BadOption
from app.explorer.library import OpenModel
from app.explorer.view import Processing

LEAST, MOST = -1.0, 10.0
"""The bounds of an amount: -1 writes nothing of a direction, 10 eleven times as much."""
AMOUNT = re.compile(r"[-−]?[0-9]{1,2}(\.[0-9]{1,3})?")
MOST_EDITS = 12
SPELT = "L27H8.ov.4:-1"
HOW = (
    f"edit names a singular direction of a head's OV and an amount from {LEAST:g} (delete) to {MOST:g}, as {SPELT}; or mean, "
    f"or only, in the amount's place; up to {MOST_EDITS} with commas between them."
)

STEER_HOW = "of is a singular direction of a head's OV, with the end that is pushed towards, as L27H8.ov.4p."


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of a head along a direction."""

    address: Address
    """The direction, of the model without a pin."""
    sign: Sign | None
    """The end whose tokens are followed; None: the one that is written at the position."""
    kind: EditKind
    amount: float
    """How much more is written: 0 for all kinds but `scale`."""

    @property
    def head(self) -> tuple[int, int]:
        """The layer and the head."""
        return self.address.layer or 0, self.address.head or 0

    @property
    def plain(self) -> HeadEdit:
        """The edit as recipes hold it."""
        return HeadEdit(*self.head, self.address.index or 0, self.kind, self.amount, self.sign or "")


def parse_edits(model: OpenModel, address: Address, text: str, weights: Processing) -> tuple[Edit, ...]:
    """Parse the edits of a link, in the order in which they stand there."""
    words = [word for word in re.split(r"[,\s]+", text.strip()) if word]
    if not words:
        raise BadOption(f"Name what is changed: {HOW}")
    if len(words) > MOST_EDITS:
        raise BadOption(f"These are {len(words)} edits. {HOW}")
    edits = tuple(_parse_edit(model, address, word, weights) for word in words)
    for number, edit in enumerate(edits):
        others = edits[:number]
        if edit.address in [other.address for other in others]:
            raise BadOption(f"{edit.address.label} stands in edit twice: one amount is enough.")
        if any(other.head == edit.head and (other.kind == "only") != (edit.kind == "only") for other in others):
            raise BadOption(
                f"only leaves nothing else of L{edit.head[0]}H{edit.head[1]} to be edited: name its directions either all with "
                "only, or all with amounts."
            )
    return edits


def spell_edits(edits: Sequence[Edit]) -> str:
    """Spell edits as a link has them.

    Example: spell_edits(edits) -> "L27H8.ov.4:-1,L25H6.ov.0n:mean"
    """
    return ",".join(f"{spell_direction(edit)}:{spell_amount(edit.kind, edit.amount)}" for edit in edits)


def parse_steering(
    model: OpenModel, address: Address, text: str, layer: int | None, amount: float, weights: Processing
) -> tuple[Ray, Steering]:
    """Parse a push along a direction, and the layer whose stream it is of; None: the one behind the direction's head."""
    name = text.strip()
    if not name:
        raise BadOption(f"Name the direction: {STEER_HOW}")
    ray = _parse_ray(model, address, name, weights, STEER_HOW)
    last = model.header.n_layers - 1
    if layer is None:
        layer = min((ray.address.layer or 0) + 1, last)
    if not 0 <= layer <= last:
        raise BadOption(f"layer goes from 0 to {last} here: it is the one whose stream is pushed.")
    of = HeadEdit(ray.address.layer or 0, ray.address.head or 0, ray.address.index or 0, end=ray.sign)
    return ray, Steering(layer, of, amount)


def spell_direction(edit: Edit) -> str:
    """Spell the direction of an edit, with its end if that was named.

    Example: spell_direction(edit) -> "L27H8.ov.4n"
    """
    short = format_short(Ray(edit.address, edit.sign or "p"))
    return short if edit.sign else short.removesuffix("p")


def _parse_edit(model: OpenModel, address: Address, word: str, weights: Processing) -> Edit:
    name, colon, amount = word.rpartition(":")
    if not colon:
        raise BadOption(f"An edit has a colon and an amount behind its direction. {HOW}")
    ray = _parse_ray(model, address, name, weights, HOW)
    place, sign = ray.address, ray.sign if name[-1].lower() in "pn+-−" else None
    if amount in {"mean", "only"}:
        return Edit(place, sign, "mean" if amount == "mean" else "only", 0.0)
    return Edit(place, sign, "scale", _parse_amount(amount))


def _parse_ray(model: OpenModel, address: Address, name: str, weights: Processing, how: str) -> Ray:
    """Parse a direction that a head writes, by its short form or its address; `how`: the sentence that says what would do."""
    try:
        ray = Ray(parse(name), "p") if "/" in name else parse_short(name, Address(address.model))
    except AddressError:
        raise BadOption(how) from None
    if ray.address.model != address.model:
        raise BadOption(f"{name} is of another model than this page, which is of {address.model}. {how}")
    place = ray.address
    if ray.is_raw and weights != "raw":
        raise BadOption("The weights are chosen for the whole page, by weights=raw, not with a direction.")
    if place.circuit == "qk":
        raise BadOption(
            f"{place.label} is a direction of QK, which decides where a head looks and writes nothing: directions of OV are "
            "written."
        )
    if place.circuit != "ov" or place.basis != "svd" or place.index is None:
        raise BadOption(how)
    check_place(model, place)
    return replace(ray, address=replace(place, pin=None))


def _parse_amount(text: str) -> float:
    value = float(text.replace("−", "-")) if AMOUNT.fullmatch(text) else None
    if value is None or not LEAST <= value <= MOST:
        raise BadOption(f"This is no amount of an edit. {HOW}")
    return value
