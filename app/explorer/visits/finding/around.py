"""The visit to the surroundings of a direction: the directions that it is like, that read it and that write it.

Raises what `browse` raises; where the bank is not there, the page says so. Knows no HTTP and imports no torch.
"""

from app.core.address import Address, Sign
from app.explorer.asking.views import Options, resolve_view
from app.explorer.asking.walk import read_path
from app.explorer.errors import NotBuilt, UnknownAddress
from app.explorer.library import OpenModel
from app.explorer.pages.circuitry import AroundPage, Surroundings
from app.explorer.reading.finding.around import read_surroundings
from app.explorer.reading.finding.bank import open_bank
from app.explorer.reading.finding.order import order_of
from app.explorer.reading.finding.parts import not_built_error
from app.explorer.reading.finding.readings import Pairs, open_pairs
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits.jobs import describe_unbuilt
from app.explorer.visits.using.statistics import load_statistics


def visit_around(r: Resources, address: Address, options: Options, path: str = "") -> AroundPage:
    """Make the page around a direction: of each side that is the residual stream, and so in the bank."""
    if address.depth != "direction" or address.basis not in {"svd", "neuron"}:
        raise UnknownAddress(
            f"{address} has no surroundings: they are of singular directions and neurons, as {address.model}/L0/H0/ov/svd/0/around."
        )
    opened, view = resolve_view(r, address, options)
    hops = read_path(opened, address, path)
    try:
        sides, share = _read_sides(r, opened, address, view, hops[-1].ray.sign)
    except NotBuilt as error:
        return AroundPage(address, opened.header, view, (), hops, 0.0, describe_unbuilt(r, address.model, error))
    return AroundPage(address, opened.header, view, sides, hops, share)


def _read_sides(
    r: Resources, opened: OpenModel, address: Address, view: View, sign: Sign
) -> tuple[tuple[Surroundings, ...], float]:
    """Read the surroundings of one end of each side in the bank, and the bank's share of the model."""
    bank = open_bank(r, opened, view.weights)
    found = [row for side in (0, 1) if (row := bank.find(address, side)) is not None]
    if not found:
        if bank.share < 1:
            raise not_built_error(opened, view.weights)
        raise UnknownAddress(f"{address.label} of {address.model} is not among the vectors of its bank.")
    order, pairs = order_of(opened, bank), _open_pairs_if_built(r, opened, view)
    used = load_statistics(r.store, opened, view.weights)
    stream = None if used is None else used.arrays["stream"]
    return read_surroundings(opened, bank, order, found, pairs, sign, address.pin, stream), bank.share


def _open_pairs_if_built(r: Resources, opened: OpenModel, view: View) -> Pairs | None:
    """Open the readings; None until all layers are built, since the page is useful without them."""
    try:
        return open_pairs(r, opened, view.weights)
    except NotBuilt:
        return None
