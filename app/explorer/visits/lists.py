"""The visit to a list of places, which its link holds. Knows no HTTP and imports no torch."""

import re
from collections.abc import Iterator, Sequence

from app.core.address import Address, AddressError, Sign, parse
from app.explorer.asking.places import split_weights
from app.explorer.asking.views import Options, resolve_view
from app.explorer.errors import BadOption, Busy, ComputationFailed, NotComputedHere, NotReady, UnknownAddress
from app.explorer.pages.directions import Direction, DirectionPage, SideReadout, name_deed
from app.explorer.pages.lists import ListedEnd, ListedPlace, ListPage
from app.explorer.pages.matrices import FitPage, HeadPage, MatrixPage
from app.explorer.resources import Resources
from app.explorer.visits import browse
from app.store.grounds import note_now

MOST_PLACES = 50
TOKENS = 8
DIRECTIONS = 2
"""Directions that stand for a matrix."""
ENDS: tuple[Sign, Sign] = ("p", "n")
HOW = f"A list names up to {MOST_PLACES} addresses with commas between them, as smollm2/L27/H8/ov/svd/4,smollm2/L5/H3; ~raw behind one takes the weights as stored."
BEFORE_AN_ADDRESS = re.compile(r"^https?://[^/]+/")
"""What stands before an address in a link that was pasted."""


def visit_list(r: Resources, title: str, names: str) -> ListPage:
    """Make the page of a list; places that are not computed yet stand without their tokens. BadOption for too many."""
    spelt = [BEFORE_AN_ADDRESS.sub("", name) for name in re.split(r"[,\s]+", names) if name]
    if len(spelt) > MOST_PLACES:
        raise BadOption(f"These are {len(spelt)} places. {HOW}")
    places, wrong = dict[str, ListedPlace](), list[str]()
    for name in dict.fromkeys(spelt):
        try:
            one = _visit_place(r, name)
        except (AddressError, UnknownAddress, BadOption):
            wrong.append(name)
        else:
            places.setdefault(one.spelt, one)
    problem = (
        f"{', '.join(repr(name[:60]) for name in wrong)} {'is' if len(wrong) == 1 else 'are'} no place here. {HOW}"
    )
    return ListPage(title.strip(), tuple(places.values()), problem if wrong else "", tuple(wrong))


def _visit_place(r: Resources, name: str) -> ListedPlace:
    text, processing = split_weights(name)
    address = parse(text.strip("/"))
    options = Options(weights=processing)
    model, view = resolve_view(r, address, options)
    name = str(address) if view.weights == view.default_weights else f"{address}~{view.weights}"
    try:
        ends = tuple(_list_ends(_visit(r, address, options)))
    except (NotReady, Busy, NotComputedHere, ComputationFailed):
        note_now()  # it is there soon
        return ListedPlace(name, address, model.header, view, (), is_here=False)
    return ListedPlace(name, address, model.header, view, ends, is_here=True)


def _visit(r: Resources, address: Address, options: Options) -> object:
    match address.depth:
        case "direction":
            return browse.visit_direction(r, address, options)
        case "matrix" | "decomposition":
            return browse.visit_matrix(r, address, options)
        case "head":
            return browse.visit_head(r, address, options)
        case _:
            return None


def _list_ends(page: object) -> Iterator[ListedEnd]:
    match page:
        case FitPage():
            return
        case DirectionPage():
            for side in (page.left, page.right):
                yield from _ends_of(side, name_deed(side.side), ENDS)
        case HeadPage():
            for matrix, name in ((page.ov, "OV"), (page.qk, "QK")):
                yield from _first_ends(matrix.directions, f"{name} ")
        case MatrixPage():
            yield from _first_ends(page.directions, "")


def _first_ends(directions: Sequence[Direction], before: str) -> Iterator[ListedEnd]:
    for one in directions[:DIRECTIONS]:
        yield from _ends_of(one.right if one.right.plus else one.left, f"{before}{one.index}", ("p",))


def _ends_of(side: SideReadout, name: str, ends: Sequence[Sign]) -> Iterator[ListedEnd]:
    for ray in ends:
        if tokens := side.list_tokens(ray):
            yield ListedEnd(name, ray, tokens[:TOKENS], side.stands_out(ray))
