"""The coverage of a model: which pages open at once, since their matrices are in the store. Reads file names only."""

from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

from app.core.address import CIRCUITS, Address
from app.core.basis import BASES
from app.explorer import recipes
from app.explorer.asking.places import find_model
from app.explorer.header import Model
from app.explorer.library import OpenModel
from app.explorer.pages.maps import MatrixCell
from app.explorer.resources import Resources
from app.explorer.view import Processing, View
from app.store.artifacts import ArtifactStore
from app.store.grounds import note_now

Heads = tuple[tuple[bool, ...], ...]
"""A row for each layer, a value for each head."""


def find_computed_heads(r: Resources, model: OpenModel, processing: Processing) -> Heads:
    """Tell for each head whether both its matrices are in the store."""
    note_now()
    return tuple(
        tuple(all(path.is_file() for path in matrices) for matrices in heads)
        for heads in _paths_of(r.store, model, processing).heads
    )


def list_matrices(r: Resources, model: OpenModel, processing: Processing, above: Address) -> tuple[MatrixCell, ...]:
    """List the matrices of a layer's MLP, or those of the model itself, each with whether it is in the store."""
    note_now()
    kinds = model.header.model_kinds if above.layer is None else model.header.layer_kinds
    paths = _paths_of(r.store, model, processing).singles[above.layer]
    return tuple(MatrixCell(above.at(kind), path.is_file()) for kind, path in zip(kinds, paths, strict=True))


def list_weights(r: Resources, header: Model) -> tuple[Processing, ...]:
    """List the weight processings that a visit may see: all that are sound, or those that were computed beforehand.

    A job computes the last layers first, so that with the first one and the map all are there.
    """
    if r.computes_for_visits or (opened := find_model(r, header.slug)) is None:
        return header.processings
    return tuple(
        each
        for each in header.processings
        if r.store.exists(recipes.scores(opened, each)) and r.store.exists(recipes.layer(opened, 0, each))
    )


def has_vectors(r: Resources, header: Model, address: Address, view: View) -> bool:
    """Return whether a visit may have the vectors of a matrix in the view's basis, of a head those of OV: any, or what is
    stored, as those of a fit are with it.
    """
    if r.computes_for_visits or BASES[view.basis].is_fitted or (opened := find_model(r, header.slug)) is None:
        return True
    matrix = (address.at("ov") if address.kind is None else address.matrix).in_basis("svd")
    return view.basis == "svd" and r.store.exists(recipes.vectors(opened, matrix, view.weights, {}))


@dataclass(frozen=True)
class _Paths:
    """Paths of a model's matrices in one weight processing, whether they exist or not."""

    heads: tuple[tuple[tuple[Path, ...], ...], ...]
    """OV and QK of each head of each layer."""
    singles: dict[int | None, tuple[Path, ...]]
    """The matrices of each layer's MLP; under None those of the model itself."""


_known_paths: WeakKeyDictionary[OpenModel, dict[tuple[ArtifactStore, Processing], _Paths]] = WeakKeyDictionary()
"""Paths of each open model: the front page asks for those of every model."""


def _paths_of(store: ArtifactStore, model: OpenModel, processing: Processing) -> _Paths:
    of_model = _known_paths.setdefault(model, {})
    if (store, processing) not in of_model:
        of_model[store, processing] = _hash_paths(store, model, processing)
    return of_model[store, processing]


def _hash_paths(store: ArtifactStore, model: OpenModel, processing: Processing) -> _Paths:
    """Hash the recipes of all matrices: a thousand hashes, which never change."""
    header, address = model.header, Address(model.header.slug)

    def path(matrix: Address) -> Path:
        return store.path(recipes.decomposition(model, matrix.in_basis("svd"), processing, {}))

    def paths_of_head(head: Address) -> tuple[Path, ...]:
        return tuple(path(head.at(circuit)) for circuit in CIRCUITS)

    layers = [address.at_layer(layer) for layer in range(model.manifest.n_layers)]
    heads = tuple(
        tuple(paths_of_head(layer.at_head(head)) for head in range(model.manifest.n_heads)) for layer in layers
    )
    singles: dict[int | None, tuple[Path, ...]] = {
        layer.layer: tuple(path(layer.at(kind)) for kind in header.layer_kinds) for layer in layers
    }
    singles[None] = tuple(path(address.at(kind)) for kind in header.model_kinds)
    return _Paths(heads, singles)
