"""What decides an artifact's content, and so its name: one recipe for each kind. Knows nothing of how it is computed."""

from app.core.address import Circuit
from app.explorer import notable, work
from app.explorer.library import OpenModel
from app.explorer.pages import Processing
from app.store.artifacts import Recipe


def matrix(
    model: OpenModel, layer: int, head: int, circuit: Circuit, processing: Processing, distance: int = 0
) -> Recipe:
    """Of all directions of one matrix."""
    parameters = {"tokens": work.KEPT_TOKENS}
    if distance:  # left out at 0, so that what was computed before there were distances keeps its name
        parameters["distance"] = distance
    return _recipe(model, f"L{layer}/H{head}/{circuit}", processing, **parameters)


def layer(model: OpenModel, layer: int, processing: Processing) -> Recipe:
    """Of a layer's heads in little."""
    parameters = {"directions": work.STRONGEST, "tokens": work.STRONGEST_TOKENS}
    return _recipe(model, f"L{layer}/strongest", processing, **parameters)


def scores(model: OpenModel, processing: Processing) -> Recipe:
    """Of the numbers behind the map."""
    return _recipe(model, "scores", processing)


def gallery(model: OpenModel, processing: Processing) -> Recipe:
    """Of the notable rays."""
    return _recipe(model, "notable", processing, **notable.PARAMETERS)


def _recipe(model: OpenModel, subject: str, processing: Processing, **parameters: float) -> Recipe:
    return Recipe(model.fingerprint, subject, processing, "svd", tuple(sorted(parameters.items())))
