"""What decides an artifact's content, and so its name: one recipe for each kind. Knows nothing of how it is computed.

Where rays are judged, `measure` stands for all that their z and p hang on.
"""

from collections.abc import Mapping

from app.core.address import Address, Circuit
from app.core.basis import BASES
from app.explorer import tally
from app.explorer.library import OpenModel
from app.explorer.making import comparison as comparisons
from app.explorer.making import full as rows
from app.explorer.making import heads as work
from app.explorer.making import rotation as rotations
from app.explorer.making.bench import KEPT_TOKENS
from app.explorer.making.controls import MEASURE
from app.explorer.pages import Processing
from app.models.selection import EVERY, Selection
from app.store.artifacts import Recipe

JUDGED = {"measure": MEASURE}
"""Part of every recipe of judged rays."""
READ = {**JUDGED, "tokens": KEPT_TOKENS}
"""What the recipe of a decomposition says besides its basis's parameters, of all tokens and at no distance."""


def matrix(
    model: OpenModel, layer: int, head: int, circuit: Circuit, processing: Processing, distance: int = 0
) -> Recipe:
    """Of all singular directions of one head's matrix."""
    address = Address(model.header.slug, None, layer, head, circuit, "svd")
    return decomposition(model, address, processing, {}, distance)


def decomposition(
    model: OpenModel,
    address: Address,
    processing: Processing,
    parameters: Mapping[str, int],
    distance: int = 0,
    selection: Selection = EVERY,
) -> Recipe:
    """Of all terms of the matrix at the address, in the basis of the address, read as those tokens."""
    kept: dict[str, float] = {**parameters, **selection.deciding(), **READ}
    if distance:  # most matrices have none
        kept["distance"] = distance
    if BASES[address.basis or "svd"].has_neighbours:
        kept |= turns(model)
    return _recipe(model, address.path, processing, kept, address.basis or "svd")


def turns(model: OpenModel) -> dict[str, int]:
    """Part of every recipe that says how far another rounding would turn directions: of quantised copies only."""
    return {} if model.manifest.quantisation is None else {"turns": 1}


def comparison(model: OpenModel, address: Address, processing: Processing, parameters: Mapping[str, int]) -> Recipe:
    """Of a matrix's bases side by side; the parameters say which fits are among them."""
    own = {"rows": comparisons.ROWS, "most": comparisons.MOST, "centred": 1, "numbered": 1}
    return _recipe(model, f"{address.path}/compare", processing, {**own, **parameters}, "compare")


def rotation(
    model: OpenModel, address: Address, processing: Processing, distance: int = 0, selection: Selection = EVERY
) -> Recipe:
    """Of random rotations of the singular directions of the matrix at the address, read as those tokens."""
    kept: dict[str, float] = {**rotations.PARAMETERS, **selection.deciding(), **READ}
    if distance:
        kept["distance"] = distance
    return _recipe(model, f"{address.path}/rotation", processing, kept)


def vectors(
    model: OpenModel, address: Address, processing: Processing, parameters: Mapping[str, int], distance: int = 0
) -> Recipe:
    """Of the vectors of the terms of the matrix at the address, in the basis of the address, which is no fit."""
    kept: dict[str, float] = {**parameters, **({"distance": distance} if distance else {})}
    return _recipe(model, f"{address.path}/vectors", processing, kept, address.basis or "svd")


def layer(model: OpenModel, layer: int, processing: Processing) -> Recipe:
    """Of a layer's heads in little."""
    parameters = {"directions": work.STRONGEST, "tokens": work.STRONGEST_TOKENS, **JUDGED, **turns(model)}
    return _recipe(model, f"L{layer}/strongest", processing, parameters)


def scores(model: OpenModel, processing: Processing) -> Recipe:
    """Of the numbers behind the map."""
    return _recipe(model, "scores", processing, {})


def census_part(model: OpenModel, layer: int | None, processing: Processing) -> Recipe:
    """Of how readable the matrices of a layer are; of the model's ends for layer None."""
    subject = "census" if layer is None else f"L{layer}/census"
    return _recipe(model, subject, processing, {**tally.PARAMETERS, **JUDGED})


def full(model: OpenModel, layer: int, head: int, token: int, processing: Processing, distance: int) -> Recipe:
    """Of the rows of one token in a head's full circuits: of no decomposition, so `full` stands where a basis would."""
    parameters = {"token": token, "tokens": rows.KEPT_TOKENS, "distance": distance}
    return _recipe(model, f"L{layer}/H{head}/full", processing, parameters, "full")


def _recipe(
    model: OpenModel, subject: str, processing: Processing, parameters: Mapping[str, float], basis: str = "svd"
) -> Recipe:
    return Recipe(model.fingerprint, subject, processing, basis, tuple(sorted(parameters.items())))
