"""Artifacts asked for: from the store if they are there, else computed once and kept.

An order is a recipe, and what people are told while it is made. Knows no pages, and not how anything is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from app.core.address import Address, BasisName
from app.explorer import recipes
from app.explorer.errors import Busy, ComputationFailed, NotReady
from app.explorer.library import OpenModel
from app.explorer.resources import Resources
from app.explorer.running.costs import controls_of, cost_of
from app.explorer.running.queue import Errand
from app.explorer.view import Processing, View
from app.models.selection import EVERY
from app.store.artifacts import Artifact, Recipe


@dataclass(frozen=True)
class Order:
    """One artifact that is wanted."""

    model: OpenModel
    recipe: Recipe
    title: str
    """What is being done, for people who wait."""


def matrix(model: OpenModel, address: Address, shown: View) -> Order:
    """All directions of the matrix at the address, in its basis with the view's parameters, at the view's distance."""
    address = replace(address, basis=shown.basis, index=None)
    parameters = {choice.name: choice.value for choice in shown.parameters}
    recipe = recipes.decomposition(model, address, shown.weights, parameters, shown.distance, shown.selection)
    title = f"{_named(address)} {_are(address)} being decomposed{_in_basis(address)} and read out."
    if shown.selection != EVERY:
        title += " Random directions are read in the same way first."
    return Order(model, recipe, title)


def layer(model: OpenModel, address: Address, processing: Processing) -> Order:
    """The heads of the layer at the address in little."""
    assert address.layer is not None
    title = f"The heads of {address.label} of {address.model} are being decomposed."
    return Order(model, recipes.layer(model, address.layer, processing), title)


def scores(model: OpenModel, processing: Processing) -> Order:
    """The numbers behind the map of the model."""
    title = f"The map of {model.header.slug} is being computed, layer by layer."
    return Order(model, recipes.scores(model, processing), title)


def gallery(model: OpenModel, processing: Processing) -> list[Order]:
    """The notable rays of each layer, then those of the model's ends: batch work, since all of it reads every matrix."""
    title = f"Every matrix of {model.header.slug} is being read for its most readable directions."
    layers = (*range(model.header.n_layers), None)
    return [Order(model, recipes.gallery(model, layer, processing), title) for layer in layers]


def census_part(model: OpenModel, layer: int | None, processing: Processing) -> Order:
    """How readable the matrices of that layer are, or the model's ends: batch work, since it reads them all."""
    where = "The ends" if layer is None else f"L{layer}"
    title = f"{where} of {model.header.slug} {'are' if layer is None else 'is'} being read for the census."
    return Order(model, recipes.census_part(model, layer, processing), title)


def control(model: OpenModel, end: str, shown: View) -> Order:
    """What readouts with that end of the model are judged by."""
    title = f"Random directions are being read with {model.header.slug}, for comparison."
    return Order(model, recipes.control(model, end, shown.weights, shown.selection), title)


def rotation(model: OpenModel, address: Address, shown: View) -> Order:
    """What the singular directions of the matrix at the address are held against: random rotations of their span."""
    title = f"Random rotations of {_within(address)} are being read out."
    return Order(model, recipes.rotation(model, address, shown.weights, shown.distance, shown.selection), title)


def vectors_of(model: OpenModel, address: Address, shown: View) -> Order:
    """The vectors of all terms of the matrix at the address, in the view's basis, at its distance."""
    address = replace(address, basis=shown.basis, index=None)
    parameters = {choice.name: choice.value for choice in shown.parameters}
    title = f"The vectors of {_within(address)}{_in_basis(address)} are being taken from the weights."
    return Order(model, recipes.vectors(model, address, shown.weights, parameters, shown.distance), title)


def full(model: OpenModel, address: Address, shown: View, token: int) -> Order:
    """The rows of one token in the full circuits of the head at the address, at the view's distance."""
    assert address.layer is not None
    assert address.head is not None
    title = f"The full circuits of {address.label} of {address.model} are being read out for one token."
    recipe = recipes.full(model, address.layer, address.head, token, shown.weights, shown.distance)
    return Order(model, recipe, title)


def comparison(
    model: OpenModel, address: Address, processing: Processing, fits: Mapping[BasisName, Mapping[str, int]]
) -> Order:
    """The bases of the matrix at the address side by side, with these fits among them."""
    title = f"The bases of {_within(address)} are being compared."
    return Order(model, recipes.comparison(model, address, processing, fits), title)


def begun(r: Resources, *orders: Order) -> None:
    """Put what is missing in line and wait for none of it; Busy if the line is full, ComputationFailed if it failed."""
    for order in orders:
        if not r.store.exists(order.recipe):
            _submitted(r, [order])


def fulfilled(r: Resources, *orders: Order) -> list[Artifact]:
    """The artifacts; all that are missing stand in line before any is waited for, but one at a time of those that are dear."""
    held = [r.store.load(order.recipe) for order in orders]
    missing = {at: _submitted(r, [orders[at]]) for at, artifact in enumerate(held) if artifact is None}
    made = dict(zip(missing, r.queue.results(*missing.values()), strict=True))
    return [artifact or made[at][0] for at, artifact in enumerate(held)]


def in_line(r: Resources, orders: Sequence[Order]) -> list[Artifact]:
    """All of these artifacts; NotReady until they are there, Busy, or ComputationFailed where one of them failed.

    What is missing is computed one after the other, in one place of the queue however many they are. One that fails
    holds up none behind it, and is tried again by who asks after its failure is forgotten.
    """
    held = [artifact for order in orders if (artifact := r.store.load(order.recipe))]
    if len(held) == len(orders):
        return held
    return r.queue.results(_submitted(r, orders))[0]


class SoFar(NamedTuple):
    """What is there of some artifacts."""

    artifacts: list[Artifact | None]
    """None for each that is not."""
    failure: str
    """Why one of them could not be computed, for the visitor; empty where none failed."""


def so_far(r: Resources, orders: Sequence[Order]) -> SoFar:
    """What is there of these artifacts, while the others are computed in line.

    While none is there: NotReady, Busy, or ComputationFailed.
    """
    try:
        return SoFar([*in_line(r, orders)], "")
    except (NotReady, Busy, ComputationFailed) as error:
        held = [r.store.load(order.recipe) for order in orders]
        if not any(held):
            raise
        return SoFar(held, str(error) if isinstance(error, ComputationFailed) else "")


def _named(address: Address) -> str:
    """The matrix at the address, as a sentence begins with it.

    Example: "The OV outputs of smollm2", "L5H3 OV of smollm2"
    """
    words = _within(address)
    return words[0].upper() + words[1:]


def _within(address: Address) -> str:
    """The same within a sentence."""
    article = "the " if address.layer is None else ""
    return f"{article}{address.matrix.in_basis(None).label} of {address.model}"


def _are(address: Address) -> str:
    return "are" if address.kind in {"pos", "heads/read", "heads/write"} else "is"


def _in_basis(address: Address) -> str:
    return "" if address.basis in {None, "svd"} else f" in the basis {address.basis}"


def _submitted(r: Resources, orders: Sequence[Order]) -> Errand:
    """In line, behind what they are judged by where that is not there yet."""
    first = orders[0]
    controls = list(dict.fromkeys(control for order in orders for control in controls_of(order.model, order.recipe)))
    missing = [control for control in controls if not r.store.exists(control)]
    cost = cost_of(first.recipe, missing)
    if cost == "cheap" and len(orders) > 1:  # many cheap ones are not
        cost = "dear"
    return r.queue.submit(first.model.header.slug, [order.recipe for order in orders], first.title, cost, missing)
