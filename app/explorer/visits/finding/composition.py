"""The visit to composition scores, of heads that read what others write: an address and options in, one page out.

Raises what `app.explorer.visits.browse` does. Knows no HTTP and imports no torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from app.core.address import Address
from app.explorer import recipes
from app.explorer.asking.views import Options, resolve_view
from app.explorer.errors import BadOption, NotBuilt
from app.explorer.layout import COMPOSED, Composed
from app.explorer.library import OpenModel
from app.explorer.options import LISTED, MOST_LISTED
from app.explorer.pages.composition import ComposedPair, CompositionPage
from app.explorer.reading.finding import composition as reading
from app.explorer.reading.finding.composition import HeadScores
from app.explorer.reading.finding.parts import load_built
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits.jobs import describe_unbuilt
from app.explorer.visits.using.statistics import load_statistics


@dataclass(frozen=True)
class CompositionRows:
    """Every pair of heads, for a file."""

    page: CompositionPage
    content: str
    """The hash of the scores and options that it is made from."""
    parts: Iterator[list[ComposedPair]]


def visit_composition(
    r: Resources,
    address: Address,
    options: Options,
    kind: str = "q",
    writer: int | None = None,
    reader: int | None = None,
    n: int = LISTED,
) -> CompositionPage:
    """Make the map of what queries, keys or values read, over all layers or with one layer as writer, reader or both.

    Where it was not built, the page says so.
    """
    if not 1 <= n <= MOST_LISTED:
        raise BadOption(f"n goes from 1 to {MOST_LISTED}.")
    try:
        opened, found, shown = _open_scores(r, address, options, kind, writer, reader)
    except NotBuilt as error:
        opened, shown = resolve_view(r, address, options)
        model, chosen = Address(address.model, address.pin), _check_kind(kind)
        nothing = CompositionPage(model, opened.header, shown, chosen, writer, reader, (), 0, (), (), 1, ())
        return replace(nothing, unbuilt=describe_unbuilt(r, address.model, error))
    return _add_strengths(r, opened, reading.make_composition_page(found, shown, writer, reader, n))


def _add_strengths(r: Resources, opened: OpenModel, page: CompositionPage) -> CompositionPage:
    """Add how strongly pairs compose, where the statistics of use and the map's numbers are there."""
    used = load_statistics(r.store, opened, page.view.weights)
    recipe = recipes.scores(opened, page.view.weights)
    scores = r.store.load(recipe) if used is not None and r.store.exists(recipe) else None
    if used is None or scores is None:
        return page
    norms = scores.arrays["ov-top"] * np.sqrt(scores.arrays["ov-stable-rank"])
    return reading.add_strengths(page, norms, used.arrays["stream"])


def collect_composition_rows(
    r: Resources, address: Address, options: Options, kind: str, writer: int | None, reader: int | None
) -> CompositionRows:
    """Collect every pair in order of these layers for a file; NotBuilt where the scores were not built."""
    opened, found, shown = _open_scores(r, address, options, kind, writer, reader)
    page = reading.make_composition_page(found, shown, writer, reader, 1)
    recipe = recipes.composition(opened, shown.weights)
    return CompositionRows(page, f"{recipe.hash}-{kind}-{writer}-{reader}", reading.list_pairs(found, writer, reader))


def _open_scores(
    r: Resources, address: Address, options: Options, kind: str, writer: int | None, reader: int | None
) -> tuple[OpenModel, HeadScores, View]:
    opened, shown = resolve_view(r, address, options)
    chosen = _check_kind(kind)
    n_layers = opened.header.n_layers
    for name, layer in (("writer", writer), ("reader", reader)):
        if layer is not None and not 0 <= layer < n_layers:
            raise BadOption(f"{name} is a layer: {address.model} has L0 to L{n_layers - 1}.")
    if writer is not None and reader is not None and writer >= reader:
        raise BadOption(f"L{reader} does not read what L{writer} writes: the writer's layer comes before the reader's.")
    artifact = load_built(r, opened, shown.weights, recipes.composition(opened, shown.weights))
    return opened, reading.read_scores(address, opened.header, chosen, artifact), shown


def _check_kind(kind: str) -> Composed:
    chosen: Composed | None = next((each for each in COMPOSED if each == kind), None)
    if chosen is None:
        raise BadOption(f"kind must be one of {', '.join(COMPOSED)}: what reads by queries, by keys, by values.")
    return chosen
