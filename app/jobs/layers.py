"""The layers of a model that are to be computed, the last ones first, taken apart in batches.

Singular directions of heads' matrices and of the MLP's: those of a layer next to each other, each on a core. A layer is
taken by a lock on the file of its weights, so that no two processes are at one; a layer that another process is at comes
again later. Knows nothing of readouts.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from app.core.address import CIRCUITS, Address, Circuit, LayerKind
from app.core.steps import run
from app.explorer import recipes
from app.explorer.layout import STRONGEST, STRONGEST_TOKENS
from app.explorer.library import OpenModel
from app.explorer.making.context import Arrays, Bench
from app.explorer.making.decompositions import Taken, subject_taken_apart
from app.explorer.making.heads import HeadMatrix, Part, in_little, take_apart_by_circuit
from app.explorer.making.subjects import Subject, mlp_subjects
from app.explorer.view import Processing
from app.models.weights import layer_file
from app.store.artifacts import ArtifactStore
from app.store.locks import claimed

VECTORS = 6144
"""Taken apart and read out together: more gains little, and each step would take longer to be heard of."""
WAIT_SECONDS = 0.2
"""Before another look whether other processes are done."""

Wanted = tuple[int, Circuit] | LayerKind
"""One head's matrix, or one of the MLP's."""


def last_first(model: OpenModel) -> range:
    """The model's layers in the order in which they are computed: the readable rays are in the last ones."""
    return range(model.manifest.n_layers - 1, -1, -1)


@dataclass
class Layer:
    """A layer under one processing, taken by this process until it lets go."""

    bench: Bench
    index: int
    claim: int | None
    """The handle that holds the lock; None where the system refuses it, or when it was let go."""
    parts: list[Part] = field(default_factory=list)
    """Its matrices in little, as they come."""
    is_banked: bool = False
    """Whether its part of the bank is missing, and all of its matrices are taken apart now."""
    rows: list[Arrays] = field(default_factory=list)
    """Of that part, as they come."""

    def add(self, part: Part) -> None:
        """Keep of the part what pages of many matrices need."""
        first = in_little(part.arrays, STRONGEST, STRONGEST_TOKENS)
        # Copies, so that the rest can go.
        rows = {name: array.copy() for name, array in first.items()}
        self.parts.append(Part(part.head, part.circuit, part.strength, rows, part.facts))

    def let_go(self) -> None:
        """Leave it to others."""
        if self.claim is not None:
            os.close(self.claim)
            self.claim = None


@dataclass(frozen=True)
class Whole:
    """A matrix that is no head's."""

    address: Address
    taken: Taken


@dataclass(frozen=True)
class Batch:
    """Matrices of one layer, taken apart, or none where all are there."""

    layer: Layer
    matrices: list[HeadMatrix]
    wholes: list[Whole]
    """Of the MLP."""
    n_found: int
    """Matrices of the layer that were there, told with its first batch."""
    is_last: bool


class Layers:
    """The layers still to be done; one thread at a time asks."""

    def __init__(
        self,
        store: ArtifactStore,
        benches: dict[Processing, Bench],
        model: OpenModel,
        circuits: tuple[Circuit, ...],
        kinds: tuple[LayerKind, ...],
        device: str,
        *,
        with_bank: bool = False,
    ) -> None:
        self._with_bank = with_bank and circuits == CIRCUITS and kinds == tuple(model.header.layer_kinds)
        self._store, self._benches, self._model = store, benches, model
        self._circuits, self._kinds, self._device = circuits, kinds, device
        self._todo = deque((each, layer) for each in benches for layer in last_first(model))
        self.count = len(self._todo)
        self._layer: Layer | None = None
        self._batches: deque[list[Wanted]] = deque()
        self._n_found = 0
        self._taken: list[Layer] = []
        self._in_little = {each: self._is_map_missing(each) for each in benches}
        """Whether the map of the model needs every matrix, those too that are there."""

    def next(self) -> Batch | None:
        """The next batch; None if other processes are at all layers that are left. StopIteration at the end."""
        if self._layer is None and not self._take():
            if not self._todo:
                raise StopIteration
            time.sleep(WAIT_SECONDS)
            return None
        layer, n_found = self._layer, self._n_found
        assert layer is not None
        wanted = self._batches.popleft() if self._batches else []
        self._n_found = 0
        is_last = not self._batches
        if is_last:
            self._layer = None
        matrices, wholes = self._taken_apart(layer, wanted)
        return Batch(layer, matrices, wholes, n_found, is_last)

    def count_matrices(self) -> int:
        """All of one layer that are asked for."""
        return self._model.manifest.n_heads * len(self._circuits) + len(self._kinds)

    def let_go(self) -> None:
        """Leave all layers to others."""
        for layer in self._taken:
            layer.let_go()

    def _take(self) -> bool:
        for _ in range(len(self._todo)):
            processing, index = self._todo.popleft()
            claim: int | None = None
            with suppress(OSError):  # weights that are not there are told of by who reads them
                claim = claimed(self._model.folder / layer_file(index))
                if claim is None:
                    self._todo.append((processing, index))
                    continue
            self._layer = Layer(self._benches[processing], index, claim)
            self._taken.append(self._layer)
            self._plan(self._layer)
            return True
        return False

    def _plan(self, layer: Layer) -> None:
        """What of the layer is there, and what is not, in batches."""
        processing, missing = layer.bench.processing, list[Wanted]()
        needed = self._in_little[processing] or not self._store.exists(
            recipes.layer(self._model, layer.index, processing)
        )
        for head in range(self._model.manifest.n_heads):
            for circuit in self._circuits:
                # Read even where only its name is asked for: one that is damaged is set aside, and made again.
                artifact = self._store.read(recipes.matrix(self._model, layer.index, head, circuit, processing))
                if artifact is None:
                    missing.append((head, circuit))
                elif needed:
                    arrays = dict(artifact.arrays)
                    layer.add(Part(head, circuit, arrays["strength"], arrays, artifact.facts))
        for kind in self._kinds:
            recipe = recipes.decomposition(self._model, self._address(layer, kind), processing, {})
            if self._store.read(recipe) is None:
                missing.append(kind)
        self._n_found = self.count_matrices() - len(missing)
        layer.is_banked = (
            self._with_bank
            and not self._n_found
            and not self._store.exists(recipes.bank(self._model, layer.index, processing))
        )
        self._batches = deque(self._in_batches(missing))

    def _in_batches(self, wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
        """So many that VECTORS are read out at a time, or one; a head's two matrices, whose tensors are then read once."""
        batch, n_vectors, most = list[Wanted](), 0, max(VECTORS, 4 * self._model.manifest.d_head)
        for each in wanted:
            own = self._model.manifest.d_model if isinstance(each, str) else 2 * self._model.manifest.d_head
            if batch and n_vectors + own > most:
                yield batch
                batch, n_vectors = [], 0
            batch.append(each)
            n_vectors += own
        if batch:
            yield batch

    def _taken_apart(self, layer: Layer, wanted: Sequence[Wanted]) -> tuple[list[HeadMatrix], list[Whole]]:
        from app.core.exact.shares import shares_of, side_by_side

        of_heads = [each for each in wanted if not isinstance(each, str)]
        kinds = [each for each in wanted if isinstance(each, str)]
        circuits = take_apart_by_circuit(layer.bench, layer.index, of_heads, device=self._device)
        # What takes longest first, so that no core waits for it at the end.
        subjects = mlp_subjects(layer.bench, layer.index, kinds) if kinds else []
        works: list[Callable[[], Whole | list[HeadMatrix]]] = [
            partial(self._whole, layer, kind, whole) for kind, whole in zip(kinds, subjects, strict=True)
        ]
        done = side_by_side(lambda work: work(), [*works, *circuits], shares_of(self._device))
        wholes = [each for each in done if isinstance(each, Whole)]
        return [each for found in done if not isinstance(found, Whole) for each in found], wholes

    def _whole(self, layer: Layer, kind: LayerKind, whole: Subject) -> Whole:
        address = self._address(layer, kind)
        whole = replace(whole, product=whole.product.to(self._device))
        return Whole(address, run(subject_taken_apart(layer.bench, address, whole, {})))

    def _address(self, layer: Layer, kind: LayerKind) -> Address:
        return Address(self._model.header.slug, None, layer.index, None, kind, "svd")

    def _is_map_missing(self, processing: Processing) -> bool:
        return self._circuits == CIRCUITS and not self._store.exists(recipes.scores(self._model, processing))
