"""The layers of a model that are to be computed, the last ones first, taken apart in batches.

A layer is taken by a lock on the file of its weights, so that no two processes are at one; a layer that another process
is at comes again later. Knows nothing of readouts.
"""

import os
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from app.core.address import CIRCUITS, Circuit
from app.explorer import recipes, work
from app.explorer.bench import Bench
from app.explorer.library import OpenModel
from app.explorer.pages import Processing
from app.explorer.work import Found, Part
from app.models.weights import layer_file
from app.store.artifacts import ArtifactStore
from app.store.locks import claimed

VECTORS = 4096
"""Taken apart and read out together: more gains little, and each step would take longer to be heard of."""
WAIT_SECONDS = 0.2
"""Before another look whether other processes are done."""

Wanted = tuple[int, Circuit]


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

    def add(self, part: Part) -> None:
        """Keep of the part what pages of many matrices need."""
        first = work.in_little(part.arrays, work.STRONGEST, work.STRONGEST_TOKENS)
        # Copies, so that the rest can go.
        rows = {name: array.copy() for name, array in first.items()}
        self.parts.append(Part(part.head, part.circuit, part.strength, rows, part.facts))

    def let_go(self) -> None:
        """Leave it to others."""
        if self.claim is not None:
            os.close(self.claim)
            self.claim = None


@dataclass(frozen=True)
class Batch:
    """Matrices of one layer, taken apart, or none where all are there."""

    layer: Layer
    matrices: list[Found]
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
        device: str,
    ) -> None:
        self._store, self._benches, self._model = store, benches, model
        self._circuits, self._device = circuits, device
        self._todo = deque((each, layer) for each in benches for layer in last_first(model))
        self.count = len(self._todo)
        self._size = max(1, VECTORS // (2 * model.manifest.d_head))
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
        matrices = work.found(layer.bench, layer.index, wanted, device=self._device)
        return Batch(layer, matrices, n_found, is_last)

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
        self._n_found = self._model.manifest.n_heads * len(self._circuits) - len(missing)
        # A head's two matrices stay together: its tensors are then read once.
        self._batches = deque(missing[start : start + self._size] for start in range(0, len(missing), self._size))

    def _is_map_missing(self, processing: Processing) -> bool:
        return self._circuits == CIRCUITS and not self._store.exists(recipes.scores(self._model, processing))
