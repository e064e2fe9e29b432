"""Orders of artifacts: loaded from the store if they are there, else computed once and stored.

An order is a recipe with a title for visitors who wait. Knows no pages, and not how anything is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from app.core.address import Address, BasisName
from app.explorer import recipes
from app.explorer.errors import Busy, ComputationFailed, NotComputedHere, NotReady
from app.explorer.library import OpenModel
from app.explorer.resources import Resources
from app.explorer.running.costs import controls_of, cost_of
from app.explorer.running.errand import Errand
from app.explorer.view import Processing, View
from app.models.token_filter import EVERY
from app.store.artifacts import Artifact, Recipe


@dataclass(frozen=True)
class Order:
    """One wanted artifact."""

    model: OpenModel
    recipe: Recipe
    title: str
    """What is being computed, for visitors who wait."""


def order_matrix(model: OpenModel, address: Address, shown: View) -> Order:
    """Order the decomposition of a matrix, in the view's basis, parameters and distance."""
    address = replace(address, basis=shown.basis, index=None)
    parameters = {choice.name: choice.value for choice in shown.parameters}
    recipe = recipes.decomposition(model, address, shown.weights, parameters, shown.distance, shown.token_filter)
    title = f"{_name_matrix(address)} {_verb_of(address)} being decomposed{_name_basis(address)} and read out."
    if shown.token_filter != EVERY:
        title += " Random directions are read in the same way first."
    return Order(model, recipe, title)


def order_layer(model: OpenModel, address: Address, processing: Processing) -> Order:
    """Order the summaries of the heads of a layer."""
    assert address.layer is not None
    title = f"The heads of {address.label} of {address.model} are being decomposed."
    return Order(model, recipes.layer(model, address.layer, processing), title)


def order_scores(model: OpenModel, processing: Processing) -> Order:
    """Order the scores of the model's map."""
    title = f"The map of {model.header.slug} is being computed, layer by layer."
    return Order(model, recipes.scores(model, processing), title)


def order_gallery(model: OpenModel, processing: Processing) -> list[Order]:
    """Order the notable rays of each layer, then those of the model's ends: batch work that reads every matrix."""
    title = f"Every matrix of {model.header.slug} is being read for its most readable directions."
    layers = (*range(model.header.n_layers), None)
    return [Order(model, recipes.gallery(model, layer, processing), title) for layer in layers]


def order_census_part(model: OpenModel, layer: int | None, processing: Processing) -> Order:
    """Order the census of a layer, or of the model's ends (None): batch work that reads all their matrices."""
    where = "The ends" if layer is None else f"L{layer}"
    title = f"{where} of {model.header.slug} {'are' if layer is None else 'is'} being read for the census."
    return Order(model, recipes.census_part(model, layer, processing), title)


def order_control(model: OpenModel, end: str, shown: View) -> Order:
    """Order the control by which readouts at one end of the model are judged."""
    title = f"Random directions are being read with {model.header.slug}, for comparison."
    return Order(model, recipes.control(model, end, shown.weights, shown.token_filter), title)


def order_rotation(model: OpenModel, address: Address, shown: View) -> Order:
    """Order random rotations of the span of a matrix's singular directions, as their control."""
    title = f"Random rotations of {_name_inside(address)} are being read out."
    return Order(model, recipes.rotation(model, address, shown.weights, shown.distance, shown.token_filter), title)


def order_vectors(model: OpenModel, address: Address, shown: View) -> Order:
    """Order the vectors of all terms of a matrix, in the view's basis and distance."""
    address = replace(address, basis=shown.basis, index=None)
    parameters = {choice.name: choice.value for choice in shown.parameters}
    title = f"The vectors of {_name_inside(address)}{_name_basis(address)} are being taken from the weights."
    return Order(model, recipes.vectors(model, address, shown.weights, parameters, shown.distance), title)


def order_full(model: OpenModel, address: Address, shown: View, token: int) -> Order:
    """Order the rows of one token in a head's full circuits, at the view's distance."""
    assert address.layer is not None
    assert address.head is not None
    title = f"The full circuits of {address.label} of {address.model} are being read out for one token."
    recipe = recipes.full(model, address.layer, address.head, token, shown.weights, shown.distance)
    return Order(model, recipe, title)


def order_comparison(
    model: OpenModel, address: Address, processing: Processing, fits: Mapping[BasisName, Mapping[str, int]]
) -> Order:
    """Order the comparison of a matrix's bases, with these fits among them."""
    title = f"The bases of {_name_inside(address)} are being compared."
    return Order(model, recipes.comparison(model, address, processing, fits), title)


def submit_missing(r: Resources, *orders: Order) -> None:
    """Queue what is missing and wait for none of it; Busy if the queue is full, ComputationFailed if it failed.

    Where visits have nothing computed, nothing is queued.
    """
    for order in orders:
        if r.computes_for_visits and not r.store.exists(order.recipe):
            _submit(r, [order])


def fulfil(r: Resources, *orders: Order) -> list[Artifact]:
    """Return the artifacts; the missing ones are queued before any is waited for, but one dear one a request."""
    held = [r.store.load(order.recipe) for order in orders]
    missing = {at: _submit(r, [orders[at]]) for at, artifact in enumerate(held) if artifact is None}
    made = dict(zip(missing, r.queue.results(*missing.values()), strict=True))
    return [artifact or made[at][0] for at, artifact in enumerate(held)]


def fulfil_in_line(r: Resources, orders: Sequence[Order]) -> list[Artifact]:
    """Return all of these artifacts; NotReady until they are there, Busy, or ComputationFailed where one failed.

    What is missing is computed one after the other, in one place of the queue. A failed one holds up none behind it,
    and is tried again for the first request after its failure is forgotten.
    """
    held = [artifact for order in orders if (artifact := r.store.load(order.recipe))]
    if len(held) == len(orders):
        return held
    return r.queue.results(_submit(r, orders))[0]


class SoFar(NamedTuple):
    """The available ones of some artifacts."""

    artifacts: list[Artifact | None]
    """None for each that is missing."""
    failure: str
    """Why one of them could not be computed, for the visitor; empty where none failed."""


def fulfil_so_far(r: Resources, orders: Sequence[Order]) -> SoFar:
    """Return those of these artifacts that are there, while the others are computed in line.

    NotReady, Busy, ComputationFailed or NotComputedHere while there are none.
    """
    try:
        return SoFar([*fulfil_in_line(r, orders)], "")
    except (NotReady, Busy, ComputationFailed, NotComputedHere) as error:
        held = [r.store.load(order.recipe) for order in orders]
        if not any(held):
            raise
        return SoFar(held, str(error) if isinstance(error, ComputationFailed) else "")


def _explain_absence(r: Resources, order: Order) -> str:
    """Explain that nobody computed it, and name what there is of the same matrix."""
    wanted = order.recipe
    said = (
        "This was not computed beforehand, and this server computes nothing for whoever opens a page: visitors share what "
        "is there."
    )
    alike = [
        one for one in r.store.recipes(wanted.fingerprint, wanted.subject) if one.kind == wanted.kind == "decomposition"
    ]
    here = sorted({f"{one.basis} in {one.processing} weights" for one in alike})
    return f"{said} Of this matrix there is {', '.join(here)}." if here else said


def _name_matrix(address: Address) -> str:
    """Name a matrix at the beginning of a sentence.

    Example: "The OV outputs of smollm2", "L5H3 OV of smollm2"
    """
    words = _name_inside(address)
    return words[0].upper() + words[1:]


def _name_inside(address: Address) -> str:
    """Name a matrix within a sentence."""
    article = "the " if address.layer is None else ""
    return f"{article}{address.matrix.in_basis(None).label} of {address.model}"


def _verb_of(address: Address) -> str:
    return "are" if address.kind in {"pos", "heads/read", "heads/write"} else "is"


def _name_basis(address: Address) -> str:
    return "" if address.basis in {None, "svd"} else f" in the basis {address.basis}"


def _submit(r: Resources, orders: Sequence[Order]) -> Errand:
    """Submit the orders to the queue, behind the controls that they need and that are missing.

    NotComputedHere where visits have nothing computed: this is the one way from a visit to the queue.
    """
    first = orders[0]
    if not r.computes_for_visits:
        missing_one = next((each for each in orders if not r.store.exists(each.recipe)), first)
        raise NotComputedHere(_explain_absence(r, missing_one))
    controls = list(dict.fromkeys(control for order in orders for control in controls_of(order.model, order.recipe)))
    missing = [control for control in controls if not r.store.exists(control)]
    cost = cost_of(first.recipe, missing)
    if cost == "cheap" and len(orders) > 1:  # many cheap orders together are dear
        cost = "dear"
    return r.queue.submit(first.model.header.slug, [order.recipe for order in orders], first.title, cost, missing)
