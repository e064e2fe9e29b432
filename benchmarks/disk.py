"""Artifacts of a layer on disk: the seconds that writing takes, and the bytes of a head, without and with its vectors."""

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
from app.store.sealed import unseal
from app.store.shelf import SUFFIX
from benchmarks.shapes import Ends, Shape, layer_heads
from benchmarks.ways import SIDES, Layer, our_layer, our_tables

STORED = {torch.int64: np.int32, torch.float64: np.float32}
"""As artifacts have it."""
QUOTA_BYTES = 2**40


class Written(NamedTuple):
    """What writing one layer came to."""

    seconds: float
    head: float
    """Bytes of a head's artifacts, OV and QK."""
    vectors: float
    """Bytes that its singular vectors would take besides."""


def written(shape: Shape, ends: Ends, folder: Path) -> Written:
    """Compute a layer, then write an artifact for each matrix: every side's tokens, scores and histogram."""
    heads = layer_heads(shape, 0, str(ends.W_E.device))
    layer = our_layer(heads, *our_tables(ends, torch.float32))
    store = ArtifactStore(folder, QUOTA_BYTES)
    started = time.perf_counter()
    for subject, arrays in _artifacts(layer):
        store.write(Recipe("0" * 64, "decomposition", subject, "raw", "svd"), arrays, {})
    seconds = time.perf_counter() - started
    size, vectors, _ = artifact_bytes(folder, shape.d_model)
    return Written(seconds, size / shape.n_heads, vectors / shape.n_heads)


def artifact_bytes(folder: Path, d_model: int) -> tuple[int, int, int]:
    """Bytes of the matrices' artifacts below the folder, bytes that their vectors would take, how many there are."""
    size, vectors, count = 0, 0, 0
    for circuit in CIRCUITS:
        for file in folder.glob(f"*/L*/H*/{circuit}/*{SUFFIX}"):
            data = file.read_bytes()
            arrays = unseal(data).arrays
            size, count = size + len(data), count + 1
            vectors += 2 * d_model * arrays["strength"].nbytes
    return size, vectors, count


def _artifacts(layer: Layer) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """Each matrix's arrays: its rows of the readouts, and its own."""
    baked = {
        (circuit, head): {"strength": _stored(one.strength)}
        for circuit, found in layer.terms.items()
        for head, one in enumerate(found)
    }
    for table, sides in SIDES.items():
        readout: Readout = getattr(layer, table)
        columns = {field.name: getattr(readout, field.name) for field in fields(Readout)}
        kept = {name: _stored(column) for name, column in columns.items() if isinstance(column, Tensor)}
        row = 0
        for circuit, side in sides:
            for head, one in enumerate(layer.terms[circuit]):
                mine = slice(row, row + len(one.strength))
                baked[circuit, head] |= {f"{side}_{name}": column[mine] for name, column in kept.items()}
                row = mine.stop
    for (circuit, head), arrays in baked.items():
        yield f"L0/H{head}/{circuit}", arrays


def _stored(column: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = column.cpu().numpy()
    return array.astype(STORED.get(column.dtype, array.dtype))
