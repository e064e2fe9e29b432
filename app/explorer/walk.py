"""The path that a visitor walked from ray to ray, as it stands in a link: `L24H1.ov.0p_r-L28H6.ov.0p`.

Rays in their short form, and before each but the first how one came there: `r-` it reads the one before, `w-` it writes what
that one reads, `l-` it is like it. Knows no page.
"""

from app.core.address import Address, AddressError, Ray, Sign, parse_short, short
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.library import OpenModel
from app.explorer.pages import Hop, Relation
from app.explorer.places import check_place

LONGEST = 480
"""Characters."""
MOST_HOPS = 12
"""Rays; of a longer walk the first are forgotten."""
BETWEEN = "_"
LETTERS: dict[str, Relation] = {"r": "reads", "w": "writes", "l": "like"}


def read_path(model: OpenModel, address: Address, text: str) -> tuple[Hop, ...]:
    """The rays that the text says, which lead to the address; BadOption for anything else.

    A path that ends elsewhere has been left: it goes on here from nothing.
    """
    if len(text) > LONGEST:
        raise BadOption(f"path is too long: at most {LONGEST} characters.")
    hops = (
        tuple(_hop(model, address, part, is_first=not n) for n, part in enumerate(text.split(BETWEEN))) if text else ()
    )
    if len(hops) > MOST_HOPS:
        raise BadOption(f"path is too long: at most {MOST_HOPS} rays.")
    here = address if address.basis else address.in_basis("svd").direction(address.index or 0)
    if hops and hops[-1].ray.address == here:
        return hops
    return (Hop(Ray(here, "p")),)


def spell_path(hops: tuple[Hop, ...]) -> str:
    """How a link says it; empty for a path that has only begun."""
    kept = hops[-MOST_HOPS:]
    letters = {relation: letter for letter, relation in LETTERS.items()}
    return BETWEEN.join(
        ("" if not n or not hop.relation else f"{letters[hop.relation]}-") + short(hop.ray)
        for n, hop in enumerate(kept)
    )


def further(hops: tuple[Hop, ...], relation: Relation, address: Address, turned: bool) -> tuple[Hop, ...]:
    """The path with one more ray: of the same sign as the one before it unless it is turned."""
    last: Sign = hops[-1].ray.sign
    sign: Sign = last if not turned else ("n" if last == "p" else "p")
    return (*hops, Hop(Ray(address, sign), relation))[-MOST_HOPS:]


def _hop(model: OpenModel, address: Address, part: str, *, is_first: bool) -> Hop:
    letter, dash, rest = part.partition("-")
    relation = LETTERS.get(letter) if dash else None
    try:
        ray = parse_short(part if relation is None else rest, Address(address.model, address.pin))
        check_place(model, ray.address)
    except (AddressError, UnknownAddress) as error:
        raise BadOption(f"path is a walk such as L24H1.ov.0p_r-L28H6.ov.0p: {error}") from error
    return Hop(ray, "" if is_first or relation is None else relation)
