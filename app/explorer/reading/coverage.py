"""Which pages of a model open at once, because their matrices were computed before. Looks at names of files only."""

from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

from app.core.address import CIRCUITS, Address
from app.explorer import recipes
from app.explorer.library import OpenModel
from app.explorer.pages.maps import MatrixCell
from app.explorer.resources import Resources
from app.explorer.view import Processing
from app.store.artifacts import ArtifactStore
from app.store.grounds import note_now

Heads = tuple[tuple[bool, ...], ...]
"""A row for each layer, a value for each head."""


def kept(r: Resources, model: OpenModel, processing: Processing) -> Heads:
    """Whether both matrices of each head are there."""
    note_now()
    return tuple(
        tuple(all(path.is_file() for path in matrices) for matrices in heads)
        for heads in _of(r.store, model, processing).heads
    )


def places(r: Resources, model: OpenModel, processing: Processing, above: Address) -> tuple[MatrixCell, ...]:
    """The matrices of that layer's MLP, or those of the model itself."""
    note_now()
    kinds = model.header.model_kinds if above.layer is None else model.header.layer_kinds
    paths = _of(r.store, model, processing).singles[above.layer]
    return tuple(MatrixCell(above.at(kind), path.is_file()) for kind, path in zip(kinds, paths, strict=True))


@dataclass(frozen=True)
class _Paths:
    """Where the matrices of a model in one processing are, or would be."""

    heads: tuple[tuple[tuple[Path, ...], ...], ...]
    """Of each head of each layer, both."""
    singles: dict[int | None, tuple[Path, ...]]
    """Of each layer's MLP; of the model itself for None."""


_known: WeakKeyDictionary[OpenModel, dict[tuple[ArtifactStore, Processing], _Paths]] = WeakKeyDictionary()
"""Of every model as long as it is open: the front page asks for all of them in turn, however many they are."""


def _of(store: ArtifactStore, model: OpenModel, processing: Processing) -> _Paths:
    of_model = _known.setdefault(model, {})
    if (store, processing) not in of_model:
        of_model[store, processing] = _paths(store, model, processing)
    return of_model[store, processing]


def _paths(store: ArtifactStore, model: OpenModel, processing: Processing) -> _Paths:
    """A thousand hashes, which never change."""
    header, address = model.header, Address(model.header.slug)

    def path(matrix: Address) -> Path:
        return store.path(recipes.decomposition(model, matrix.in_basis("svd"), processing, {}))

    def both(head: Address) -> tuple[Path, ...]:
        return tuple(path(head.at(circuit)) for circuit in CIRCUITS)

    layers = [address.at_layer(layer) for layer in range(model.manifest.n_layers)]
    heads = tuple(tuple(both(layer.at_head(head)) for head in range(model.manifest.n_heads)) for layer in layers)
    singles: dict[int | None, tuple[Path, ...]] = {
        layer.layer: tuple(path(layer.at(kind)) for kind in header.layer_kinds) for layer in layers
    }
    singles[None] = tuple(path(address.at(kind)) for kind in header.model_kinds)
    return _Paths(heads, singles)
