"""What decides an artifact's content, and so its name: one recipe for each, and what a recipe says to whoever makes it.

A recipe is plain data and says all that there is to know, besides the weights. Where rays are judged, `measure` stands for
all that their z and p hang on. Knows nothing of how anything is computed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from app.core.address import Address, BasisName, Circuit, parse
from app.core.basis import BASES
from app.core.finding.reversal import BINS, FLOOR, STEP
from app.core.judging.rays import ALPHA, BEYOND_LENGTHS, FORM_LENGTHS, HEADLINE, LENGTHS, SPELLING_LENGTHS
from app.explorer import groups
from app.explorer.layout import (
    BANK_TOKENS,
    CONTROL_DIRECTIONS,
    CONTROL_SHOWN,
    FULL_TOKENS,
    GALLERY_TOKENS,
    KEPT_TOKENS,
    MOST_NONZEROS,
    STRONGEST,
    STRONGEST_TOKENS,
    TURNED,
    WORDS_PART,
    ArtifactKind,
)
from app.explorer.library import OpenModel
from app.explorer.view import End, Processing
from app.models.selection import EVERY, Selection
from app.store.artifacts import Recipe

CONTROL_SEED = 7_245_331
"""Not one that weights are likely drawn with: the random directions of a control would be the model's own tokens."""
LEAST_TOKENS = 100
"""Trained tokens below which the top 50 are half the vocabulary: nothing is judged then."""
MEASURED = {
    "directions": CONTROL_DIRECTIONS,
    "seed": CONTROL_SEED,
    "tokens": KEPT_TOKENS,
    "first": LENGTHS[0],
    "least_tokens": LEAST_TOKENS,
    "lengths": LENGTHS,
    "headline": HEADLINE,
    "form_lengths": FORM_LENGTHS,
    "beyond_lengths": BEYOND_LENGTHS,
    "spelling_lengths": SPELLING_LENGTHS,
    "least": 20,
    "removed": 16,
    "neighbours": 20,
    "collapsed": 0.9,
    "most_bits": 8.0,
    "word": 3,
}
"""All that decides z and p of a ray, besides the weights. The last six are constants of `app.core.judging.coherence`, `collapse`
and `spelling`, said again since a page that is there must not wait for torch."""
MEASURE = int(hashlib.sha256(json.dumps(MEASURED, sort_keys=True).encode()).hexdigest()[:8], 16)
"""Stands for all of that in the recipe of whatever is judged: what another measure judged is another artifact."""
JUDGED = {"measure": MEASURE}
"""Part of every recipe of judged rays."""
READ = {**JUDGED, "tokens": KEPT_TOKENS}
"""What the recipe of a decomposition says besides its basis's parameters, of all tokens and at no distance."""

ROTATION_SEED = 0
SHADOW_SEED = 3_141_593
"""Of the random directions that a search is held against: others than a control's."""
SHADOW_SHARE = 3
"""One random direction for so many singular ones of that end."""
WORDS_REMOVED = 32
"""One principal component of the tokens is taken out for so many dimensions before a search compares them: what most of
them share tells frequent words from rare ones, and hides what they mean."""
COMPARISON_ROWS = 2_048
"""Samples that bases are compared by, drawn at random."""

GALLERY_DIRECTIONS = 8
"""Strongest directions of a matrix that the gallery looks at."""
GALLERY_FIRST = 10
"""Tokens by which a ray gets its label."""
GLITCHES = 2
"""Kept of a matrix: nothing tells one from another but its direction's size."""
FREQUENT_SHARE = 50
"""One id in fifty counts as frequent: tokenizers number their tokens from frequent to rare."""
SHORT = 2
"""Bytes of a token that is too short to say anything."""


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
    kept = {**parameters, **selection.deciding(), **READ, **_at(distance)}
    if BASES[address.basis or "svd"].has_neighbours:
        kept |= turns(model)
    return _recipe(model, "decomposition", address.path, processing, kept, address.basis or "svd")


def turns(model: OpenModel) -> dict[str, int]:
    """Part of every recipe that says how far another rounding would turn directions: of quantised copies only."""
    return {} if model.manifest.quantisation is None else {"turns": 1}


def comparison(
    model: OpenModel, address: Address, processing: Processing, fits: Mapping[BasisName, Mapping[str, int]]
) -> Recipe:
    """Of a matrix's bases side by side: those that are computed on a visit, and these fits by their parameters."""
    own = {"rows": COMPARISON_ROWS, "most": MOST_NONZEROS, "centred": 1, "numbered": 1}
    named = {f"{basis}-{name}": value for basis, fit in fits.items() for name, value in fit.items()}
    return _recipe(model, "comparison", f"{address.path}/compare", processing, {**own, **named}, "compare")


def rotation(
    model: OpenModel, address: Address, processing: Processing, distance: int = 0, selection: Selection = EVERY
) -> Recipe:
    """Of random rotations of the singular directions of the matrix at the address, read as those tokens."""
    kept = {"turned": TURNED, "seed": ROTATION_SEED, **selection.deciding(), **READ, **_at(distance)}
    return _recipe(model, "rotation", f"{address.path}/rotation", processing, kept)


def vectors(
    model: OpenModel, address: Address, processing: Processing, parameters: Mapping[str, int], distance: int = 0
) -> Recipe:
    """Of the vectors of the terms of the matrix at the address, in the basis of the address, which is no fit."""
    kept = {**parameters, **_at(distance)}
    return _recipe(model, "vectors", f"{address.path}/vectors", processing, kept, address.basis or "svd")


def layer(model: OpenModel, layer: int, processing: Processing) -> Recipe:
    """Of a layer's heads in little."""
    parameters = {"directions": STRONGEST, "tokens": STRONGEST_TOKENS, **JUDGED, **turns(model)}
    return _recipe(model, "layer", f"L{layer}/strongest", processing, parameters)


def scores(model: OpenModel, processing: Processing) -> Recipe:
    """Of the numbers behind the map."""
    return _recipe(model, "scores", "scores", processing, {})


def gallery(model: OpenModel, layer: int | None, processing: Processing) -> Recipe:
    """Of a layer's notable rays, or (None) of those of the model's ends."""
    parameters = {
        "directions": GALLERY_DIRECTIONS,
        "tokens": GALLERY_TOKENS,
        "first": GALLERY_FIRST,
        "glitches": GLITCHES,
        "frequent": FREQUENT_SHARE,
        "short": SHORT,
        "alpha": ALPHA,
        **JUDGED,
        **turns(model),
    }
    return _recipe(model, "gallery", _of_layer("notable", layer), processing, parameters)


def census_part(model: OpenModel, layer: int | None, processing: Processing) -> Recipe:
    """Of how readable the matrices of a layer are; of the model's ends for layer None."""
    parameters = {
        "draws": groups.DRAWS,
        "seed": groups.SEED,
        "heads": groups.HEADS,
        "turned": groups.TURNED,
        "principal": 1,
        **JUDGED,
    }
    return _recipe(model, "census", _of_layer("census", layer), processing, parameters)


def control(model: OpenModel, end: str, processing: Processing, selection: Selection = EVERY) -> Recipe:
    """Of what readouts with that end of the model are judged by; of no decomposition: `control` stands for a basis."""
    parameters = {**JUDGED, "shown": CONTROL_SHOWN, **selection.deciding()}
    return _recipe(model, "control", f"control/{end}", processing, parameters, "control")


def full(model: OpenModel, layer: int, head: int, token: int, processing: Processing, distance: int) -> Recipe:
    """Of the rows of one token in a head's full circuits: of no decomposition, so `full` stands where a basis would."""
    parameters = {"token": token, "tokens": FULL_TOKENS, "distance": distance}
    return _recipe(model, "full", f"L{layer}/H{head}/full", processing, parameters, "full")


def bank(
    model: OpenModel, layer: int | None, processing: Processing, basis: Literal["svd", "neuron"] = "svd"
) -> Recipe:
    """Of the vectors of a layer's matrices in that basis, or (None) of the model's ends, with the tokens of their rays."""
    parameters = {"tokens": BANK_TOKENS, **(JUDGED if basis == "svd" else {})}
    return _recipe(model, "bank", _of_layer("bank", layer), processing, parameters, basis)


def words(model: OpenModel, end: End, part: int, processing: Processing) -> Recipe:
    """Of the part-th WORDS_PART tokens at that end of the model, as a search compares them."""
    parameters = {"removed": WORDS_REMOVED, "at_once": WORDS_PART, **JUDGED}
    return _recipe(model, "words", f"words/{end}/{part}", processing, parameters)


def moments(model: OpenModel, processing: Processing) -> Recipe:
    """Of how the singular directions of the whole model lie in the stream."""
    return _recipe(model, "moments", "moments", processing, {})


def shadow(model: OpenModel, end: End, processing: Processing) -> Recipe:
    """Of random directions, read as that end's tokens."""
    parameters = {"tokens": BANK_TOKENS, "seed": SHADOW_SEED, "share": SHADOW_SHARE}
    return _recipe(model, "shadow", f"shadow/{end}", processing, parameters)


def tokens(model: OpenModel, end: End, processing: Processing) -> Recipe:
    """Of what each token's own vector at that end is, besides its unit vector."""
    return _recipe(model, "tokens", f"tokens/{end}", processing, {"removed": WORDS_REMOVED, **JUDGED})


def readings(model: OpenModel, layer: int, processing: Processing) -> Recipe:
    """Of how specifically heads read what that layer writes."""
    return _recipe(model, "readings", f"L{layer}/readings", processing, {"floor": FLOOR, "step": STEP, "bins": BINS})


def composition(model: OpenModel, processing: Processing) -> Recipe:
    """Of which head reads which other head's output."""
    return _recipe(model, "composition", "composition", processing, {})


def alike(model: OpenModel, processing: Processing) -> Recipe:
    """Of what the subspaces of all heads share."""
    return _recipe(model, "alike", "alike", processing, {})


def place_of(recipe: Recipe, slug: str) -> Address:
    """The address of what the recipe is of, in its basis, in the model that is called so."""
    path = recipe.subject
    for last in ("compare", "rotation", "vectors", "strongest", "notable", "census", "full", "bank", "readings"):
        path = path.removesuffix(f"/{last}")
    place = parse(f"{slug}/{path}")
    return replace(place, basis=recipe.basis) if recipe.basis in BASES else place


def layer_of(recipe: Recipe) -> int | None:
    """The layer that the recipe is of; None for one of the model's ends."""
    first = recipe.subject.partition("/")[0]
    return int(first[1:]) if first[1:].isdecimal() else None


def selection_of(recipe: Recipe) -> Selection:
    """Which tokens it is read as."""
    said = dict(recipe.parameters)
    return Selection(
        ascii=bool(said.get("ascii")),
        starts=bool(said.get("starts")),
        plain=bool(said.get("plain")),
        frequent=0 if recipe.kind == "gallery" else int(said.get("frequent", 0)),
        readout="cosine" if said.get("cosine") else "dot",
    )


def number_in(recipe: Recipe, name: str) -> int:
    """A parameter of the recipe; 0 where it is not said."""
    return int(dict(recipe.parameters).get(name, 0))


def parameters_of(recipe: Recipe, basis: BasisName, prefix: str = "") -> dict[str, int]:
    """Those of the basis, which stand in the recipe under names with that prefix; empty where none is said."""
    said = dict(recipe.parameters)
    names = [parameter.name for parameter in BASES[basis].parameters]
    return {name: int(said[prefix + name]) for name in names if prefix + name in said}


def _of_layer(what: str, layer: int | None) -> str:
    return what if layer is None else f"L{layer}/{what}"


def _at(distance: int) -> dict[str, int]:
    """Part of a recipe of what a distance turns; most matrices have none."""
    return {"distance": distance} if distance else {}


def _recipe(
    model: OpenModel,
    kind: ArtifactKind,
    subject: str,
    processing: Processing,
    parameters: Mapping[str, float],
    basis: str = "svd",
) -> Recipe:
    return Recipe(model.fingerprint, kind, subject, processing, basis, tuple(sorted(parameters.items())))
