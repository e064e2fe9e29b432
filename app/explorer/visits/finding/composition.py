"""Which heads of a model read what which others write: an address and options in, one frozen page out.

Raises what `app.explorer.visits.browse` does. Knows no HTTP and imports no torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.core.address import Address
from app.explorer import recipes
from app.explorer.asking.views import Options, visited
from app.explorer.errors import BadOption, NotBuilt
from app.explorer.layout import COMPOSED, Composed
from app.explorer.library import OpenModel
from app.explorer.options import LISTED, MOST_LISTED
from app.explorer.pages.composition import CompositionPage, HeadPair
from app.explorer.reading.finding import composition as reading
from app.explorer.reading.finding.composition import HeadScores
from app.explorer.reading.finding.parts import built
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits.jobs import unbuilt


@dataclass(frozen=True)
class CompositionRows:
    """Every pair, for a file."""

    page: CompositionPage
    content: str
    """The hash of what it is made from."""
    parts: Iterator[list[HeadPair]]


def composition(
    r: Resources,
    address: Address,
    options: Options,
    kind: str = "q",
    writer: int | None = None,
    reader: int | None = None,
    n: int = LISTED,
) -> CompositionPage:
    """The map of what queries, keys or values read, of all layers or of one layer as writer, as reader, or both.

    Where it was not computed before, a page that says so.
    """
    if not 1 <= n <= MOST_LISTED:
        raise BadOption(f"n goes from 1 to {MOST_LISTED}.")
    try:
        _, found, shown = _scores(r, address, options, kind, writer, reader)
    except NotBuilt as error:
        opened, shown = visited(r, address, options)
        model, chosen = Address(address.model, address.pin), _chosen(kind)
        nothing = CompositionPage(model, opened.header, shown, chosen, writer, reader, (), 0, (), (), 1, ())
        return replace(nothing, unbuilt=unbuilt(r, address.model, error))
    return reading.composition_page(found, shown, writer, reader, n)


def composition_rows(
    r: Resources, address: Address, options: Options, kind: str, writer: int | None, reader: int | None
) -> CompositionRows:
    """Every pair in order, of those layers; NotBuilt where they were not computed before."""
    opened, found, shown = _scores(r, address, options, kind, writer, reader)
    page = reading.composition_page(found, shown, writer, reader, 1)
    recipe = recipes.composition(opened, shown.weights)
    return CompositionRows(page, f"{recipe.hash}-{kind}-{writer}-{reader}", reading.rows(found, writer, reader))


def _scores(
    r: Resources, address: Address, options: Options, kind: str, writer: int | None, reader: int | None
) -> tuple[OpenModel, HeadScores, View]:
    opened, shown = visited(r, address, options)
    chosen = _chosen(kind)
    n_layers = opened.header.n_layers
    for name, layer in (("writer", writer), ("reader", reader)):
        if layer is not None and not 0 <= layer < n_layers:
            raise BadOption(f"{name} is a layer: {address.model} has L0 to L{n_layers - 1}.")
    if writer is not None and reader is not None and writer >= reader:
        raise BadOption(f"L{reader} does not read what L{writer} writes: the writer's layer comes before the reader's.")
    artifact = built(r, opened, shown.weights, recipes.composition(opened, shown.weights))
    return opened, reading.scores(address, opened.header, chosen, artifact), shown


def _chosen(kind: str) -> Composed:
    chosen: Composed | None = next((each for each in COMPOSED if each == kind), None)
    if chosen is None:
        raise BadOption(f"kind must be one of {', '.join(COMPOSED)}: what reads by queries, by keys, by values.")
    return chosen
