"""The path that a visitor walked from ray to ray, as it stands in a link: `L24H1.ov.0p_r-L28H6.ov.0p`.

Rays in their short form, and before each but the first how one came there: `r-` it reads the one before, `w-` it writes what
that one reads, `l-` it is like it. Knows no page.
"""

from app.core.address import Address, AddressError, Ray, parse_short, short
from app.explorer.asking.places import check_place
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.library import OpenModel
from app.explorer.options import LONGEST_PATH
from app.explorer.pages.directions import Hop, Relation

MOST_HOPS = 12
"""Rays; of a longer walk the first are forgotten."""
BETWEEN = "_"
LETTERS: dict[str, Relation] = {"r": "reads", "w": "writes", "l": "like"}


def read_path(model: OpenModel, address: Address, text: str) -> tuple[Hop, ...]:
    """The rays that the text says, which lead to the address; BadOption for anything else.

    A path that ends elsewhere has been left: it goes on here from nothing.
    """
    hops = _read(model, address, text)
    here = address if address.basis else address.in_basis("svd").direction(address.index or 0)
    if hops and hops[-1].ray.address == here:
        return hops
    return (Hop(Ray(here, "p")),)


def read_way(model: OpenModel, matrix: Address, text: str) -> tuple[Hop, ...]:
    """The path that the text says where it leads to a singular direction of that matrix; empty where it leads elsewhere, or
    nowhere; BadOption for anything else.
    """
    hops = _read(model, matrix, text)
    return hops if hops and hops[-1].ray.address.parent == matrix.in_basis("svd") else ()


def _read(model: OpenModel, address: Address, text: str) -> tuple[Hop, ...]:
    if len(text) > LONGEST_PATH:
        raise BadOption(f"path is too long: at most {LONGEST_PATH} characters.")
    hops = (
        tuple(_hop(model, address, part, is_first=not n) for n, part in enumerate(text.split(BETWEEN))) if text else ()
    )
    if len(hops) > MOST_HOPS:
        raise BadOption(f"path is too long: at most {MOST_HOPS} rays.")
    return hops


def spell_path(hops: tuple[Hop, ...]) -> str:
    """How a link to its last ray says it; empty for a path that has only begun, at a + end.

    Example: spell_path((Hop(Ray(parse("gpt2/L5/H3/ov/svd/12"), "n")),)) -> "L5H3.ov.12n"
    """
    return "" if len(hops) == 1 and hops[0].ray.sign == "p" else spell_way(hops)


def spell_way(hops: tuple[Hop, ...]) -> str:
    """How a link to another page says it: with its last ray, whatever that is.

    Example: spell_way((Hop(Ray(parse("gpt2/L5/H3/ov/svd/12"), "p")),)) -> "L5H3.ov.12p"
    """
    kept = hops[-MOST_HOPS:]
    letters = {relation: letter for letter, relation in LETTERS.items()}
    return BETWEEN.join(
        ("" if not n or not hop.relation else f"{letters[hop.relation]}-") + short(hop.ray)
        for n, hop in enumerate(kept)
    )


def further(hops: tuple[Hop, ...], relation: Relation, ray: Ray) -> tuple[Hop, ...]:
    """The path with one more ray; back to a ray that it went through, it ends there instead of making a loop."""
    names = [short(hop.ray) for hop in hops]
    if short(ray) in names:
        return hops[: names.index(short(ray)) + 1]
    return (*hops, Hop(ray, relation))[-MOST_HOPS:]


def _hop(model: OpenModel, address: Address, part: str, *, is_first: bool) -> Hop:
    letter, dash, rest = part.partition("-")
    relation = LETTERS.get(letter) if dash else None
    try:
        ray = parse_short(part if relation is None else rest, Address(address.model, address.pin))
        check_place(model, ray.address)
    except (AddressError, UnknownAddress) as error:
        raise BadOption(f"path is a walk such as L24H1.ov.0p_r-L28H6.ov.0p: {error}") from error
    return Hop(ray, "" if is_first or relation is None else relation)
