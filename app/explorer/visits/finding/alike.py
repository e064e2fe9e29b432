"""Heads like one: an address and options in, one frozen page out. Computes nothing, and knows no HTTP.

Raises what `app.explorer.visits.browse` does.
"""

from app.core.address import Address
from app.explorer import recipes
from app.explorer.asking.places import neighbours
from app.explorer.asking.views import Options, visited
from app.explorer.errors import NotBuilt, UnknownAddress
from app.explorer.pages.composition import AlikePage
from app.explorer.reading.finding.alike import alike_page
from app.explorer.reading.finding.parts import built
from app.explorer.resources import Resources
from app.explorer.visits.jobs import unbuilt


def alike(r: Resources, address: Address, options: Options) -> AlikePage:
    """The heads whose subspaces share most with those of the head at the address; a page that says so where that was not
    computed before.
    """
    if address.depth != "head":
        raise UnknownAddress(f"{address} has no heads like it: they are of a head, as {address.model}/L0/H0/alike.")
    opened, shown = visited(r, address, options)
    try:
        artifact = built(r, opened, shown.weights, recipes.alike(opened, shown.weights))
    except NotBuilt as error:
        return AlikePage(
            address, opened.header, shown, (), *neighbours(opened.header, address), unbuilt(r, address.model, error)
        )
    return alike_page(address, opened.header, shown, artifact.arrays)
