"""The census of a model, as a page: what its layers' artifacts say, put together as they come.

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
from app.explorer.asking.views import Options, visited
from app.explorer.errors import Busy, ComputationFailed, NotReady
from app.explorer.groups import CUT
from app.explorer.header import Model
from app.explorer.inventory import end_of, is_double
from app.explorer.library import OpenModel
from app.explorer.pages.census import CensusEffect, CensusKind, CensusPage, CensusSpan
from app.explorer.reading.census import counts
from app.explorer.reading.census.findings import findings
from app.explorer.resources import Resources
from app.explorer.view import End, Processing, View
from app.explorer.visits import orders
from app.explorer.visits.orders import Order, begun, fulfilled
from app.store.artifacts import ArtifactStore

ENDS: tuple[End, ...] = ("read", "write")
MEMBERS = 8
"""Censuses whose statistics are kept in memory."""
PART = 4_096
"""Directions of a file that are made into columns at a time."""
ROWS = ("group", "part", "index", "of", "z", "p")
"""The arrays of an artifact with a row for each direction."""

Columns = Mapping[str, list[object]]
"""Of one length, by name."""


class Count(NamedTuple):
    """What the artifacts say together."""

    kinds: tuple[CensusKind, ...]
    effects: tuple[CensusEffect, ...]
    spans: tuple[CensusSpan, ...]
    controls: tuple[tuple[End, tuple[int, ...]], ...]


@dataclass(frozen=True)
class CensusRays:
    """Every ray of a census, for a file."""

    model: Model
    view: View
    content: str
    """The hash of what it is made from."""
    parts: Iterator[Columns]
    """At least one, all of the same names."""


def census_page(r: Resources, address: Address, options: Options) -> CensusPage:
    """How readable all matrices of the model are, as far as its layers are read; asks for the next ones."""
    opened, shown = visited(r, address, options)
    measures = [orders.control(opened, end, shown) for end in _ends(opened, shown.weights)]
    # Large, and read once for all pages: not loaded to see whether they are there.
    absent = [order for order in measures if not r.store.exists(order.recipe)]
    layers = _read(r, opened, shown.weights, *absent)
    count = _counted(r.store, opened, shown.weights, layers)
    model = opened.header
    other = next((each for each in model.processings if each != shown.weights), None)
    return CensusPage(
        address=address,
        model=model,
        view=shown,
        n_layers=len(layers),
        kinds=count.kinds,
        effects=count.effects,
        spans=count.spans,
        findings=findings(
            count.kinds, count.effects, count.spans, model.d_head, is_whole=len(layers) == model.n_layers
        ),
        controls=count.controls,
        edges=(LOW, HIGH),
        other=_other(r, opened, other) if other else (),
        other_weights=other,
        seed=groups.SEED,
        draws=groups.DRAWS,
        depths=tuple(counts.depths(model.n_layers).values()),
        missing=_missing(model, shown.weights, count.kinds),
    )


def census_rays(r: Resources, address: Address, options: Options) -> CensusRays:
    """Every ray; NotReady until all layers are read."""
    opened, shown = visited(r, address, options)
    model = opened.header
    layers = _read(r, opened, shown.weights)
    if len(layers) < model.n_layers:
        title = f"The layers of {address.model} are being read for its census."
        raise NotReady(title, len(layers), model.n_layers)
    named = (recipes.census_part(opened, layer, shown.weights).hash for layer in (None, *layers))
    # All are held until the last is sent: one that went meanwhile would leave a file that ends early.
    parts = _parts(_arrays(r.store, opened, shown.weights, layers))
    return CensusRays(model, shown, hashlib.sha256("".join(named).encode("ascii")).hexdigest(), parts)


def _read(r: Resources, opened: OpenModel, processing: Processing, *needed: Order) -> tuple[int, ...]:
    """The layers that are read, once the ends and what else is needed are there; asks for the next ones."""
    fulfilled(r, orders.census_part(opened, None, processing), *needed)
    layers = _there(r, opened, processing)
    missing = [layer for layer in range(opened.header.n_layers) if layer not in layers]
    with suppress(Busy, ComputationFailed, NotReady):  # it is asked again soon
        begun(r, *(orders.census_part(opened, layer, processing) for layer in missing[:1]))
    return layers


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
        return _counted(r.store, opened, processing, layers).kinds
    return ()


@lru_cache(maxsize=MEMBERS)
def _counted(store: ArtifactStore, opened: OpenModel, processing: Processing, layers: tuple[int, ...]) -> Count:
    """What the ends and those layers say together; always the same, as the artifacts are."""
    arrays = _arrays(store, opened, processing, layers)
    own, n_layers = counts.grouped(arrays), opened.header.n_layers
    random = {end: _random(store, opened, processing, end) for end in {groups.end_of(name) for name in own}}
    kinds = tuple(
        counts.kind(group, n_layers, random[groups.end_of(name)]) for name, group in own.items() if groups.is_kind(name)
    )
    ends = [end for end in ENDS if f"control_{end}" in arrays[None]]
    of_controls = tuple((end, tuple(arrays[None][f"control_{end}"].tolist())) for end in ends)
    return Count(kinds, counts.effects(own, n_layers), counts.spans(own, n_layers), of_controls)


def _ends(opened: OpenModel, processing: Processing) -> list[str]:
    """The ends that have a table of their own."""
    return sorted({end_of(opened, processing, end) for end in ENDS})


def _random(store: ArtifactStore, opened: OpenModel, processing: Processing, end: End) -> Clusters:
    """The z of random directions' rays at that end; NotReady where they have just gone."""
    artifact = store.load(recipes.control(opened, end_of(opened, processing, end), processing))
    if artifact is None:
        raise NotReady("The random directions of the census are being read again.")
    return counts.random_rays(artifact.arrays["coherence"][..., HEADLINE])


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


def _parts(layers: Mapping[int | None, Mapping[str, Any]]) -> Iterator[Columns]:
    """All rays, some directions at a time."""
    for layer, arrays in layers.items():
        for start in range(0, max(1, len(arrays["index"])), PART):
            yield _columns(layer, {name: arrays[name][start : start + PART] for name in ROWS})


def _columns(layer: int | None, arrays: Mapping[str, Any]) -> Columns:
    """Two rays for each direction."""
    names = [groups.GROUPS[group] for group in np.repeat(arrays["group"], 2).tolist()]
    bases, sides = zip(*map(groups.matrix_and_side, names), strict=True) if names else ((), ())
    parts, index = np.repeat(arrays["part"], 2).tolist(), np.repeat(arrays["index"], 2)
    is_cut, is_ranked = [name.endswith(CUT) for name in names], [groups.is_kind(name) for name in names]
    places = np.round(index / np.repeat(arrays["of"], 2), 6).tolist()
    return {
        "layer": [layer] * len(names),
        "head": [part if matrix in CIRCUITS else None for part, matrix in zip(parts, bases, strict=True)],
        # Whoever filters a file by matrix is not to get random vectors among its directions.
        "matrix": [matrix + groups.drawn_how(name) for matrix, name in zip(bases, names, strict=True)],
        "side": list(sides),
        "equal_rank_draw": [part if cut else None for part, cut in zip(parts, is_cut, strict=True)],
        "direction": index.tolist(),
        "relative_rank": [place if ranked else None for place, ranked in zip(places, is_ranked, strict=True)],
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
