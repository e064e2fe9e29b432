"""Artifacts asked for: from the store if they are there, else computed once and kept.

An order is a recipe, and what people are told while it is made. Knows no pages, and not how anything is made.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from app.core.address import Address, BasisName
from app.core.steps import Steps, within
from app.explorer import recipes
from app.explorer.compute import Priority
from app.explorer.errors import Busy, ComputationFailed, NotReady
from app.explorer.library import OpenModel
from app.explorer.making.make import Context, make
from app.explorer.pages import Processing, View
from app.explorer.resources import Resources
from app.models.selection import EVERY
from app.store.artifacts import Artifact, Recipe

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """One artifact that is wanted."""

    model: OpenModel
    recipe: Recipe
    title: str
    """What is being done, for people who wait."""
    priority: Priority = "interactive"


def matrix(model: OpenModel, address: Address, shown: View) -> Order:
    """All directions of the matrix at the address, in its basis with the view's parameters, at the view's distance."""
    address = replace(address, basis=shown.basis, index=None)
    parameters = {choice.name: choice.value for choice in shown.parameters}
    recipe = recipes.decomposition(model, address, shown.weights, parameters, shown.distance, shown.selection)
    title = f"{address.label} of {address.model} is being decomposed and read out."
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
    return [Order(model, recipes.gallery(model, layer, processing), title, "batch") for layer in layers]


def census_part(model: OpenModel, layer: int | None, processing: Processing) -> Order:
    """How readable the matrices of that layer are, or the model's ends: batch work, since it reads them all."""
    where = "The ends" if layer is None else f"L{layer}"
    title = f"{where} of {model.header.slug} {'are' if layer is None else 'is'} being read for the census."
    return Order(model, recipes.census_part(model, layer, processing), title, "batch")


def control(model: OpenModel, end: str, shown: View) -> Order:
    """What readouts with that end of the model are judged by."""
    title = f"Random directions are being read with {model.header.slug}, for comparison."
    return Order(model, recipes.control(model, end, shown.weights, shown.selection), title)


def rotation(model: OpenModel, address: Address, shown: View) -> Order:
    """What the singular directions of the matrix at the address are held against: random rotations of their span."""
    title = f"Random rotations of {address.matrix.label} of {address.model} are being read out."
    return Order(model, recipes.rotation(model, address, shown.weights, shown.distance, shown.selection), title)


def vectors_of(model: OpenModel, address: Address, shown: View) -> Order:
    """The vectors of all terms of the matrix at the address, in the view's basis, at its distance."""
    address = replace(address, basis=shown.basis, index=None)
    parameters = {choice.name: choice.value for choice in shown.parameters}
    title = f"The vectors of {address.label} of {address.model} are being taken from its weights."
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
    title = f"The bases of {address.label} of {address.model} are being compared."
    return Order(model, recipes.comparison(model, address, processing, fits), title)


def begun(r: Resources, *orders: Order) -> None:
    """Put what is missing in line and wait for none of it; Busy if the line is full, ComputationFailed if it failed."""
    for order in orders:
        if not r.store.exists(order.recipe):
            r.queue.submit(order.recipe.hash, partial(_bake, r, order), order.title, order.priority)


def fulfilled(r: Resources, *orders: Order) -> list[Artifact]:
    """The artifacts; all that are missing stand in line before any is waited for."""
    held = [r.store.load(order.recipe) for order in orders]
    jobs = {
        at: r.queue.submit(order.recipe.hash, partial(_bake, r, order), order.title, order.priority)
        for at, (order, artifact) in enumerate(zip(orders, held, strict=True))
        if artifact is None
    }
    baked = dict(zip(jobs, r.queue.results(*jobs.values()), strict=True))
    return [artifact or baked[at] for at, artifact in enumerate(held)]


def in_line(r: Resources, orders: Sequence[Order]) -> list[Artifact]:
    """All of these artifacts; NotReady until they are there, Busy, or ComputationFailed where one of them failed.

    What is missing is computed one after the other, in one place of the queue however many they are. One that fails
    holds up none behind it, and is tried again by who asks after its failure is forgotten.
    """
    held = [artifact for order in orders if (artifact := r.store.load(order.recipe))]
    if len(held) == len(orders):
        return held
    key = ("in line", *(order.recipe.hash for order in orders))
    job = r.queue.submit(key, partial(_bake_each, r, orders), orders[0].title, orders[0].priority)
    (baked,) = r.queue.results(job)
    return list(baked)


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


def _bake_each(r: Resources, orders: Sequence[Order]) -> Steps[list[Artifact]]:
    baked: list[Artifact] = []
    failure: Exception | None = None
    for done, order in enumerate(orders):
        yield done, len(orders)
        try:
            made = yield from within(done, 0, len(orders), _bake(r, order))
        except Exception as error:
            logger.exception("one of several computations failed: %s", order.title)
            failure = failure or error.with_traceback(None)  # which holds on to what the attempt had in memory
        else:
            baked.append(made)
    if failure is not None:
        raise failure
    return baked


def _bake(r: Resources, order: Order) -> Steps[Artifact]:
    # Whoever asked just before the same work ended asks for it again: look before computing.
    if artifact := r.store.load(order.recipe):
        return artifact
    arrays, facts = yield from make(order.recipe, Context(r.tables, order.model, r.store))
    return r.store.save(order.recipe, arrays, facts)
