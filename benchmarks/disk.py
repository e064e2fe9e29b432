"""The artifacts of a layer on disk: seconds to write them, and bytes of a head, without and with its vectors."""

import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.core.circuits import CIRCUITS
from app.core.exact.readout import Readout
from app.store.artifacts import ArtifactStore, Recipe
from app.store.sealed import unseal_contents
from app.store.shelf import SUFFIX
from benchmarks.shapes import Ends, Shape, draw_heads
from benchmarks.ways import SIDES, Layer, compute_layer, make_tables

STORED_TYPES = {torch.int64: np.int32, torch.float64: np.float32}
"""Array types of an artifact."""
QUOTA_BYTES = 2**40


class Written(NamedTuple):
    """The seconds and bytes of one layer's artifacts."""

    seconds: float
    head: float
    """Bytes of a head's artifacts, OV and QK."""
    vectors: float
    """Bytes that its singular vectors would take besides."""


def measure_writing(shape: Shape, ends: Ends, folder: Path) -> Written:
    """Compute a layer and write an artifact for each matrix: every side's tokens, scores and histogram."""
    heads = draw_heads(shape, 0, str(ends.W_E.device))
    layer = compute_layer(heads, *make_tables(ends, torch.float32))
    store = ArtifactStore(folder, QUOTA_BYTES)
    started = time.perf_counter()
    for subject, arrays in _make_artifacts(layer):
        store.write(Recipe("0" * 64, "decomposition", subject, "raw", "svd"), arrays, {})
    seconds = time.perf_counter() - started
    size, vectors, _ = count_artifact_bytes(folder, shape.d_model)
    return Written(seconds, size / shape.n_heads, vectors / shape.n_heads)


def count_artifact_bytes(folder: Path, d_model: int) -> tuple[int, int, int]:
    """Count the artifacts below the folder: their bytes, the bytes that their vectors would take, their number."""
    size, vectors, count = 0, 0, 0
    for circuit in CIRCUITS:
        for file in folder.glob(f"*/L*/H*/{circuit}/*{SUFFIX}"):
            data = file.read_bytes()
            arrays = unseal_contents(data).arrays
            size, count = size + len(data), count + 1
            vectors += 2 * d_model * arrays["strength"].nbytes
    return size, vectors, count


def _make_artifacts(layer: Layer) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """Make each matrix's arrays: its rows of the readouts, and its own."""
    baked = {
        (circuit, head): {"strength": _as_stored(one.strength)}
        for circuit, found in layer.terms.items()
        for head, one in enumerate(found)
    }
    for table, sides in SIDES.items():
        readout: Readout = getattr(layer, table)
        columns = {field.name: getattr(readout, field.name) for field in fields(Readout)}
        kept = {name: _as_stored(column) for name, column in columns.items() if isinstance(column, Tensor)}
        row = 0
        for circuit, side in sides:
            for head, one in enumerate(layer.terms[circuit]):
                mine = slice(row, row + len(one.strength))
                baked[circuit, head] |= {f"{side}_{name}": column[mine] for name, column in kept.items()}
                row = mine.stop
    for (circuit, head), arrays in baked.items():
        yield f"L0/H{head}/{circuit}", arrays


def _as_stored(column: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = column.cpu().numpy()
    return array.astype(STORED_TYPES.get(column.dtype, array.dtype))
