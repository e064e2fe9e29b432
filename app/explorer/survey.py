"""The census of a model, as a page: what its layers' artifacts say, put together as they come.

Computes no readout; `app.explorer.census` does. Knows no HTTP and imports no torch.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from app.core.address import Address
from app.core.rays import HEADLINE
from app.explorer import controls, orders, recipes, tally
from app.explorer.errors import Busy, NotReady
from app.explorer.findings import findings
from app.explorer.library import OpenModel
from app.explorer.orders import begun, fulfilled
from app.explorer.pages import CUT, CensusEffect, CensusKind, CensusPage, End, Model, Processing, View
from app.explorer.places import is_double, located
from app.explorer.resources import Resources
from app.explorer.tables import end_of
from app.explorer.views import Options, seen
from app.models.selection import EVERY
from app.store.artifacts import ArtifactStore

AHEAD = 2
"""Layers that stand in line at a time: whoever leaves the page leaves little behind."""
ENDS: tuple[End, ...] = ("read", "write")
MEMBERS = 8
"""Censuses whose statistics are kept in memory."""

Count = tuple[tuple[CensusKind, ...], tuple[CensusEffect, ...], tuple[tuple[End, tuple[int, ...]], ...]]
"""Kinds, comparisons, controls."""


@dataclass(frozen=True)
class Rays:
    """Every ray of a census, for a file."""

    model: Model
    view: View
    columns: dict[str, list[object]]
    """Of one length, by name."""


def census(r: Resources, address: Address, options: Options) -> CensusPage:
    """How readable all matrices of the model are, as far as its layers are read; asks for the next ones."""
    opened = located(r, address)
    shown = seen(opened, address, options, r.default_weights)
    measures = [orders.control(opened, end, shown) for end in _ends(opened, shown.weights)]
    # Large, and read once for all pages: not loaded to see whether they are there.
    absent = [order for order in measures if not r.store.exists(order.recipe)]
    fulfilled(r, orders.census_part(opened, None, shown.weights), *absent)
    layers = _there(r, opened, shown.weights)
    missing = [layer for layer in range(opened.header.n_layers) if layer not in layers]
    with suppress(Busy):  # it is asked again soon
        begun(r, *(orders.census_part(opened, layer, shown.weights) for layer in missing[:AHEAD]))
    kinds, effects, random = _counted(r.store, opened, shown.weights, layers)
    model = opened.header
    other = next((each for each in model.processings if each != shown.weights), None)
    return CensusPage(
        address=address,
        model=model,
        view=shown,
        n_layers=len(layers),
        kinds=kinds,
        effects=effects,
        findings=findings(kinds, effects, model.d_head, is_whole=not missing),
        controls=random,
        edges=(tally.LOW, tally.HIGH),
        other=_other(r, opened, other) if other else (),
        other_weights=other,
        seed=tally.SEED,
        draws=tally.DRAWS,
        missing=_missing(model, shown.weights, kinds),
    )


def rays(r: Resources, address: Address, options: Options) -> Rays:
    """Every ray; NotReady until all layers are read."""
    page = census(r, address, options)
    if not page.is_whole:
        title = f"The layers of {address.model} are being read for its census."
        raise NotReady(title, page.n_layers, page.model.n_layers)
    opened = located(r, address)
    columns: dict[str, list[object]] = {}
    for layer, arrays in _arrays(r.store, opened, page.view.weights, tuple(range(page.n_layers))).items():
        for name, values in _columns(layer, arrays).items():
            columns.setdefault(name, []).extend(values)
    return Rays(page.model, page.view, columns)


def _there(r: Resources, opened: OpenModel, processing: Processing) -> tuple[int, ...]:
    """The layers that are read."""
    layers = range(opened.header.n_layers)
    return tuple(layer for layer in layers if r.store.load(recipes.census_part(opened, layer, processing)) is not None)


def _other(r: Resources, opened: OpenModel, processing: Processing) -> tuple[CensusKind, ...]:
    """The kinds under that processing, if all of it is there."""
    layers = tuple(range(opened.header.n_layers))
    if not all(r.store.exists(recipes.census_part(opened, layer, processing)) for layer in (None, *layers)):
        return ()
    with suppress(NotReady):  # a damaged one was set aside
        return _counted(r.store, opened, processing, layers)[0]
    return ()


@lru_cache(maxsize=MEMBERS)
def _counted(store: ArtifactStore, opened: OpenModel, processing: Processing, layers: tuple[int, ...]) -> Count:
    """What the ends and those layers say together; always the same, as the artifacts are."""
    arrays = _arrays(store, opened, processing, layers)
    groups = tally.grouped(arrays)
    random = {end: _random(store, opened, processing, end) for end in {tally.end_of(name) for name in groups}}
    kinds = tuple(
        tally.kind(group, opened.header.n_layers, random[tally.end_of(group.name)]) for group in groups.values()
    )
    ends = [end for end in ENDS if f"control_{end}" in arrays[None]]
    counts = tuple((end, tuple(arrays[None][f"control_{end}"].tolist())) for end in ends)
    return kinds, tally.effects(groups), counts


def _ends(opened: OpenModel, processing: Processing) -> list[str]:
    """The ends that have a table of their own."""
    return sorted({end_of(opened, processing, end) for end in ENDS})


def _random(store: ArtifactStore, opened: OpenModel, processing: Processing, end: End) -> list[Any]:
    """The z of random directions' rays at that end; NotReady where they have just gone."""
    artifact = store.load(controls.recipe(opened, end_of(opened, processing, end), processing, EVERY))
    if artifact is None:
        raise NotReady("The random directions of the census are being read again.")
    return tally.random_rays(artifact.arrays["coherence"][..., HEADLINE])


def _arrays(
    store: ArtifactStore, opened: OpenModel, processing: Processing, layers: tuple[int, ...]
) -> dict[int | None, Mapping[str, Any]]:
    """The arrays of the ends, under None, and of those layers; NotReady where one has just gone."""
    found: dict[int | None, Mapping[str, Any]] = {}
    for layer in (None, *layers):
        artifact = store.load(recipes.census_part(opened, layer, processing))
        if artifact is None:
            raise NotReady("A part of the census is being computed again.")
        found[layer] = artifact.arrays
    return found


def _columns(layer: int | None, arrays: Mapping[str, Any]) -> dict[str, list[object]]:
    """Two rays for each direction."""
    names = [tally.GROUPS[group] for group in np.repeat(arrays["group"], 2).tolist()]
    matrices, sides = zip(*map(tally.matrix_and_side, names), strict=True) if names else ((), ())
    parts, index = np.repeat(arrays["part"], 2).tolist(), np.repeat(arrays["index"], 2)
    is_cut = [name.endswith(CUT) for name in names]
    return {
        "layer": [layer] * len(names),
        "head": [part if matrix in {"ov", "qk"} else None for part, matrix in zip(parts, matrices, strict=True)],
        "matrix": list(matrices),
        "side": list(sides),
        "equal_rank_draw": [part if cut else None for part, cut in zip(parts, is_cut, strict=True)],
        "direction": index.tolist(),
        "relative_rank": np.round(index / np.repeat(arrays["of"], 2), 6).tolist(),
        "ray": ["+", "-"] * len(arrays["index"]),
        "z": _known(arrays["z"], 4),
        "p": _known(arrays["p"], 6),
    }


def _known(values: Any, digits: int) -> list[object]:
    """None for what could not be judged."""
    rounded = np.round(values.astype(np.float64).ravel(), digits).tolist()
    return [None if value != value else value for value in rounded]  # noqa: PLR0124


def _missing(model: Model, processing: Processing, kinds: tuple[CensusKind, ...]) -> tuple[str, ...]:
    """What there is no census of."""
    if not kinds:
        return ("No ray can be judged: the vocabulary has too few trained tokens for the measure.",)
    said = []
    if model.encoder:
        said.append("An encoder has no unembedding: what is written is read with the embedding, too.")
    elif is_double(model, Address(model.slug).at("unembed"), processing):
        said.append("As stored, the unembedding is the embedding: it is counted once.")
    if model.n_experts:
        said.append(f"Its MLPs are mixtures of {model.n_experts} experts, not one matrix each: none is here.")
    elif model.layer_kinds and not tally.can_be_cut(model):
        said.append(
            f"There are no controls of equal rank: an MLP has {model.d_mlp} neurons, a head {model.d_head} dimensions."
        )
    return tuple(said)
