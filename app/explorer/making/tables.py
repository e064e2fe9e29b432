"""What the worker reads with: token tables of the models last asked for, and what their copying scores need.

Built by one thread, so it takes no locks: others may read what is built. Tables are built when first read with and the
least recently used are dropped. Readouts run on the device; where its memory ends, in smaller batches, then on the CPU.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.core.steps import run
from app.explorer.errors import ComputationFailed
from app.explorer.inventory import check_tokens, end_of
from app.explorer.library import OpenModel
from app.explorer.view import Processing
from app.models.selection import EVERY, Selection, selected

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.exact.readout import Readout, TokenTable
MAX_TABLES = 4
"""Both sides of two models (or of both processings of one): GPT-2 small's are 147 MiB each."""
MAX_GRAMS = 2
MAX_CONTROLS = 6
"""Of as many tables, and what the tokens of two models look like; each has half the numbers of its table at most."""
MAX_MASKS = 16
"""A byte a token each."""

Value = TypeVar("Value")
logger = logging.getLogger(__name__)


class Tables:
    """Token tables and stream Grams, each kept for a while."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._tables: OrderedDict[tuple[str, str, str, Selection], TokenTable] = OrderedDict()
        self._controls: OrderedDict[Hashable, Any] = OrderedDict()
        self._grams: OrderedDict[tuple[str, str], Tensor] = OrderedDict()
        self._covariances: OrderedDict[tuple[str, str, str], Tensor] = OrderedDict()
        self._trained: OrderedDict[tuple[str, str, str], Tensor] = OrderedDict()
        self.rays = 0
        """Read out so far."""
        self.unsettled = 0
        """Of them, those that the quick product alone did not settle."""

    def device(self) -> str:
        """Where readouts run: what the operator chose, found out if that was `auto`; ComputationFailed if it is not here."""
        import torch

        if self._device == "auto":
            self._device = "cuda" if torch.cuda.is_available() else "cpu"
            logger.info("computing on %s", self._device)
        kind, _, number = self._device.partition(":")
        if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
            raise ComputationFailed(f"This server was started with --device {self._device}, which is not here.")
        return self._device

    def let_go(self) -> None:
        """Keep no table of a few tokens, and nothing that is judged by it: whoever asks for such a one waits for it anyway."""
        for held in (self._tables, self._controls):
            for key in [key for key in held if isinstance(key, tuple) and any(_is_chosen(part) for part in key)]:
                del held[key]

    def table(self, model: OpenModel, processing: Processing, side: str, selection: Selection = EVERY) -> "TokenTable":
        """What that side (read, write, query or key) is read with, limited to the selection; BadOption if that leaves too few."""
        end = end_of(model, processing, side)
        key = (model.fingerprint, processing, end, selection)
        return _kept(self._tables, key, MAX_TABLES, lambda: self._build(model, processing, end, selection))

    def control(self, key: Hashable, build: Callable[[], Value]) -> Value:
        """What readouts from one table are judged by; the key says which, `build` makes it where it is not held."""
        held: Value = _kept(self._controls, key, MAX_CONTROLS, build)
        return held

    def note_trained(self, model: OpenModel, processing: Processing, end: str, trained: NDArray[np.bool_]) -> None:
        """Keep which tokens training has moved at that end [d_vocab], where that was found out elsewhere."""
        import torch

        _kept(self._trained, (model.fingerprint, processing, end), MAX_MASKS, lambda: torch.from_numpy(trained.copy()))

    def gram(self, model: OpenModel, processing: Processing) -> "Tensor":
        """What is written at each token against what is read there, for copying scores."""

        def build() -> "Tensor":
            multiplied = partial(self._multiplied, model, processing)
            gram = _where_there_is_room(multiplied)
            if gram is None:
                self._leave_device()
                gram = multiplied()
            return gram

        return _kept(self._grams, (model.fingerprint, processing), MAX_GRAMS, build)

    def covariance(self, model: OpenModel, processing: Processing, side: str) -> "Tensor":
        """Of the vectors of the tokens that the side is read with, about their mean: [d_model d_model], on the CPU."""

        def build() -> "Tensor":
            from app.core.gram import covariance

            return run(covariance(self.table(model, processing, side).vectors)).float().cpu()

        return _kept(
            self._covariances, (model.fingerprint, processing, end_of(model, processing, side)), MAX_GRAMS, build
        )

    def first_tokens(
        self, model: OpenModel, processing: Processing, side: str, vectors: "Tensor", k: int
    ) -> NDArray[np.int32]:
        """The tokens [n 2 k] that `read` would find of the vectors, and nothing else: sooner. MemoryError likewise."""
        import torch

        from app.core.exact.readout import first_tokens

        parts = self._read_somewhere(model, processing, side, vectors, EVERY, partial(first_tokens, k=k))
        found: NDArray[np.int32] = torch.cat([part.cpu() for part in parts]).int().numpy()
        return found

    def read(
        self,
        model: OpenModel,
        processing: Processing,
        side: str,
        vectors: "Tensor",
        k: int,
        selection: Selection = EVERY,
    ) -> dict[str, NDArray[Any]]:
        """The readouts of the vectors as arrays, one row each; MemoryError where even the CPU has no room."""
        if len(vectors) == 0:  # a zero matrix has no directions
            nothing = self.read(model, processing, side, vectors.new_zeros(1, vectors.shape[1]), k, selection)
            return {name: array[:0] for name, array in nothing.items()}
        from app.core.exact import readout

        readouts = self._read_somewhere(model, processing, side, vectors, selection, partial(readout.read, k=k))
        self.unsettled += sum(readout.unsettled for readout in readouts)
        return readout_arrays(readouts)

    def _read_somewhere(
        self,
        model: OpenModel,
        processing: Processing,
        side: str,
        vectors: "Tensor",
        selection: Selection,
        read: "Callable[[TokenTable, Tensor], Value]",
    ) -> list[Value]:
        """What is read of the vectors, batch by batch, on the CPU where the device has no room; MemoryError."""
        read_all = partial(self._read_in_batches, model, processing, side, vectors, selection, read)
        found = read_all()
        if found is None:
            self._leave_device()
            found = read_all()
        if found is None:
            raise MemoryError
        self.rays += 2 * len(vectors)
        return found

    def _read_in_batches(
        self,
        model: OpenModel,
        processing: Processing,
        side: str,
        vectors: "Tensor",
        selection: Selection,
        read: "Callable[[TokenTable, Tensor], Value]",
    ) -> list[Value] | None:
        """None where the device has no room for one vector at a time."""
        table = self.table(model, processing, side, selection)
        size = max(1, len(vectors))
        while True:
            found = _where_there_is_room(partial(_read_batches, table, vectors, size, read))
            if found is not None or size == 1:
                return found
            size = (size + 1) // 2
            logger.warning("%s is short of memory: reading %d vectors at a time", self._device, size)

    def _multiplied(self, model: OpenModel, processing: Processing) -> "Tensor":
        from app.core.measuring.scores import stream_gram

        for side in ("read", "write"):
            self.table(model, processing, side)  # the second may find no room, and take the first to the CPU
        read, write = (self.table(model, processing, side) for side in ("read", "write"))
        return stream_gram(read.vectors, write.vectors).cpu()

    def _build(self, model: OpenModel, processing: Processing, end: str, selection: Selection) -> "TokenTable":
        import torch

        from app.core.exact.proposal import proposing_dtype
        from app.core.exact.readout import token_table
        from app.core.folding import embedded, fold_unembedding, normed_embedding

        manifest, embeddings = model.manifest, model.weights().embeddings()
        center = manifest.normalization == "LN"
        if processing == "raw":
            vectors = embeddings.W_E if end == "read" else embeddings.W_U.T
        elif end == "read":
            vectors = embeddings.W_E
            if embeddings.embed_gain is not None and embeddings.embed_shift is not None:
                vectors = embedded(vectors, embeddings.embed_gain, embeddings.embed_shift, manifest.eps)
            if manifest.reads_normed:
                vectors = normed_embedding(vectors, center, manifest.eps)
        else:
            vectors = fold_unembedding(embeddings.W_U, embeddings.final_gain, center).T
        passing = torch.from_numpy(selected(model.vocabulary, selection))
        if selection.plain:
            passing &= self._of_training(model, processing, end, vectors)
        if selection:
            check_tokens(model, selection, int(passing.sum()))
        if selection.readout == "cosine":
            vectors = torch.nn.functional.normalize(vectors, dim=1)  # a vector of zeros stays one
        device = self.device()
        table = _where_there_is_room(lambda: token_table(vectors.to(device), passing, proposing_dtype(device)))
        if table is None:
            self._leave_device()
            table = token_table(vectors, passing, proposing_dtype(self._device))
        return table

    def _of_training(self, model: OpenModel, processing: Processing, end: str, vectors: "Tensor") -> "Tensor":
        """Which tokens training has moved at that end, whose vectors these are: [d_vocab], kept for the next filter."""

        def build() -> "Tensor":
            import torch

            from app.core.exact.proposal import proposing_dtype
            from app.core.judging.collapse import is_trained

            trained = torch.from_numpy(model.vocabulary.known.copy())
            trained[trained.clone()] = is_trained(vectors[trained], proposing_dtype("cpu"))
            return trained

        return _kept(self._trained, (model.fingerprint, processing, end), MAX_MASKS, build)

    def _leave_device(self) -> None:
        import torch

        logger.warning("%s has too little free memory: computing on the CPU from now on", self._device)
        self._device = "cpu"
        self._tables.clear()
        self._controls.clear()
        torch.cuda.empty_cache()  # others may use what this server has given up; does nothing without a GPU


def _is_chosen(part: object) -> bool:
    return isinstance(part, Selection) and part != EVERY


def _where_there_is_room(work: Callable[[], Value]) -> Value | None:
    """What the work gives, None where the device's memory ends.

    The error does not leave here: its traceback would hold on to what the attempt had put into that memory.
    """
    import torch

    try:
        return work()
    except torch.OutOfMemoryError:
        return None


def _read_batches(
    table: "TokenTable", vectors: "Tensor", size: int, read: "Callable[[TokenTable, Tensor], Value]"
) -> list[Value]:
    import torch

    return [read(table, batch) for batch in torch.split(vectors.to(table.vectors.device), size)]


def _kept(held: OrderedDict[Any, Value], key: object, most: int, build: Callable[[], Value]) -> Value:
    """The value of the key, built if it is not held; the least recently used make room before that."""
    if key in held:
        held.move_to_end(key)
        return held[key]
    while len(held) >= most:
        held.popitem(last=False)
    held[key] = build()
    return held[key]


def readout_arrays(parts: "list[Readout]") -> dict[str, NDArray[Any]]:
    """Readouts as the arrays of an artifact, one row a vector."""
    kinds = {
        "top_ids": np.int32,
        "top_scores": np.float32,
        "bottom_ids": np.int32,
        "bottom_scores": np.float32,
        "counts": np.int32,
        "low": np.float32,
        "high": np.float32,
    }
    return {
        name: np.concatenate([getattr(part, name).cpu().numpy() for part in parts]).astype(kind)
        for name, kind in kinds.items()
    }
