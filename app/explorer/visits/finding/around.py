"""What is around a direction: what it is like, what reads what it writes, what writes what it reads.

Raises what `browse` raises; where the bank is not there, the page says so. Knows no HTTP and imports no torch.
"""

from app.core.address import Address, Sign
from app.explorer.asking.views import Options, visited
from app.explorer.asking.walk import read_path
from app.explorer.errors import NotBuilt, UnknownAddress
from app.explorer.library import OpenModel
from app.explorer.pages.circuitry import AroundPage, Surroundings
from app.explorer.reading.finding.around import surroundings
from app.explorer.reading.finding.bank import open_bank
from app.explorer.reading.finding.order import order_of
from app.explorer.reading.finding.parts import not_built
from app.explorer.reading.finding.readings import Pairs, open_pairs
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits.jobs import unbuilt


def around(r: Resources, address: Address, options: Options, path: str = "") -> AroundPage:
    """Of the direction at the address, whose sides are in the bank if they are the residual stream."""
    if address.depth != "direction" or address.basis not in {"svd", "neuron"}:
        raise UnknownAddress(
            f"{address} has no surroundings: they are of singular directions and neurons, as {address.model}/L0/H0/ov/svd/0/around."
        )
    opened, view = visited(r, address, options)
    hops = read_path(opened, address, path)
    try:
        sides, share = _sides(r, opened, address, view, hops[-1].ray.sign)
    except NotBuilt as error:
        return AroundPage(address, opened.header, view, (), hops, 0.0, unbuilt(r, address.model, error))
    return AroundPage(address, opened.header, view, sides, hops, share)


def _sides(
    r: Resources, opened: OpenModel, address: Address, view: View, sign: Sign
) -> tuple[tuple[Surroundings, ...], float]:
    """Of that end of each side that is in the bank, and how much of the model that holds."""
    bank = open_bank(r, opened, view.weights)
    found = [row for side in (0, 1) if (row := bank.find(address, side)) is not None]
    if not found:
        if bank.share < 1:
            raise not_built(opened, view.weights)
        raise UnknownAddress(f"{address.label} of {address.model} is not among the vectors of its bank.")
    order, pairs = order_of(opened, bank), _pairs(r, opened, view)
    return surroundings(opened, bank, order, found, pairs, sign, address.pin), bank.share


def _pairs(r: Resources, opened: OpenModel, view: View) -> Pairs | None:
    """None until every layer has been held against the heads: the rest is there without it."""
    try:
        return open_pairs(r, opened, view.weights)
    except NotBuilt:
        return None
