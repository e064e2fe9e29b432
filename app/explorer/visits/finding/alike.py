"""The visit to the heads most like one: an address and options in, one frozen page out.

Raises what `app.explorer.visits.browse` does. Computes nothing, and knows no HTTP.
"""

from app.core.address import Address
from app.explorer import recipes
from app.explorer.asking.places import neighbours_of
from app.explorer.asking.views import Options, resolve_view
from app.explorer.errors import NotBuilt, UnknownAddress
from app.explorer.pages.composition import AlikePage
from app.explorer.reading.finding.alike import read_alike_page
from app.explorer.reading.finding.parts import load_built
from app.explorer.resources import Resources
from app.explorer.visits.jobs import describe_unbuilt


def visit_alike(r: Resources, address: Address, options: Options) -> AlikePage:
    """Make the page of the heads whose subspaces overlap most with those of the head at the address.

    Where that was not built, the page says so.
    """
    if address.depth != "head":
        raise UnknownAddress(f"{address} has no heads like it: they are of a head, as {address.model}/L0/H0/alike.")
    opened, shown = resolve_view(r, address, options)
    try:
        artifact = load_built(r, opened, shown.weights, recipes.alike(opened, shown.weights))
    except NotBuilt as error:
        return AlikePage(
            address,
            opened.header,
            shown,
            (),
            *neighbours_of(opened.header, address),
            describe_unbuilt(r, address.model, error),
        )
    return read_alike_page(address, opened.header, shown, artifact.arrays)
