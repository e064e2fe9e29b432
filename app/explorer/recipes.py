"""The recipes of artifacts: everything that decides an artifact's content, and so its name.

A recipe is plain data and, besides the weights, determines the artifact. Where rays are judged, `measure` stands for
everything that their z and p depend on. Knows no computation.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, cast

from app.core.address import Address, BasisName, Circuit, parse
from app.core.basis import BASES
from app.core.finding.reversal import BINS, FLOOR, STEP
from app.core.judging.rays import ALPHA, BEYOND_LENGTHS, FORM_LENGTHS, HEADLINE, LENGTHS, SPELLING_LENGTHS
from app.explorer import groups
from app.explorer.changes import STEPS, Change, HeadEdit, write_change, write_edits, write_others
from app.explorer.layout import (
    BANK_TOKENS,
    CONTROL_DIRECTIONS,
    CONTROL_SHOWN,
    CURVE_AMOUNTS,
    FULL_TOKENS,
    GALLERY_TOKENS,
    KEPT_TOKENS,
    LINEAR_BLOCKS,
    MOST_NONZEROS,
    OVERLAPPED,
    ROTATED_VECTORS,
    SET_TOKENS,
    SIGN_DRAWS,
    STRONGEST_DIRECTIONS,
    STRONGEST_TOKENS,
    STUDIED,
    STUDIED_RANKS,
    UNLIKELY_POSITIONS,
    UNLIKELY_TOKENS,
    USE_PARTS,
    USE_TOKENS,
    USE_WINDOWS,
    WORDS_PART,
    ArtifactKind,
    PromptKind,
)
from app.explorer.library import OpenModel
from app.explorer.view import End, Processing
from app.models.token_filter import EVERY, TokenFilter
from app.store.artifacts import Recipe

CONTROL_SEED = 7_245_331
"""The seed of a control's random directions; a common seed might draw the model's own initial tokens."""
MIN_TOKENS = 100
"""Trained tokens below which the top 50 are half the vocabulary, so that nothing is judged."""
MEASURED = {
    "directions": CONTROL_DIRECTIONS,
    "seed": CONTROL_SEED,
    "tokens": KEPT_TOKENS,
    "first": LENGTHS[0],
    "least_tokens": MIN_TOKENS,
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
"""Everything that decides z and p of a ray, besides the weights. The last six are constants of
`app.core.judging.coherence`, `collapse` and `spelling`, repeated here since a page that is stored must not wait for
torch."""
MEASURE = int(hashlib.sha256(json.dumps(MEASURED, sort_keys=True).encode()).hexdigest()[:8], 16)
"""A hash of MEASURED for the recipes of whatever is judged: another measure makes another artifact."""
JUDGED_PARAMETERS = {"measure": MEASURE}
"""The part of a recipe that says how rays are judged."""
READOUT_PARAMETERS = {**JUDGED_PARAMETERS, "tokens": KEPT_TOKENS}
"""The part of a decomposition's recipe besides its basis's parameters, for all tokens and at no distance."""

ROTATION_SEED = 0
REMOVAL_SEED = 0
"""The seed of the random directions that those of a prompt are compared with."""
CHANGE_SEED = 0
"""The seed of the random directions that a change is compared with."""
SPLIT_SEED = 0
"""The seed of the random bases that a split of an attention score is compared with."""
LINEAR_SEED = 0
"""The seed of the random directions beside the bases of a linear map."""
UNLIKELY_SEED = 0
"""The seed of the positions at which unlikely tokens are chosen, and of as frequent ones."""
USE_SEED = 0
"""The seed of the text that a model writes by itself."""
SHADOW_SEED = 3_141_593
"""The seed of the random directions that a search is compared with: others than a control's."""
SHADOW_SHARE = 3
"""The number of singular directions of an end for each random one."""
WORDS_REMOVED = 32
"""Dimensions for each principal component of the tokens that is removed before a search compares them: most tokens
share these components, which tell frequent words from rare ones and hide what they mean."""
COMPARISON_ROWS = 2_048
"""Samples by which bases are compared, drawn at random."""

GALLERY_DIRECTIONS = 8
"""The strongest directions of a matrix that the gallery considers."""
GALLERY_FIRST = 10
"""Tokens that decide the label of a ray."""
GLITCHES = 2
"""Glitches stored for each matrix: nothing tells one from another but its direction's size."""
FREQUENT_SHARE = 50
"""One id in this many counts as frequent: tokenizers number their tokens from frequent to rare."""
SHORT_BYTES = 2
"""Bytes of a token that is too short to say anything."""


def matrix(
    model: OpenModel, layer: int, head: int, circuit: Circuit, processing: Processing, distance: int = 0
) -> Recipe:
    """Return the recipe of all singular directions of one head's matrix."""
    address = Address(model.header.slug, None, layer, head, circuit, "svd")
    return decomposition(model, address, processing, {}, distance)


def decomposition(
    model: OpenModel,
    address: Address,
    processing: Processing,
    parameters: Mapping[str, int],
    distance: int = 0,
    token_filter: TokenFilter = EVERY,
) -> Recipe:
    """Return the recipe of all terms of the matrix at the address, in the basis of the address, read as those tokens."""
    kept = {**parameters, **token_filter.recipe_parameters(), **READOUT_PARAMETERS, **_distance_part(distance)}
    if BASES[address.basis or "svd"].has_neighbours:
        kept |= turn_parameters(model)
    return _build_recipe(model, "decomposition", address.path, processing, kept, address.basis or "svd")


def turn_parameters(model: OpenModel) -> dict[str, int]:
    """Return the part of a recipe that says that directions are measured for how far rounding rotates them; only
    quantised copies have it.
    """
    return {} if model.manifest.quantisation is None else {"turns": 1}


def comparison(
    model: OpenModel, address: Address, processing: Processing, fits: Mapping[BasisName, Mapping[str, int]]
) -> Recipe:
    """Return the recipe of a matrix's bases side by side: those computed on a visit, and these fits by their
    parameters.
    """
    own = {"rows": COMPARISON_ROWS, "most": MOST_NONZEROS, "centred": 1, "numbered": 1, "spanned": 1}
    named = {f"{basis}-{name}": value for basis, fit in fits.items() for name, value in fit.items()}
    return _build_recipe(model, "comparison", f"{address.path}/compare", processing, {**own, **named}, "compare")


def rotation(
    model: OpenModel, address: Address, processing: Processing, distance: int = 0, token_filter: TokenFilter = EVERY
) -> Recipe:
    """Return the recipe of random rotations of the singular directions of the matrix at the address, read as those
    tokens.
    """
    kept = {
        "turned": ROTATED_VECTORS,
        "seed": ROTATION_SEED,
        **token_filter.recipe_parameters(),
        **READOUT_PARAMETERS,
        **_distance_part(distance),
    }
    return _build_recipe(model, "rotation", f"{address.path}/rotation", processing, kept)


def vectors(
    model: OpenModel, address: Address, processing: Processing, parameters: Mapping[str, int], distance: int = 0
) -> Recipe:
    """Return the recipe of the vectors of the terms of the matrix at the address, in its basis, which is no fit."""
    kept = {**parameters, **_distance_part(distance)}
    return _build_recipe(model, "vectors", f"{address.path}/vectors", processing, kept, address.basis or "svd")


def layer(model: OpenModel, layer: int, processing: Processing) -> Recipe:
    """Return the recipe of the summary of a layer's heads."""
    parameters = {
        "directions": STRONGEST_DIRECTIONS,
        "tokens": STRONGEST_TOKENS,
        **JUDGED_PARAMETERS,
        **turn_parameters(model),
    }
    return _build_recipe(model, "layer", f"L{layer}/strongest", processing, parameters)


def scores(model: OpenModel, processing: Processing) -> Recipe:
    """Return the recipe of the numbers on the map."""
    return _build_recipe(model, "scores", "scores", processing, {})


def gallery(model: OpenModel, layer: int | None, processing: Processing) -> Recipe:
    """Return the recipe of a layer's notable rays, or (None) of those of the model's ends."""
    parameters = {
        "directions": GALLERY_DIRECTIONS,
        "tokens": GALLERY_TOKENS,
        "first": GALLERY_FIRST,
        "glitches": GLITCHES,
        "frequent": FREQUENT_SHARE,
        "short": SHORT_BYTES,
        "alpha": ALPHA,
        **JUDGED_PARAMETERS,
        **turn_parameters(model),
    }
    return _build_recipe(model, "gallery", _layer_subject("notable", layer), processing, parameters)


def census_part(model: OpenModel, layer: int | None, processing: Processing) -> Recipe:
    """Return the recipe of how readable the matrices of a layer are, or (None) those of the model's ends."""
    parameters = {
        "draws": groups.DRAWS,
        "seed": groups.SEED,
        "heads": groups.SPAN_HEADS,
        "turned": groups.SPAN_VECTORS,
        "principal": 1,
        **JUDGED_PARAMETERS,
    }
    return _build_recipe(model, "census", _layer_subject("census", layer), processing, parameters)


def census_of_axes(model: OpenModel, layer: int, processing: Processing, statistics: int) -> Recipe:
    """Return the recipe of how readable the output axes of a layer's heads are, fitted to those statistics."""
    parameters = {"statistics": statistics, **JUDGED_PARAMETERS}
    return _build_recipe(model, "census", _layer_subject("census", layer), processing, parameters, "used")


def control(model: OpenModel, end: str, processing: Processing, token_filter: TokenFilter = EVERY) -> Recipe:
    """Return the recipe of the random directions by which readouts with that end are judged; `control` stands for a
    basis.
    """
    parameters = {**JUDGED_PARAMETERS, "shown": CONTROL_SHOWN, **token_filter.recipe_parameters()}
    return _build_recipe(model, "control", f"control/{end}", processing, parameters, "control")


def full(model: OpenModel, layer: int, head: int, token: int, processing: Processing, distance: int) -> Recipe:
    """Return the recipe of one token's rows of a head's full circuits; `full` stands for a basis."""
    parameters = {"token": token, "tokens": FULL_TOKENS, "distance": distance}
    return _build_recipe(model, "full", f"L{layer}/H{head}/full", processing, parameters, "full")


def bank(
    model: OpenModel, layer: int | None, processing: Processing, basis: Literal["svd", "neuron"] = "svd"
) -> Recipe:
    """Return the recipe of the vectors of a layer's matrices in that basis, or (None) of the model's ends, with their
    rays' tokens.
    """
    parameters = {"tokens": BANK_TOKENS, **(JUDGED_PARAMETERS if basis == "svd" else {})}
    return _build_recipe(model, "bank", _layer_subject("bank", layer), processing, parameters, basis)


def words(model: OpenModel, end: End, part: int, processing: Processing) -> Recipe:
    """Return the recipe of the part-th WORDS_PART tokens at that end of the model, as a search compares them."""
    parameters = {"removed": WORDS_REMOVED, "at_once": WORDS_PART, **JUDGED_PARAMETERS}
    return _build_recipe(model, "words", f"words/{end}/{part}", processing, parameters)


def moments(model: OpenModel, processing: Processing) -> Recipe:
    """Return the recipe of how the singular directions of the whole model lie in the stream."""
    return _build_recipe(model, "moments", "moments", processing, {})


def shadow(model: OpenModel, end: End, processing: Processing) -> Recipe:
    """Return the recipe of random directions, read as that end's tokens."""
    parameters = {"tokens": BANK_TOKENS, "seed": SHADOW_SEED, "share": SHADOW_SHARE}
    return _build_recipe(model, "shadow", f"shadow/{end}", processing, parameters)


def tokens(model: OpenModel, end: End, processing: Processing) -> Recipe:
    """Return the recipe of each token's own vector at that end, besides its unit vector."""
    return _build_recipe(model, "tokens", f"tokens/{end}", processing, {"removed": WORDS_REMOVED, **JUDGED_PARAMETERS})


def readings(model: OpenModel, layer: int, processing: Processing) -> Recipe:
    """Return the recipe of how specifically heads read what that layer writes."""
    return _build_recipe(
        model, "readings", f"L{layer}/readings", processing, {"floor": FLOOR, "step": STEP, "bins": BINS}
    )


def composition(model: OpenModel, processing: Processing) -> Recipe:
    """Return the recipe of which head reads which other head's output."""
    return _build_recipe(model, "composition", "composition", processing, {})


def alike(model: OpenModel, processing: Processing) -> Recipe:
    """Return the recipe of what the subspaces of all heads share."""
    return _build_recipe(model, "alike", "alike", processing, {})


def use(model: OpenModel, processing: Processing, text: int = 0) -> Recipe:
    """Return the recipe of what the directions of all heads do on a text of the operator's, by its number; 0: on text that
    the model writes.
    """
    return _build_recipe(model, "use", "use", processing, _text_parameters(text))


def use_outputs(model: OpenModel, processing: Processing, text: int = 0) -> Recipe:
    """Return the recipe of how what each head writes varies on that text."""
    return _build_recipe(model, "use-outputs", "use/outputs", processing, _text_parameters(text))


def use_streams(model: OpenModel, processing: Processing, text: int = 0) -> Recipe:
    """Return the recipe of the mean of the stream on that text, the same in all weights."""
    return _build_recipe(model, "use-streams", "use/streams", processing, {**_text_parameters(text), "sinks": 0})


def number_of_statistics(model: OpenModel, processing: Processing, text: int = 0) -> int:
    """Return the number that names the statistics of that text in recipes and links: their recipe's, so it is known before
    they are made. Never 0.
    """
    return int(use(model, processing, text).hash[:8], 16) or 1


def use_wholes(model: OpenModel, processing: Processing, text: int = 0) -> list[Recipe]:
    """Return the recipes of all that is made from the parts of the statistics."""
    return [of(model, processing, text) for of in (use, use_outputs, use_streams)]


def linear(
    model: OpenModel, processing: Processing, start: int, end: int, text: int, nmf: Mapping[str, int] | None
) -> Recipe:
    """Return the recipe of the linear map from one stream to another on that text; `nmf`: a fit of the embedding, whose
    atoms are scored, too.
    """
    fit = {f"nmf-{name}": value for name, value in (nmf or {}).items()}
    own = {"from": start, "to": end, "random": LINEAR_SEED, "blocks": LINEAR_BLOCKS, **fit}
    return _build_recipe(model, "linear", "linear", processing, {**_text_parameters(text), **own})


def unlikely(model: OpenModel, processing: Processing, text: int) -> Recipe:
    """Return the recipe of what the streams of that text hold of the least likely tokens' vectors."""
    own = {"positions": UNLIKELY_POSITIONS, "least": UNLIKELY_TOKENS, "chosen": UNLIKELY_SEED, "by_window": 1}
    return _build_recipe(model, "unlikely", "unlikely", processing, {**_text_parameters(text), **own})


def use_text(model: OpenModel, text: int) -> Recipe:
    """Return the recipe of a text of the operator's, which nothing can make again."""
    return _build_recipe(model, "use-text", "use/text", "raw", {"text": text})


def use_parts(model: OpenModel, processing: Processing, text: int) -> list[Recipe]:
    """Return the recipes of the parts that the statistics are made from."""
    parameters = [
        {**_text_parameters(text), "part": part, "parts": USE_PARTS, "streams": 1} for part in range(USE_PARTS)
    ]
    return [_build_recipe(model, "use-part", "use/part", processing, each) for each in parameters]


def number_of_text(ids: bytes) -> int:
    """Return the number of a text by its token ids, never 0."""
    return int(hashlib.sha256(ids).hexdigest()[:8], 16) or 1


def prompt(
    model: OpenModel, key: str, processing: Processing, at: int, token: int | None, against: int | None
) -> Recipe:
    """Return the recipe of what speaks for a token at a position of a prompt; None for the token: the likeliest one there.

    `against`: another token that it is compared with, in the place of all.
    """
    return _build_recipe(model, "prompt", f"p/{key}/prompt", processing, _spot_parameters(at, token, against))


def neurons(
    model: OpenModel, key: str, processing: Processing, at: int, token: int | None, against: int | None
) -> Recipe:
    """Return the recipe of the neurons that say most about a token at a position of a prompt; else as `prompt`."""
    return _build_recipe(model, "neurons", f"p/{key}/neurons", processing, _spot_parameters(at, token, against))


def removals(
    model: OpenModel,
    key: str,
    processing: Processing,
    at: int,
    token: int,
    against: int | None,
    directions: Sequence[Address],
    draws: int,
) -> Recipe:
    """Return the recipe of what becomes of a token at a position without each of these directions of heads' OV there."""
    shape = model.manifest
    numbers = {
        f"direction-{n}": ((one.layer or 0) * shape.n_heads + (one.head or 0)) * shape.d_head + (one.index or 0)
        for n, one in enumerate(directions)
    }
    parameters = {**_spot_parameters(at, token, against), "draws": draws, "seed": REMOVAL_SEED, **numbers}
    return _build_recipe(model, "removals", f"p/{key}/removals", processing, parameters)


def course(model: OpenModel, key: str, processing: Processing, direction: Address) -> Recipe:
    """Return the recipe of what a direction of a head's OV does at every position of a prompt."""
    parameters = {"layer": direction.layer or 0, "head": direction.head or 0, "index": direction.index or 0}
    return _build_recipe(model, "course", f"p/{key}/course", processing, parameters)


def attention(model: OpenModel, key: str, processing: Processing, head: Address, to: int, source: int | None) -> Recipe:
    """Return the recipe of why a head looks from a position of a prompt at another; None: at the one it looks at most."""
    where = {"layer": head.layer or 0, "head": head.head or 0, "to": to, "from": -1 if source is None else source}
    return _build_recipe(model, "attention", f"p/{key}/attention", processing, {**where, "seed": SPLIT_SEED})


def pairs(model: OpenModel, key: str, processing: Processing, head: Address, distance: int) -> Recipe:
    """Return the recipe of what the directions of a head's QK add to the scores of a prompt's pairs at a distance.

    Where positions rotate nothing, of all pairs.
    """
    where = {"layer": head.layer or 0, "head": head.head or 0, "distance": distance}
    return _build_recipe(model, "pairs", f"p/{key}/pairs", processing, where)


def lens(model: OpenModel, key: str, streams: Recipe | None, *, shifted: bool) -> Recipe:
    """Return the recipe of what the stream says at every layer of a prompt.

    `streams`: the recipe of its mean on a reference text, None where there is none; `shifted`: the stream is read with what
    its mean still lacks.
    """
    return _build_recipe(model, "lens", f"p/{key}/lens", "raw", {"shifted": int(shifted), **_name_streams(streams)})


def spans(
    model: OpenModel,
    key: str,
    processing: Processing,
    basis: BasisName,
    fit: Mapping[str, int],
    streams: Recipe | None,
    *,
    shifted: bool,
) -> Recipe:
    """Return the recipe of how much of a prompt's stream lies in the first terms of a basis of the embedding; else as `lens`."""
    kept = {"shifted": int(shifted), **_name_streams(streams), **fit}
    return _build_recipe(model, "spans", f"p/{key}/spans", processing, kept, basis)


def outcome(
    model: OpenModel,
    key: str,
    processing: Processing,
    at: int,
    change: Change,
    named: Sequence[int],
    statistics: Recipe | None,
    draws: int,
) -> Recipe:
    """Return the recipe of what the model says at a position of a prompt where it is changed.

    `named`: ids of further tokens whose chances are told; `statistics`: the recipe of those that a change needs, None where it
    needs none, or there are none; `draws`: random changes beside it.
    """
    own = {"at": at, "draws": draws, "seed": CHANGE_SEED, "set": SET_TOKENS}
    asked = {f"named-{n}": id_ for n, id_ in enumerate(named)}
    said = own | asked | _name_statistics(statistics) | write_change(change)
    return _build_recipe(model, "outcome", f"p/{key}/outcome", processing, said)


def histories(model: OpenModel, key: str, layer: int, attract: str, repel: str) -> Recipe:
    """Return the recipe of what a prompt's stream that enters a layer has in common with those of two others."""
    own = {"seed": CHANGE_SEED, "draws": SIGN_DRAWS, "overlapped": OVERLAPPED}
    return _build_recipe(model, "histories", f"p/{key}/histories", "raw", own | write_others(layer, attract, repel))


def study(
    model: OpenModel, key: str, layer: int, attract: str, repel: str, amount: float, tokens: tuple[int, int]
) -> Recipe:
    """Return the recipe of what drawing a prompt to one of two others does at its end: by how much, and by how many columns of
    their histories are kept.

    `tokens`: those whose log-odds are told; `amount`: that of the histories that are cut.
    """
    own = {"for": tokens[0], "against": tokens[1], "c": round(STEPS * amount)}
    grid = {"ranks": len(STUDIED_RANKS), "amounts": sum(map(len, STUDIED.values()))}
    return _build_recipe(model, "study", f"p/{key}/study", "raw", own | grid | write_others(layer, attract, repel))


def curve(model: OpenModel, key: str, processing: Processing, at: int, edits: Sequence[HeadEdit]) -> Recipe:
    """Return the recipe of what the model says at a position by how much is written of these directions together."""
    own = {"at": at, "seed": CHANGE_SEED, "set": SET_TOKENS, "amounts": len(CURVE_AMOUNTS)}
    return _build_recipe(model, "curve", f"p/{key}/curve", processing, own | write_edits(edits))


def continuation(
    model: OpenModel,
    key: str,
    processing: Processing,
    change: Change,
    statistics: Recipe | None,
    n_tokens: int,
    seed: int | None,
) -> Recipe:
    """Return the recipe of how a prompt goes on, as the model is and where it is changed.

    `seed`: of the tokens that are drawn; None: the likeliest are taken.
    """
    drawn = {} if seed is None else {"drawn": seed}
    said = {"tokens": n_tokens, **drawn, **_name_statistics(statistics), **write_change(change)}
    return _build_recipe(model, "continuation", f"p/{key}/continuation", processing, said)


def basis_of_spans(recipe: Recipe, model: OpenModel) -> Recipe:
    """Return the recipe of the vectors that such spans are of."""
    basis, processing = cast("BasisName", recipe.basis), cast("Processing", recipe.processing)
    return embedding_vectors(model, processing, basis, parameters_of(recipe, basis))


def embedding_vectors(model: OpenModel, processing: Processing, basis: BasisName, fit: Mapping[str, int]) -> Recipe:
    """Return the recipe that holds the vectors of the embedding's terms in a basis."""
    embed = Address(model.header.slug, None, kind="embed", basis=basis)
    return (decomposition if BASES[basis].is_fitted else vectors)(model, embed, processing, fit)


def _name_streams(streams: Recipe | None) -> dict[str, int]:
    """Name the mean stream in a recipe that is made with it."""
    if streams is None:
        return {}
    text, folded = number_in(streams, "text"), int(streams.processing == "folded")
    return {"text": text, "folded": folded, "streams": int(streams.hash[:8], 16)}


def _name_statistics(statistics: Recipe | None) -> dict[str, int]:
    """Name statistics of use in a recipe that is made with them."""
    return {} if statistics is None else {"text": number_in(statistics, "text"), "use": int(statistics.hash[:8], 16)}


def key_of(recipe: Recipe) -> str:
    """Return the key of the prompt that the recipe is about."""
    return recipe.subject.split("/")[1]


def directions_of(recipe: Recipe, n_heads: int, rank: int) -> list[tuple[int, int, int]]:
    """Return the directions that the recipe takes away, each by layer, head and index, in its order."""
    said = dict(recipe.parameters)
    numbers = [int(said[f"direction-{n}"]) for n in range(len(said)) if f"direction-{n}" in said]
    return [(number // rank // n_heads, number // rank % n_heads, number % rank) for number in numbers]


def place_of(recipe: Recipe, slug: str) -> Address:
    """Return the address of the recipe's subject, in its basis, in the model with that slug."""
    path = recipe.subject
    for last in ("compare", "rotation", "vectors", "strongest", "notable", "census", "full", "bank", "readings"):
        path = path.removesuffix(f"/{last}")
    place = parse(f"{slug}/{path}")
    return replace(place, basis=recipe.basis) if recipe.basis in BASES else place


def layer_of(recipe: Recipe) -> int | None:
    """Return the layer of the recipe's subject; None for one of the model's ends."""
    first = recipe.subject.partition("/")[0]
    return int(first[1:]) if first[1:].isdecimal() else None


def token_filter_of(recipe: Recipe) -> TokenFilter:
    """Return the tokens that the recipe's rays are read as."""
    said = dict(recipe.parameters)
    return TokenFilter(
        ascii=bool(said.get("ascii")),
        starts=bool(said.get("starts")),
        plain=bool(said.get("plain")),
        frequent=0 if recipe.kind == "gallery" else int(said.get("frequent", 0)),
        readout="cosine" if said.get("cosine") else "dot",
    )


def number_in(recipe: Recipe, name: str) -> int:
    """Return a parameter of the recipe; 0 where it has none of that name."""
    return int(dict(recipe.parameters).get(name, 0))


def parameters_of(recipe: Recipe, basis: BasisName, prefix: str = "") -> dict[str, int]:
    """Return the basis's parameters, named in the recipe with that prefix; empty where it has none."""
    said = dict(recipe.parameters)
    names = [parameter.name for parameter in BASES[basis].parameters]
    return {name: int(said[prefix + name]) for name in names if prefix + name in said}


def _layer_subject(what: str, layer: int | None) -> str:
    return what if layer is None else f"L{layer}/{what}"


def _text_parameters(text: int) -> dict[str, int]:
    return {"windows": USE_WINDOWS, "tokens": USE_TOKENS, "text": text} | ({} if text else {"seed": USE_SEED})


def _spot_parameters(at: int, token: int | None, against: int | None) -> dict[str, int]:
    """Return the part of a recipe that says which token is asked about, and where; -1 for one that is not said."""
    return {"at": at, "token": -1 if token is None else token, "against": -1 if against is None else against}


def _distance_part(distance: int) -> dict[str, int]:
    """Return the part of a recipe that a distance adds; most matrices have none."""
    return {"distance": distance} if distance else {}


def _build_recipe(
    model: OpenModel,
    kind: ArtifactKind | PromptKind,
    subject: str,
    processing: Processing,
    parameters: Mapping[str, float],
    basis: str = "svd",
) -> Recipe:
    return Recipe(model.fingerprint, kind, subject, processing, basis, tuple(sorted(parameters.items())))
