"""The token tables of the models last asked for, and the Gram matrices of their copying scores.

One thread builds them, so there are no locks: other threads may read what is built. Tables are built when first used,
and the least recently used are dropped. Readouts run on the device; where its memory is exhausted, in smaller batches,
then on the CPU.
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
from app.explorer.inventory import end_of, require_tokens
from app.explorer.library import OpenModel
from app.explorer.view import Processing
from app.models.token_filter import EVERY, TokenFilter, filter_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.exact.readout import Readout, TokenTable
MAX_TABLES = 4
"""Token tables held at a time: both sides of two models, or of both processings of one; GPT-2 small's are 147 MiB
each."""
MAX_GRAMS = 2
MAX_CONTROLS = 6
"""Controls held at a time: one for each table, and the token forms of two models; each has at most half the numbers of
its table."""
MAX_MASKS = 16
"""Masks of trained tokens held at a time, one byte for each token."""

Value = TypeVar("Value")
logger = logging.getLogger(__name__)


class Tables:
    """The token tables and Gram matrices that were used last."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._tables: OrderedDict[tuple[str, str, str, TokenFilter], TokenTable] = OrderedDict()
        self._controls: OrderedDict[Hashable, Any] = OrderedDict()
        self._grams: OrderedDict[tuple[str, str], Tensor] = OrderedDict()
        self._covariances: OrderedDict[tuple[str, str, str], Tensor] = OrderedDict()
        self._trained: OrderedDict[tuple[str, str, str], Tensor] = OrderedDict()
        self.rays = 0
        """Rays read out so far."""
        self.unsettled = 0
        """Rays of these that the quick product alone did not settle."""

    def device(self) -> str:
        """Return the device of readouts: the operator's choice, detected if that is `auto`; ComputationFailed if it is
        missing.
        """
        import torch

        if self._device == "auto":
            self._device = "cuda" if torch.cuda.is_available() else "cpu"
            logger.info("computing on %s", self._device)
        kind, _, number = self._device.partition(":")
        if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
            raise ComputationFailed(f"This server was started with --device {self._device}, which is not here.")
        return self._device

    def let_go(self) -> None:
        """Drop the tables and controls of filtered tokens: a visitor who asks for one waits for it anyway."""
        for held in (self._tables, self._controls):
            for key in [key for key in held if isinstance(key, tuple) and any(_is_filter(part) for part in key)]:
                del held[key]

    def table(
        self, model: OpenModel, processing: Processing, side: str, token_filter: TokenFilter = EVERY
    ) -> "TokenTable":
        """Return the token table of that side (read, write, query or key), limited to the token filter; BadOption if that
        leaves too few.
        """
        end = end_of(model, processing, side)
        key = (model.fingerprint, processing, end, token_filter)
        return _get_or_build(
            self._tables, key, MAX_TABLES, lambda: self._build_table(model, processing, end, token_filter)
        )

    def control(self, key: Hashable, build: Callable[[], Value]) -> Value:
        """Return the control of the table that the key names; `build` makes it where it is not held."""
        held: Value = _get_or_build(self._controls, key, MAX_CONTROLS, build)
        return held

    def note_trained(self, model: OpenModel, processing: Processing, end: str, trained: NDArray[np.bool_]) -> None:
        """Hold the mask of trained tokens at that end [d_vocab], where it was computed elsewhere."""
        import torch

        _get_or_build(
            self._trained, (model.fingerprint, processing, end), MAX_MASKS, lambda: torch.from_numpy(trained.copy())
        )

    def gram(self, model: OpenModel, processing: Processing) -> "Tensor":
        """Return the Gram matrix of written against read tokens, for copying scores."""

        def build() -> "Tensor":
            multiplied = partial(self._build_gram, model, processing)
            gram = _try_in_memory(multiplied)
            if gram is None:
                self._leave_device()
                gram = multiplied()
            return gram

        return _get_or_build(self._grams, (model.fingerprint, processing), MAX_GRAMS, build)

    def covariance(self, model: OpenModel, processing: Processing, side: str) -> "Tensor":
        """Return the covariance of the token vectors that the side is read with: [d_model d_model], on the CPU."""

        def build() -> "Tensor":
            from app.core.gram import covariance

            return run(covariance(self.table(model, processing, side).vectors)).float().cpu()

        return _get_or_build(
            self._covariances, (model.fingerprint, processing, end_of(model, processing, side)), MAX_GRAMS, build
        )

    def first_tokens(
        self, model: OpenModel, processing: Processing, side: str, vectors: "Tensor", k: int
    ) -> NDArray[np.int32]:
        """Find the same first tokens [n 2 k] as `read`, and nothing else, in less time. MemoryError likewise."""
        import torch

        from app.core.exact.readout import read_first_tokens

        parts = self._read_or_fall_back(model, processing, side, vectors, EVERY, partial(read_first_tokens, k=k))
        found: NDArray[np.int32] = torch.cat([part.cpu() for part in parts]).int().numpy()
        return found

    def read(
        self,
        model: OpenModel,
        processing: Processing,
        side: str,
        vectors: "Tensor",
        k: int,
        token_filter: TokenFilter = EVERY,
    ) -> dict[str, NDArray[Any]]:
        """Read out the vectors as arrays, one row each; MemoryError where even the CPU has no room."""
        if len(vectors) == 0:  # a zero matrix has no directions
            nothing = self.read(model, processing, side, vectors.new_zeros(1, vectors.shape[1]), k, token_filter)
            return {name: array[:0] for name, array in nothing.items()}
        from app.core.exact import readout

        readouts = self._read_or_fall_back(model, processing, side, vectors, token_filter, partial(readout.read, k=k))
        self.unsettled += sum(readout.unsettled for readout in readouts)
        return readout_arrays(readouts)

    def _read_or_fall_back(
        self,
        model: OpenModel,
        processing: Processing,
        side: str,
        vectors: "Tensor",
        token_filter: TokenFilter,
        read: "Callable[[TokenTable, Tensor], Value]",
    ) -> list[Value]:
        """Read the vectors batch by batch, on the CPU where the device has no room; MemoryError."""
        read_all = partial(self._read_in_batches, model, processing, side, vectors, token_filter, read)
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
        token_filter: TokenFilter,
        read: "Callable[[TokenTable, Tensor], Value]",
    ) -> list[Value] | None:
        """Read the vectors in batches; None where the device has no room for one vector at a time."""
        table = self.table(model, processing, side, token_filter)
        size = max(1, len(vectors))
        while True:
            found = _try_in_memory(partial(_read_batches, table, vectors, size, read))
            if found is not None or size == 1:
                return found
            size = (size + 1) // 2
            logger.warning("%s is short of memory: reading %d vectors at a time", self._device, size)

    def _build_gram(self, model: OpenModel, processing: Processing) -> "Tensor":
        from app.core.measuring.scores import stream_gram

        for side in ("read", "write"):
            self.table(model, processing, side)  # the second may find no room, and move the first to the CPU
        read, write = (self.table(model, processing, side) for side in ("read", "write"))
        return stream_gram(read.vectors, write.vectors).cpu()

    def _build_table(
        self, model: OpenModel, processing: Processing, end: str, token_filter: TokenFilter
    ) -> "TokenTable":
        import torch

        from app.core.exact.proposal import proposing_dtype
        from app.core.exact.readout import token_table
        from app.core.folding import affine_normed_embedding, fold_unembedding, normed_embedding

        manifest, embeddings = model.manifest, model.weights().embeddings()
        center = manifest.normalization == "LN"
        if processing == "raw":
            vectors = embeddings.W_E if end == "read" else embeddings.W_U.T
        elif end == "read":
            vectors = embeddings.W_E
            if embeddings.embed_gain is not None and embeddings.embed_shift is not None:
                vectors = affine_normed_embedding(vectors, embeddings.embed_gain, embeddings.embed_shift, manifest.eps)
            if manifest.reads_normed:
                vectors = normed_embedding(vectors, center, manifest.eps)
        else:
            vectors = fold_unembedding(embeddings.W_U, embeddings.final_gain, center).T
        passing = torch.from_numpy(filter_tokens(model.vocabulary, token_filter))
        if token_filter.plain:
            passing &= self._find_trained(model, processing, end, vectors)
        if token_filter:
            require_tokens(model, token_filter, int(passing.sum()))
        if token_filter.readout == "cosine":
            vectors = torch.nn.functional.normalize(vectors, dim=1)  # a vector of zeros stays one
        device = self.device()
        table = _try_in_memory(lambda: token_table(vectors.to(device), passing, proposing_dtype(device)))
        if table is None:
            self._leave_device()
            table = token_table(vectors, passing, proposing_dtype(self._device))
        return table

    def _find_trained(self, model: OpenModel, processing: Processing, end: str, vectors: "Tensor") -> "Tensor":
        """Find the tokens that training has moved at that end, from its vectors: [d_vocab], kept for the next filter."""

        def build() -> "Tensor":
            import torch

            from app.core.exact.proposal import proposing_dtype
            from app.core.judging.collapse import is_trained

            trained = torch.from_numpy(model.vocabulary.known.copy())
            trained[trained.clone()] = is_trained(vectors[trained], proposing_dtype("cpu"))
            return trained

        return _get_or_build(self._trained, (model.fingerprint, processing, end), MAX_MASKS, build)

    def _leave_device(self) -> None:
        import torch

        logger.warning("%s has too little free memory: computing on the CPU from now on", self._device)
        self._device = "cpu"
        self._tables.clear()
        self._controls.clear()
        torch.cuda.empty_cache()  # others may use the freed memory; does nothing without a GPU


def _is_filter(part: object) -> bool:
    return isinstance(part, TokenFilter) and part != EVERY


def _try_in_memory(work: Callable[[], Value]) -> Value | None:
    """Return the result of the work, or None where the device's memory is exhausted.

    The error does not leave here: its traceback would hold on to the attempt's tensors.
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


def _get_or_build(held: OrderedDict[Any, Value], key: object, most: int, build: Callable[[], Value]) -> Value:
    """Return the value of the key, built if it is not held; the least recently used ones make room before that."""
    if key in held:
        held.move_to_end(key)
        return held[key]
    while len(held) >= most:
        held.popitem(last=False)
    held[key] = build()
    return held[key]


def readout_arrays(parts: "list[Readout]") -> dict[str, NDArray[Any]]:
    """Return readouts as the arrays of an artifact, one row for each vector."""
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
