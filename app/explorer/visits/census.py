"""The visit to a model's census: its layers' artifacts, merged as they are computed.

Computes no readout; `app.explorer.making.judging.census` does. Knows no HTTP and imports no torch.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from app.core.address import CIRCUITS, Address
from app.core.judging.bootstrap import Clusters
from app.core.judging.rays import HEADLINE
from app.core.judging.significance import HIGH, LOW
from app.explorer import groups, recipes
from app.explorer.asking.using import list_outputs
from app.explorer.asking.views import Options, resolve_view
from app.explorer.errors import Busy, ComputationFailed, NotComputedHere, NotReady
from app.explorer.groups import CUT
from app.explorer.header import Model
from app.explorer.inventory import end_of, is_double
from app.explorer.library import OpenModel
from app.explorer.pages.census import CensusAxes, CensusComparison, CensusKind, CensusPage, CensusSpan, CensusUse
from app.explorer.reading.census import counts
from app.explorer.reading.census.findings import answer_questions
from app.explorer.reading.census.using import measure_uses
from app.explorer.resources import Resources
from app.explorer.view import End, Processing, View
from app.explorer.visits import orders
from app.explorer.visits.orders import Order, fulfil, submit_missing
from app.explorer.visits.using.statistics import find_statistics, load_statistics
from app.store.artifacts import ArtifactStore, Recipe

ENDS: tuple[End, ...] = ("read", "write")
MOST_CACHED = 8
"""Censuses whose statistics are cached in memory."""
PART_ROWS = 4_096
"""Directions that are converted to columns of a file at a time."""
ROW_ARRAYS = ("group", "part", "index", "of", "z", "p")
"""The arrays of an artifact with a row for each direction."""

Columns = Mapping[str, list[object]]
"""Columns of equal length, by name."""


class Count(NamedTuple):
    """The statistics of all artifacts."""

    kinds: tuple[CensusKind, ...]
    comparisons: tuple[CensusComparison, ...]
    spans: tuple[CensusSpan, ...]
    uses: tuple[CensusUse, ...]
    axes: tuple[CensusAxes, ...]
    controls: tuple[tuple[End, tuple[int, ...]], ...]


@dataclass(frozen=True)
class CensusRays:
    """Every ray of a census, for a file."""

    model: Model
    view: View
    content: str
    """The hash of the artifacts that it is made from."""
    parts: Iterator[Columns]
    """At least one part, all with the same columns."""


def visit_census(r: Resources, address: Address, options: Options) -> CensusPage:
    """Make the census from the layers that have been read, and queue the next one."""
    opened, shown = resolve_view(r, address, options)
    measures = [orders.order_control(opened, end, shown) for end in _list_ends(opened, shown.weights)]
    # Controls are large: check that they exist without loading them.
    absent = [order for order in measures if not r.store.exists(order.recipe)]
    layers = _list_layers_and_queue(r, opened, shown.weights, *absent)
    is_used = find_statistics(r.store, opened, shown.weights) is not None
    of_axes = _list_counted_axes(r.store, opened, shown.weights, layers)
    count = _count_rays(r.store, opened, shown.weights, layers, is_used, of_axes)
    model = opened.header
    other = next((each for each in model.processings if each != shown.weights), None)
    return CensusPage(
        address=address,
        model=model,
        view=shown,
        layers_read=len(layers),
        kinds=count.kinds,
        comparisons=count.comparisons,
        spans=count.spans,
        uses=count.uses,
        axes=count.axes,
        findings=answer_questions(
            count.kinds,
            count.comparisons,
            count.spans,
            count.uses,
            count.axes,
            model.d_head,
            is_whole=len(layers) == model.n_layers,
        ),
        controls=count.controls,
        low=LOW,
        high=HIGH,
        other=_count_other(r, opened, other) if other else (),
        other_weights=other,
        seed=groups.SEED,
        draws=groups.DRAWS,
        depths=tuple(counts.layers_by_depth(model.n_layers).values()),
        missing=_explain_missing(model, shown.weights, count.kinds),
    )


def collect_census_rays(r: Resources, address: Address, options: Options) -> CensusRays:
    """Collect every ray of the census for a file; NotReady until all layers are read, NotComputedHere where they never are."""
    opened, shown = resolve_view(r, address, options)
    model = opened.header
    layers = _list_layers_and_queue(r, opened, shown.weights)
    if len(layers) < model.n_layers and not r.computes_for_visits:
        raise NotComputedHere(
            f"The census of {address.model} is not complete: {len(layers)} of {model.n_layers} layers were computed "
            "beforehand, and this server computes nothing for whoever opens a page. Its page shows these."
        )
    if len(layers) < model.n_layers:
        title = f"The layers of {address.model} are being read for its census."
        raise NotReady(title, len(layers), model.n_layers)
    of_axes = _list_counted_axes(r.store, opened, shown.weights, layers)
    named = [recipes.census_part(opened, layer, shown.weights).hash for layer in (None, *layers)]
    named += [recipe.hash for recipe in of_axes]
    # All are held until the last is sent: one deleted meanwhile would cut the file short.
    parts = _split_rows(_load_arrays(r.store, opened, shown.weights, layers, of_axes))
    return CensusRays(model, shown, hashlib.sha256("".join(named).encode("ascii")).hexdigest(), parts)


def _list_layers_and_queue(r: Resources, opened: OpenModel, processing: Processing, *needed: Order) -> tuple[int, ...]:
    """List the layers that have been read, once the ends and all `needed` are there, and queue the next one."""
    fulfil(r, orders.order_census_part(opened, None, processing), *needed)
    layers = _list_read_layers(r, opened, processing)
    missing = [layer for layer in range(opened.header.n_layers) if layer not in layers]
    with suppress(Busy, ComputationFailed, NotReady):  # the page soon asks again
        submit_missing(r, *(orders.order_census_part(opened, layer, processing) for layer in missing[:1]))
    return layers


def _list_read_layers(r: Resources, opened: OpenModel, processing: Processing) -> tuple[int, ...]:
    """List the layers that have been read."""
    layers = range(opened.header.n_layers)
    return tuple(layer for layer in layers if r.store.load(recipes.census_part(opened, layer, processing)) is not None)


def _count_other(r: Resources, opened: OpenModel, processing: Processing) -> tuple[CensusKind, ...]:
    """Count the kinds in the other weight processing; empty unless its census is complete."""
    layers = tuple(range(opened.header.n_layers))
    if not all(r.store.exists(recipes.census_part(opened, layer, processing)) for layer in (None, *layers)):
        return ()
    with suppress(NotReady):  # a damaged artifact was set aside
        return _count_rays(r.store, opened, processing, layers, is_used=False, of_axes=()).kinds
    return ()


@lru_cache(maxsize=MOST_CACHED)
def _count_rays(
    store: ArtifactStore,
    opened: OpenModel,
    processing: Processing,
    layers: tuple[int, ...],
    is_used: bool,
    of_axes: tuple[Recipe, ...],
) -> Count:
    """Compute the statistics of the ends and these layers; cached, since the artifacts never change.

    `is_used`: what directions do on text is known, too; `of_axes`: the counts of axes that are there.
    """
    arrays = _load_arrays(store, opened, processing, layers, of_axes)
    own, n_layers = counts.group_rays(arrays), opened.header.n_layers
    random = {end: _load_random(store, opened, processing, end) for end in {groups.end_of(name) for name in own}}
    kinds = tuple(
        counts.measure_kind(group, n_layers, random[groups.end_of(name)])
        for name, group in own.items()
        if groups.is_kind(name)
    )
    ends = [end for end in ENDS if f"control_{end}" in arrays[None]]
    of_controls = tuple((end, tuple(arrays[None][f"control_{end}"].tolist())) for end in ends)
    used = load_statistics(store, opened, processing) if is_used else None
    uses = measure_uses(own, used.arrays) if used else ()
    return Count(
        kinds,
        counts.compare_kinds(own, n_layers),
        counts.compare_spans(own, n_layers),
        uses,
        counts.compare_axes(own, n_layers),
        of_controls,
    )


def _list_ends(opened: OpenModel, processing: Processing) -> list[str]:
    """List the ends that have a table of their own."""
    return sorted({end_of(opened, processing, end) for end in ENDS})


def _load_random(store: ArtifactStore, opened: OpenModel, processing: Processing, end: End) -> Clusters:
    """Load the z of random directions' rays at one end; NotReady where they were just deleted."""
    artifact = store.load(recipes.control(opened, end_of(opened, processing, end), processing))
    if artifact is None:
        raise NotReady("The random directions of the census are being read again.")
    return counts.cluster_random_rays(artifact.arrays["coherence"][..., HEADLINE])


def _list_counted_axes(
    store: ArtifactStore, opened: OpenModel, processing: Processing, layers: tuple[int, ...]
) -> tuple[Recipe, ...]:
    """List the counts of the axes of heads' outputs in these layers, as far as they are there."""
    shown = next(iter(list_outputs(store, opened, processing)), None)
    if shown is None:
        return ()
    found = (recipes.census_of_axes(opened, layer, processing, shown) for layer in layers)
    return tuple(recipe for recipe in found if store.load(recipe) is not None)


def _load_arrays(
    store: ArtifactStore,
    opened: OpenModel,
    processing: Processing,
    layers: tuple[int, ...],
    of_axes: tuple[Recipe, ...],
) -> dict[int | None, dict[str, Any]]:
    """Load the arrays of the ends, under None, and of these layers with their axes; NotReady where one was just deleted."""
    found: dict[int | None, dict[str, Any]] = {}
    for layer in (None, *layers):
        artifact = store.load(recipes.census_part(opened, layer, processing))
        if artifact is None:
            raise NotReady("A part of the census is being computed again.")
        found[layer] = dict(artifact.arrays)
    for recipe in of_axes:
        layer = recipes.layer_of(recipe)
        artifact = store.load(recipe)
        if artifact is not None:
            found[layer] |= {name: np.concatenate([found[layer][name], artifact.arrays[name]]) for name in ROW_ARRAYS}
    return found


def _split_rows(layers: Mapping[int | None, Mapping[str, Any]]) -> Iterator[Columns]:
    """Yield all rays as columns, PART directions at a time."""
    for layer, arrays in layers.items():
        for start in range(0, max(1, len(arrays["index"])), PART_ROWS):
            yield _make_columns(layer, {name: arrays[name][start : start + PART_ROWS] for name in ROW_ARRAYS})


def _make_columns(layer: int | None, arrays: Mapping[str, Any]) -> Columns:
    """Convert arrays to columns with two rays for each direction."""
    names = [groups.GROUPS[group] for group in np.repeat(arrays["group"], 2).tolist()]
    bases, sides = zip(*map(groups.matrix_and_side, names), strict=True) if names else ((), ())
    parts, index = np.repeat(arrays["part"], 2).tolist(), np.repeat(arrays["index"], 2)
    is_cut, is_ranked = [name.endswith(CUT) for name in names], [groups.is_kind(name) for name in names]
    places = np.round(index / np.repeat(arrays["of"], 2), 6).tolist()
    return {
        "layer": [layer] * len(names),
        "head": [part if matrix in CIRCUITS else None for part, matrix in zip(parts, bases, strict=True)],
        # Random vectors get another name, so that filtering a file by matrix yields its directions alone.
        "matrix": [matrix + groups.drawn_suffix(name) for matrix, name in zip(bases, names, strict=True)],
        "side": list(sides),
        "equal_rank_draw": [part if cut else None for part, cut in zip(parts, is_cut, strict=True)],
        "direction": index.tolist(),
        "relative_rank": [place if ranked else None for place, ranked in zip(places, is_ranked, strict=True)],
        "ray": ["+", "-"] * len(arrays["index"]),
        "z": _round_known(arrays["z"], 4),
        "p": _round_known(arrays["p"], 6),
    }


def _round_known(values: Any, digits: int) -> list[object]:
    """Round the numbers, with None for rays that could not be judged."""
    rounded = np.round(values.astype(np.float64).ravel(), digits).tolist()
    return [None if value != value else value for value in rounded]  # noqa: PLR0124


def _explain_missing(model: Model, processing: Processing, kinds: tuple[CensusKind, ...]) -> tuple[str, ...]:
    """Explain, in sentences, what the census leaves out."""
    if not kinds:
        return ("No end can be judged: the vocabulary has too few trained tokens for the measure.",)
    said = []
    if model.encoder:
        said.append("An encoder has no unembedding: what is written is read with the embedding, too.")
    elif is_double(model, Address(model.slug).at("unembed"), processing):
        said.append("As stored, the unembedding is the embedding: it is counted once.")
    if model.n_experts:
        said.append(f"Its MLPs are mixtures of {model.n_experts} experts, not one matrix each: none is here.")
    elif model.layer_kinds and not groups.can_be_cut(model):
        said.append(
            f"There are no controls of equal rank of the MLP: it has {model.d_mlp} neurons, a head {model.d_head} "
            "dimensions."
        )
    return tuple(said)
