"""Which pages of a model open at once, because their matrices were computed before. Looks at names of files only."""

from functools import lru_cache
from pathlib import Path

from app.core.address import CIRCUITS, Address
from app.explorer import recipes
from app.explorer.library import OpenModel
from app.explorer.pages import Place, Processing
from app.explorer.resources import Resources
from app.store.artifacts import ArtifactStore

Heads = tuple[tuple[bool, ...], ...]
"""A row for each layer, a value for each head."""


def kept(r: Resources, model: OpenModel, processing: Processing) -> Heads:
    """Whether both matrices of each head are there."""
    return tuple(
        tuple(all(path.is_file() for path in matrices) for matrices in heads)
        for heads in _paths(r.store, model, processing)
    )


def places(r: Resources, model: OpenModel, processing: Processing, above: Address) -> tuple[Place, ...]:
    """The matrices of that layer's MLP, or those of the model itself."""
    found = _singles(r.store, model, processing, above)
    return tuple(Place(each, path.is_file()) for each, path in found)


@lru_cache(maxsize=1024)
def _singles(
    store: ArtifactStore, model: OpenModel, processing: Processing, above: Address
) -> tuple[tuple[Address, Path], ...]:
    """Those matrices, and where they are, or would be."""
    kinds = model.header.model_kinds if above.layer is None else model.header.layer_kinds
    found = [above.at(kind) for kind in kinds]
    return tuple((each, store.path(recipes.decomposition(model, each, processing, {}))) for each in found)


@lru_cache(maxsize=8)
def _paths(store: ArtifactStore, model: OpenModel, processing: Processing) -> tuple[tuple[tuple[Path, ...], ...], ...]:
    """Where the matrices of each head are, or would be: a thousand hashes that never change."""
    layers, heads = range(model.manifest.n_layers), range(model.manifest.n_heads)
    return tuple(
        tuple(
            tuple(store.path(recipes.matrix(model, layer, head, circuit, processing)) for circuit in CIRCUITS)
            for head in heads
        )
        for layer in layers
    )
