"""What someone types to get somewhere: `L5H3`, `l5h3 ov 12`, `L5H3.ov.12p`, `5.3`, `L5`, or a whole address.

Knows the spellings people use, and which numbers the model has; computes nothing.
"""

import re
from dataclasses import dataclass
from typing import Literal

from app.core.address import Address, AddressError, parse
from app.explorer.errors import UnknownAddress
from app.explorer.places import located
from app.explorer.resources import Resources

EXAMPLES = "Try L5, L5H3, L5H3 ov or L5H3 ov 12."
SEPARATORS = re.compile(r"[\s./,:]+")
# After separators became single spaces. A direction must not begin inside the head's number: no digit before it.
PLACE = re.compile(
    r"(?P<word>l|layer)? ?(?P<layer>[0-9]{1,5})"
    r"(?:(?: ?h(?:ead)? ?| )(?P<head>[0-9]{1,5})"
    r"(?: ?(?P<circuit>ov|qk))?(?: ?svd)?(?: ?(?<![0-9])(?P<index>[0-9]{1,5}) ?(?P<ray>[pn+−-])?)?)?"
)
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Target:
    """Where the text leads."""

    address: Address
    ray: Literal["p", "n"] | None
    """The sign of the direction that was named, if one was: the anchor on its page."""


def jump(r: Resources, slug: str, text: str) -> Target:
    """The place in that model; UnknownAddress, with examples or the valid range, where the text names none."""
    text = text.strip()
    if len(text) > LONGEST:
        raise UnknownAddress(f"That is too long for the name of a place. {EXAMPLES}")
    target = _place(slug, text) or _whole_address(r, text)
    if target is None:
        raise UnknownAddress(f"{text!r} names no place in {slug}. {EXAMPLES}")
    located(r, target.address)
    return target


def _place(slug: str, text: str) -> Target | None:
    found = PLACE.fullmatch(SEPARATORS.sub(" ", text.lower()).strip())
    # A number alone could be a layer, a head or a direction.
    if not found or not (found["word"] or found["head"]):
        return None
    layer, head, index = (None if found[part] is None else int(found[part]) for part in ("layer", "head", "index"))
    circuit: Literal["ov", "qk"] | None = "qk" if found["circuit"] == "qk" else "ov"
    if found["circuit"] is None and index is None:
        circuit = None
    basis = None if index is None else "svd"
    return Target(Address(slug, None, layer, head, circuit, basis, index), _ray(found["ray"]))


def _whole_address(r: Resources, text: str) -> Target | None:
    path, _, anchor = text.partition("#")
    try:
        address = parse(path.strip("/"))
    except AddressError:
        return None
    return Target(address, _ray(anchor)) if address.model in r.slugs else None


def _ray(sign: str | None) -> Literal["p", "n"] | None:
    if sign in ("p", "+"):
        return "p"
    return "n" if sign in ("n", "-", "−") else None
