"""What someone types to get somewhere: `L5H3`, `l5h3 ov 12`, `L5H3.ov.12p`, `5.3`, `L5 mlp-in 12`, `embed nmf 3`, `W_U`.

A whole address does, too.
Knows the spellings people use, and which numbers the model has; computes nothing.
"""

import re
from dataclasses import dataclass
from typing import Literal

from app.core.address import BASES, LAYER_KINDS, MODEL_KINDS, Address, AddressError, BasisName, Kind, parse
from app.explorer.errors import NamesNothing
from app.explorer.places import located
from app.explorer.resources import Resources

EXAMPLES = "Try L5, L5H3, L5H3 ov 12, L5 mlp-in 12, embed, pos 3, heads write 4 or embed nmf 12."
SEPARATORS = re.compile(r"[\s./,:]+")
SPELLINGS: dict[Kind, str] = {
    "ov": "ov",
    "qk": "qk",
    "mlp-in": "(?:mlp|w)[ _-]?in",
    "mlp-gate": "(?:mlp|w)[ _-]?gate",
    "mlp-out": "(?:mlp|w)[ _-]?out",
    "embed": "embed(?:ding)?|w[ _-]?e",
    "unembed": "unembed(?:ding)?|w[ _-]?u",
    "pos": "pos(?:itions?)?|w[ _-]?pos",
    "heads/write": "heads?['’]?[ _-]?writes?|(?:all )?ov[ _-]?outputs?",
    "heads/read": "heads?['’]?[ _-]?reads?|(?:all )?ov[ _-]?inputs?",
}
"""After separators became single spaces, in small letters."""
# A direction must not begin inside another number: no digit before it.
PLACE = re.compile(
    r"(?:(?P<word>l|layer)? ?(?P<layer>[0-9]{1,5})(?:(?: ?h(?:ead)? ?| )(?P<head>[0-9]{1,5}))?)?"
    rf"(?: ?(?P<kind>{'|'.join(SPELLINGS.values())}))?(?: ?(?P<basis>{'|'.join(BASES)}))?"
    r"(?: ?(?<![0-9])(?P<index>[0-9]{1,5}) ?(?P<ray>[pn+−-])?)?"
)
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Target:
    """Where the text leads."""

    address: Address
    ray: Literal["p", "n"] | None
    """The sign of the direction that was named, if one was: the anchor on its page."""


def jump(r: Resources, slug: str, text: str) -> Target:
    """The place in that model; NamesNothing, with examples, where the text names none, UnknownAddress with the valid range
    where that is not there.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise NamesNothing(f"That is too long for the name of a place. {EXAMPLES}")
    target = _place(slug, text) or _whole_address(r, text)
    if target is None:
        raise NamesNothing(f"{text!r} names no place in {slug}. {EXAMPLES}")
    located(r, target.address)
    return target


def _place(slug: str, text: str) -> Target | None:
    found = PLACE.fullmatch(SEPARATORS.sub(" ", text.lower()).strip())
    if not found:
        return None
    layer, head, index = (None if found[part] is None else int(found[part]) for part in ("layer", "head", "index"))
    # Singular directions are what is meant where no basis is said; all of them are the matrix.
    said = next((basis for basis in BASES if basis == found["basis"]), None)
    basis = "svd" if index is not None and said is None else said
    if index is None and basis == "svd":
        basis = None
    kind = _kind(found["kind"])
    if kind is None and basis is not None and head is not None:
        kind = "ov"
    if not _is_place(kind, layer, head, basis, named=bool(found["word"])):
        return None
    return Target(Address(slug, None, layer, head, kind, basis, index), _ray(found["ray"]))


def _kind(text: str | None) -> Kind | None:
    return next((kind for kind, spelling in SPELLINGS.items() if text and re.fullmatch(spelling, text)), None)


def _is_place(kind: Kind | None, layer: int | None, head: int | None, basis: BasisName | None, *, named: bool) -> bool:
    """Whether the parts of a match go together; `named`: the word layer stands before its number."""
    if kind in MODEL_KINDS:
        return layer is None
    if kind in LAYER_KINDS:
        return layer is not None and head is None
    if head is None:
        # A number alone could be a layer, a head or a direction.
        return kind is None and basis is None and layer is not None and named
    return True


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
