"""The layers of a model that a job computes, the last ones first, decomposed in batches.

The matrices are the heads' and the MLP's, in singular directions: those of a layer are decomposed side by side, each on
a core. A layer is claimed by a lock on the file of its weights, so that no two processes are at one; a layer that
another process has comes again later. Knows nothing of readouts.
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
from app.explorer.layout import STRONGEST_DIRECTIONS, STRONGEST_TOKENS
from app.explorer.library import OpenModel
from app.explorer.making.context import Arrays, Context
from app.explorer.making.decompositions import UnreadDecomposition, decompose_subject_unread
from app.explorer.making.heads import HeadMatrix, HeadPart, plan_decompositions, summarise_arrays
from app.explorer.making.subjects import Subject, read_mlp_subjects
from app.explorer.view import Processing
from app.models.weights import layer_file
from app.store.artifacts import ArtifactStore
from app.store.locks import claim_file

VECTORS_AT_ONCE = 6144
"""Vectors decomposed and read out together: more gain little, and each step would take longer to report."""
WAIT_SECONDS = 0.2
"""Seconds before the next check whether other processes are done."""

Wanted = tuple[int, Circuit] | LayerKind
"""One head's matrix, or one of the MLP's."""


def list_last_first(model: OpenModel) -> range:
    """List the model's layers in the order of computation: the readable rays are in the last ones."""
    return range(model.manifest.n_layers - 1, -1, -1)


@dataclass
class Layer:
    """A layer under one processing, claimed by this process until it is released."""

    context: Context
    index: int
    claim: int | None
    """The handle that holds the lock; None where the system refuses it, or after the release."""
    parts: list[HeadPart] = field(default_factory=list)
    """Summaries of its matrices, as they are read out."""
    is_banked: bool = False
    """Whether its part of the bank is missing, and all of its matrices are decomposed now."""
    rows: list[Arrays] = field(default_factory=list)
    """The rows of that part, as they are read out."""

    def add(self, part: HeadPart) -> None:
        """Keep a summary of the part, for pages of many matrices."""
        first = summarise_arrays(part.arrays, STRONGEST_DIRECTIONS, STRONGEST_TOKENS)
        # Copies, so that the rest can be freed.
        rows = {name: array.copy() for name, array in first.items()}
        self.parts.append(HeadPart(part.head, part.circuit, part.strength, rows, part.facts))

    def let_go(self) -> None:
        """Release the layer for other processes."""
        if self.claim is not None:
            os.close(self.claim)
            self.claim = None


@dataclass(frozen=True)
class MlpMatrix:
    """A decomposed matrix of the MLP."""

    address: Address
    taken: UnreadDecomposition


@dataclass(frozen=True)
class Batch:
    """Decomposed matrices of one layer, none where all are stored."""

    layer: Layer
    matrices: list[HeadMatrix]
    wholes: list[MlpMatrix]
    """Decomposed matrices of the MLP."""
    n_found: int
    """The number of the layer's matrices that were stored, reported with its first batch."""
    is_last: bool


class Layers:
    """The layers still to be computed; only one thread at a time asks."""

    def __init__(
        self,
        store: ArtifactStore,
        contexts: dict[Processing, Context],
        model: OpenModel,
        circuits: tuple[Circuit, ...],
        kinds: tuple[LayerKind, ...],
        device: str,
        *,
        with_bank: bool = False,
    ) -> None:
        self._with_bank = with_bank and circuits == CIRCUITS and kinds == tuple(model.header.layer_kinds)
        self._store, self._contexts, self._model = store, contexts, model
        self._circuits, self._kinds, self._device = circuits, kinds, device
        self._todo = deque((each, layer) for each in contexts for layer in list_last_first(model))
        self.count = len(self._todo)
        self._layer: Layer | None = None
        self._batches: deque[list[Wanted]] = deque()
        self._n_found = 0
        self._taken: list[Layer] = []
        self._in_little = {each: self._is_map_missing(each) for each in contexts}
        """Whether the model's map needs every matrix, stored ones too."""

    def next(self) -> Batch | None:
        """Decompose the next batch; None if other processes have all layers that are left. StopIteration at the end."""
        if self._layer is None and not self._claim_next():
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
        matrices, wholes = self._decompose(layer, wanted)
        return Batch(layer, matrices, wholes, n_found, is_last)

    def count_matrices(self) -> int:
        """Count the matrices of one layer that are asked for."""
        return self._model.manifest.n_heads * len(self._circuits) + len(self._kinds)

    def let_go(self) -> None:
        """Release all layers for other processes."""
        for layer in self._taken:
            layer.let_go()

    def _claim_next(self) -> bool:
        for _ in range(len(self._todo)):
            processing, index = self._todo.popleft()
            claim: int | None = None
            with suppress(OSError):  # missing weights are reported by whoever reads them
                claim = claim_file(self._model.folder / layer_file(index))
                if claim is None:
                    self._todo.append((processing, index))
                    continue
            self._layer = Layer(self._contexts[processing], index, claim)
            self._taken.append(self._layer)
            self._plan_layer(self._layer)
            return True
        return False

    def _plan_layer(self, layer: Layer) -> None:
        """Find the matrices of the layer that are not stored, and batch them."""
        processing, missing = layer.context.processing, list[Wanted]()
        needed = self._in_little[processing] or not self._store.exists(
            recipes.layer(self._model, layer.index, processing)
        )
        for head in range(self._model.manifest.n_heads):
            for circuit in self._circuits:
                # Read the artifact even where its name would do: a damaged one is set aside, and computed again.
                artifact = self._store.read(recipes.matrix(self._model, layer.index, head, circuit, processing))
                if artifact is None:
                    missing.append((head, circuit))
                elif needed:
                    arrays = dict(artifact.arrays)
                    layer.add(HeadPart(head, circuit, arrays["strength"], arrays, artifact.facts))
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
        self._batches = deque(self._split_into_batches(missing))

    def _split_into_batches(self, wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
        """Batch the matrices so that VECTORS_AT_ONCE are read out at a time, or one matrix; a head's two are together, so that
        its tensors are read once.
        """
        batch, n_vectors, most = list[Wanted](), 0, max(VECTORS_AT_ONCE, 4 * self._model.manifest.d_head)
        for each in wanted:
            own = self._model.manifest.d_model if isinstance(each, str) else 2 * self._model.manifest.d_head
            if batch and n_vectors + own > most:
                yield batch
                batch, n_vectors = [], 0
            batch.append(each)
            n_vectors += own
        if batch:
            yield batch

    def _decompose(self, layer: Layer, wanted: Sequence[Wanted]) -> tuple[list[HeadMatrix], list[MlpMatrix]]:
        from app.core.exact.shares import map_side_by_side, shares_of

        of_heads = [each for each in wanted if not isinstance(each, str)]
        kinds = [each for each in wanted if isinstance(each, str)]
        circuits = plan_decompositions(layer.context, layer.index, of_heads, device=self._device)
        # The longest work first, so that no core waits for it at the end.
        subjects = read_mlp_subjects(layer.context, layer.index, kinds) if kinds else []
        works: list[Callable[[], MlpMatrix | list[HeadMatrix]]] = [
            partial(self._decompose_mlp, layer, kind, whole) for kind, whole in zip(kinds, subjects, strict=True)
        ]
        done = map_side_by_side(lambda work: work(), [*works, *circuits], shares_of(self._device))
        wholes = [each for each in done if isinstance(each, MlpMatrix)]
        return [each for found in done if not isinstance(found, MlpMatrix) for each in found], wholes

    def _decompose_mlp(self, layer: Layer, kind: LayerKind, whole: Subject) -> MlpMatrix:
        address = self._address(layer, kind)
        whole = replace(whole, product=whole.product.to(self._device))
        return MlpMatrix(address, run(decompose_subject_unread(layer.context, address, whole, {})))

    def _address(self, layer: Layer, kind: LayerKind) -> Address:
        return Address(self._model.header.slug, None, layer.index, None, kind, "svd")

    def _is_map_missing(self, processing: Processing) -> bool:
        return self._circuits == CIRCUITS and not self._store.exists(recipes.scores(self._model, processing))
