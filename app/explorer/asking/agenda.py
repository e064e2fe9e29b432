"""What is computed of a model before anyone asks, one task after the other, and whether it is there.

First what its pages open with, then one fit of each kind of its embedding, so that no tab of it is a dead end; or what it is
searched by alone. Looks at names of files only; imports no torch.
"""

from collections.abc import Iterator

from app.core.address import BasisName
from app.core.basis import BASES
from app.explorer import bank, recipes
from app.explorer.asking.tasks import targets, wish
from app.explorer.library import OpenModel
from app.explorer.view import Processing
from app.store.artifacts import ArtifactStore, Recipe
from app.store.jobs import Task

FIRST: tuple[BasisName, ...] = ("pca", "frequency", "nmf", "dictionary", "ica")
"""Bases of the embedding, the quick ones before those that take minutes."""


def agenda(model: OpenModel, default: Processing) -> list[Task]:
    """Every matrix in singular directions and the bank of them, then the embedding in its other bases."""
    fits = [name for name in FIRST if "embed" in BASES[name].kinds]
    return [
        wish(model, default).task,
        *(wish(model, default, matrices="embed", basis=name).task for name in fits),
    ]


def bank_alone(model: OpenModel, default: Processing) -> list[Task]:
    """What searches, token pages, readers and writers rest on, and no more."""
    return [wish(model, default, matrices=bank.WORD).task]


def is_done(store: ArtifactStore, model: OpenModel, task: Task) -> bool:
    """Whether nothing of the task is left to be computed."""
    return all(map(store.exists, _recipes(model, task)))


def fills_gallery(model: OpenModel, task: Task, processing: Processing) -> bool:
    """Whether the task brings the notable rays of every layer."""
    every = {*wish(model, processing).task.matrices} - {bank.WORD}
    return task.basis == "svd" and processing in task.processings and every <= set(task.matrices)


def _recipes(model: OpenModel, task: Task) -> Iterator[Recipe]:
    """Of all that the task leaves."""
    for processing in task.processings:
        for place in targets(model, task.matrices, task.basis, processing):
            yield recipes.decomposition(model, place, processing, dict(task.parameters))
        if fills_gallery(model, task, processing):
            yield recipes.scores(model, processing)
            for layer in (*range(model.header.n_layers), None):
                yield recipes.gallery(model, layer, processing)
                yield recipes.census_part(model, layer, processing)
        if bank.WORD in task.matrices:
            yield from bank.parts_of(model, processing)
