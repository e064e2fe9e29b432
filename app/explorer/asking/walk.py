"""The path that a visitor walked from ray to ray, as a link spells it: `L24H1.ov.0p_r-L28H6.ov.0p`.

The rays are in their short form; before each but the first stands how the walk got there: `r-` it reads the one before,
`w-` it writes what that one reads, `l-` it is like it. Knows no page.
"""

import itertools

from app.core.address import Address, AddressError, Ray, format_short, parse_short
from app.core.finding.precedence import READERS, WRITERS, read_time, write_time
from app.explorer.asking.places import check_place
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.library import OpenModel
from app.explorer.options import LONGEST_PATH
from app.explorer.pages.directions import Hop, Relation

MOST_HOPS = 12
"""The most rays of a path; a longer walk forgets the first ones."""
SEPARATOR = "_"
RELATION_LETTERS: dict[str, Relation] = {"r": "reads", "w": "writes", "l": "like"}


def read_path(model: OpenModel, address: Address, text: str) -> tuple[Hop, ...]:
    """Read the rays of a path that leads to the address; BadOption for anything else.

    A path that ends elsewhere has been left: a new one begins here.
    """
    hops = _parse_hops(model, address, text)
    here = address if address.basis else address.in_basis("svd").direction(address.index or 0)
    if hops and hops[-1].ray.address == here:
        return hops
    return (Hop(Ray(here, "p")),)


def read_path_to_matrix(model: OpenModel, matrix: Address, text: str) -> tuple[Hop, ...]:
    """Read the path where it leads to a singular direction of that matrix; empty where it leads elsewhere, or nowhere;
    BadOption for anything else.
    """
    hops = _parse_hops(model, matrix, text)
    return hops if hops and hops[-1].ray.address.parent == matrix.in_basis("svd") else ()


def _parse_hops(model: OpenModel, address: Address, text: str) -> tuple[Hop, ...]:
    if len(text) > LONGEST_PATH:
        raise BadOption(f"path is too long: at most {LONGEST_PATH} characters.")
    hops = (
        tuple(_parse_hop(model, address, part, is_first=not n) for n, part in enumerate(text.split(SEPARATOR)))
        if text
        else ()
    )
    if len(hops) > MOST_HOPS:
        raise BadOption(f"path is too long: at most {MOST_HOPS} rays.")
    for before, hop in itertools.pairwise(hops):
        _check_relation(model, before.ray, hop)
    return hops


def _check_relation(model: OpenModel, before: Ray, hop: Hop) -> None:
    """BadOption where the hop says what cannot be: a reader that is earlier than the writer, or that reads nothing."""
    writer, reader = (before, hop.ray) if hop.relation == "reads" else (hop.ray, before)
    if hop.relation not in {"reads", "writes"}:
        return
    (written, at), (read, reads_at) = ((ray.address.kind, ray.address.layer or 0) for ray in (writer, reader))
    assert written is not None
    assert read is not None
    can_be = written in WRITERS and read in READERS
    if not can_be or write_time(written, at) > read_time(read, reads_at, model.header.n_layers):
        said = f"{format_short(reader)} cannot read what {format_short(writer)} writes"
        raise BadOption(f"path is a walk such as L24H1.ov.0p_r-L28H6.ov.0p: {said}.")


def spell_path(hops: tuple[Hop, ...]) -> str:
    """Spell the path in a link to its last ray; empty for a path that has only begun, at a + ray.

    Example: spell_path((Hop(Ray(parse("gpt2/L5/H3/ov/svd/12"), "n")),)) -> "L5H3.ov.12n"
    """
    return "" if len(hops) == 1 and hops[0].ray.sign == "p" else spell_whole_path(hops)


def spell_whole_path(hops: tuple[Hop, ...]) -> str:
    """Spell the path in a link to another page: with its last ray, whatever that is.

    Example: spell_whole_path((Hop(Ray(parse("gpt2/L5/H3/ov/svd/12"), "p")),)) -> "L5H3.ov.12p"
    """
    kept = hops[-MOST_HOPS:]
    letters = {relation: letter for letter, relation in RELATION_LETTERS.items()}
    return SEPARATOR.join(
        ("" if not n or not hop.relation else f"{letters[hop.relation]}-") + format_short(hop.ray)
        for n, hop in enumerate(kept)
    )


def extend_path(hops: tuple[Hop, ...], relation: Relation, ray: Ray) -> tuple[Hop, ...]:
    """Extend the path by one ray; if the path went through that ray, it ends there instead of making a loop."""
    names = [format_short(hop.ray) for hop in hops]
    if format_short(ray) in names:
        return hops[: names.index(format_short(ray)) + 1]
    return (*hops, Hop(ray, relation))[-MOST_HOPS:]


def _parse_hop(model: OpenModel, address: Address, part: str, *, is_first: bool) -> Hop:
    letter, dash, rest = part.partition("-")
    relation = RELATION_LETTERS.get(letter) if dash else None
    try:
        ray = parse_short(part if relation is None else rest, Address(address.model, address.pin))
        check_place(model, ray.address)
    except (AddressError, UnknownAddress) as error:
        raise BadOption(f"path is a walk such as L24H1.ov.0p_r-L28H6.ov.0p: {error}") from error
    return Hop(ray, "" if is_first or relation is None else relation)
