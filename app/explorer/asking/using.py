"""The statistics of use that a server has of a model, by the numbers that links name them by.

Reads names and headers of files, never arrays. Knows no page.
"""

from collections.abc import Mapping

from app.core.address import BasisName
from app.core.basis import BASES, STATISTICS
from app.explorer import recipes
from app.explorer.errors import NotBuilt, UnknownAddress
from app.explorer.library import OpenModel
from app.explorer.recipes import number_in
from app.explorer.view import Processing
from app.store.artifacts import ArtifactStore, Recipe


def list_statistics(store: ArtifactStore, model: OpenModel, processing: Processing) -> list[Recipe]:
    """List the recipes of the statistics that seem to be stored: those on the operator's text before those on what the
    model writes. The first are shown.
    """
    found = [
        recipe
        for recipe in store.recipes(model.fingerprint, "use")
        if recipe == recipes.use(model, processing, number_in(recipe, "text"))
    ]
    return sorted(found, key=lambda recipe: (number_in(recipe, "text") > 0, recipe.hash), reverse=True)


def list_outputs(store: ArtifactStore, model: OpenModel, processing: Processing) -> dict[int, int]:
    """List the statistics that say how outputs vary, too: the number of each, and of its text; the shown ones first."""
    texts = [number_in(recipe, "text") for recipe in list_statistics(store, model, processing)]
    return {
        recipes.number_of_statistics(model, processing, text): text
        for text in texts
        if store.exists(recipes.use_outputs(model, processing, text))
    }


def choose_statistics(
    store: ArtifactStore, model: OpenModel, processing: Processing, said: int | None
) -> tuple[int, int]:
    """Return the statistics that a link names, or those that are shown where it names none, and the shown ones. A number
    below 0 stands for a name that is none.

    NotBuilt, naming the command, where there are none; UnknownAddress, naming those that are here.
    """
    here = [*list_outputs(store, model, processing)]
    if not here:
        command = f"singular-lens statistics {model.header.slug} --weights {processing}"
        raise NotBuilt(
            f"What the heads of {model.header.slug} write on text is not known here in {processing} weights, and used is fitted "
            f"to it: {command} computes it.",
            command,
        )
    if said is not None and said not in here:
        raise UnknownAddress(
            f"{f'statistics {said}' if said >= 0 else 'Such statistics'} are not here: axes of {model.header.slug} in {processing} "
            f"weights are fitted to statistics {' or '.join(map(str, here))} on this server."
        )
    return here[0] if said is None else said, here[0]


def fill_in_statistics(
    store: ArtifactStore, model: OpenModel, basis: BasisName, processing: Processing, parameters: Mapping[str, int]
) -> dict[str, int]:
    """Fill in the statistics where a task in that basis needs some and names none: those that are shown, or those that are
    shown once they are made.
    """
    if not BASES[basis].is_of_text or STATISTICS.name in parameters:
        return dict(parameters)
    here = list_outputs(store, model, processing)
    return {**parameters, STATISTICS.name: next(iter(here), recipes.number_of_statistics(model, processing))}
