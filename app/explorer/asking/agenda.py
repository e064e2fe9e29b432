"""The agenda of a model: the tasks that are computed before anyone asks, in order, and whether each is done.

The first tasks are what the model's pages open with, then one fit of each kind of its embedding, so that no tab of it
is a dead end; or the bank alone. Looks at names of files only; imports no torch.
"""

from collections.abc import Iterator

from app.core.address import BasisName
from app.core.basis import BASES
from app.explorer import bank, recipes
from app.explorer.asking.streams import check_streams, list_recipes, spell_map
from app.explorer.asking.tasks import list_vectors, read_wish, target_matrices
from app.explorer.asking.using import fill_in_statistics
from app.explorer.layout import UNLIKELY_WORD, USE_WORD, VECTORS_WORD
from app.explorer.library import OpenModel
from app.explorer.view import Processing
from app.store.artifacts import ArtifactStore, Recipe
from app.store.jobs import Task

FIRST_BASES: tuple[BasisName, ...] = ("pca", "frequency", "nmf", "dictionary", "ica")
"""Bases of the embedding, the quick ones before those that take minutes."""

MOST_VECTORS_IN_ALL = 2 * 2**30
"""Bytes of all vectors of a model that are computed though nobody has asked for them yet."""


def list_tasks(model: OpenModel, default: Processing) -> list[Task]:
    """List the tasks of a model: every matrix in singular directions and the bank, then the embedding in its other
    bases.
    """
    fits = [name for name in FIRST_BASES if "embed" in BASES[name].kinds]
    return [
        read_wish(model, default).task,
        *(read_wish(model, default, matrices="embed", basis=name).task for name in fits),
    ]


def bank_task(model: OpenModel, default: Processing) -> list[Task]:
    """Return the task of the bank alone, on which searches, token pages, readers and writers rest."""
    return [read_wish(model, default, matrices=bank.BANK_WORD).task]


def use_task(model: OpenModel, default: Processing) -> list[Task]:
    """Return the task of the statistics of use; none for a model that cannot be run on text of its own."""
    if not model.header.runs or model.vocabulary.start is None:
        return []
    return [read_wish(model, default, matrices=USE_WORD).task]


def streams_task(model: OpenModel, default: Processing) -> list[Task]:
    """Return the task of what is told of the streams of the same text: their map from first to last, and unlikely tokens."""
    if not use_task(model, default):
        return []
    words = (spell_map(*check_streams(model, None, None)), UNLIKELY_WORD)
    return [read_wish(model, default, matrices=",".join(words)).task]


def axes_task(model: OpenModel, default: Processing) -> list[Task]:
    """Return the task of the axes that heads' outputs vary along, which follows that of the statistics."""
    return [read_wish(model, default, matrices="ov", basis="used").task] if use_task(model, default) else []


def public_tasks(model: OpenModel, default: Processing) -> list[Task]:
    """Return the tasks of what pages lead to that takes a moment where visits compute: neurons, and every matrix's vectors.

    Vectors are left where those of all matrices take more than MOST_VECTORS_IN_ALL bytes.
    """
    kinds = ",".join(model.header.layer_kinds)
    neurons = [read_wish(model, default, matrices=kinds, basis="neuron").task] if kinds else []
    of_vectors = read_wish(model, default, matrices=VECTORS_WORD).task
    size = sum(size for processing in of_vectors.processings for _, size in list_vectors(model, processing))
    return [*neurons, of_vectors] if size <= MOST_VECTORS_IN_ALL else neurons


def is_done(store: ArtifactStore, model: OpenModel, task: Task) -> bool:
    """Return whether nothing of the task is left to be computed."""
    return all(map(store.exists, _task_recipes(store, model, task)))


def fills_gallery(model: OpenModel, task: Task, processing: Processing) -> bool:
    """Return whether the task computes the notable rays of every layer."""
    every = {*read_wish(model, processing).task.matrices} - {bank.BANK_WORD}
    return task.basis == "svd" and processing in task.processings and every <= set(task.matrices)


def _task_recipes(store: ArtifactStore, model: OpenModel, task: Task) -> Iterator[Recipe]:
    """Return the recipes of everything that the task computes."""
    for processing in task.processings:
        parameters = fill_in_statistics(store, model, task.basis, processing, dict(task.parameters))
        for place in target_matrices(model, task.matrices, task.basis, processing):
            yield recipes.decomposition(model, place, processing, parameters)
        if fills_gallery(model, task, processing):
            yield recipes.scores(model, processing)
            for layer in (*range(model.header.n_layers), None):
                yield recipes.gallery(model, layer, processing)
                yield recipes.census_part(model, layer, processing)
        if bank.BANK_WORD in task.matrices:
            yield from bank.parts_of(model, processing)
        if VECTORS_WORD in task.matrices:
            yield from (recipe for recipe, _ in list_vectors(model, processing))
        if USE_WORD in task.matrices:
            yield from recipes.use_wholes(model, processing)
        for word in task.matrices:
            yield from list_recipes(store, model, processing, word)
