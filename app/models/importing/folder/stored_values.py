"""A checkpoint's tensors read into torch, never mapped, and proven to be those of its fingerprint.

Reading a mapped file that someone else truncates meanwhile would end the process.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from app.models.importing.folder.checkpoint import Checkpoint
from app.models.importing.folder.header import Stored
from app.models.refusal import ImportRefused

DTYPES = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "BOOL": torch.bool,
} | {"U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64}
"""Dtypes of weights, and of the buffers that old checkpoints store beside them."""
PIECE = 1 << 22
"""Numbers checked at a time."""


def read_tensor(checkpoint: Checkpoint, stored: Stored) -> Tensor:
    """Read the whole tensor; ImportRefused if it was changed since the checkpoint's fingerprint."""
    raw = bytearray(stored.end - stored.start)
    at = 0
    for piece in checkpoint.pieces(stored):
        raw[at : at + len(piece)] = piece
        at += len(piece)
    return _as_tensor(raw, stored, stored.shape)


def read_blocks(checkpoint: Checkpoint, stored: Stored, n_rows: int) -> Iterator[tuple[slice, Tensor]]:
    """Yield (rows, their values), `n_rows` at a time; ImportRefused after the last if the tensor was changed."""
    at = 0
    for piece in checkpoint.pieces(stored, n_rows * _row_bytes(stored)):
        rows = slice(at, at + len(piece) // _row_bytes(stored))
        yield rows, _as_tensor(bytearray(piece), stored, (rows.stop - rows.start, *stored.shape[1:]))
        at = rows.stop


def read_rows(stored: Stored, rows: Sequence[int]) -> Tensor:
    """Read these rows only, unproven: for values that are run and not kept."""
    width = _row_bytes(stored)
    raw = bytearray()
    with stored.file.open("rb") as file:
        for row in rows:
            file.seek(stored.start + row * width)
            raw += file.read(width)
    if len(raw) != len(rows) * width:
        raise OSError(f"{stored.file.name} was cut short while it was read")
    return _as_tensor(raw, stored, (len(rows), *stored.shape[1:]))


def refuse_unfinite(name: str, tensor: Tensor) -> None:
    """Raise ImportRefused if a value is not finite, or not in float32, in which models are run and read."""
    for part in torch.split(tensor.reshape(-1), PIECE):
        if not torch.isfinite(part).all():
            raise ImportRefused(f"{name} holds values that are no numbers (NaN or infinity)")
        if not torch.isfinite(part.float()).all():
            raise ImportRefused(
                f"{name} holds numbers of up to {part.abs().max():.3g}, beyond float32, in which weights are read: its "
                f"numbers go to {torch.finfo(torch.float32).max:.3g}"
            )


def _row_bytes(stored: Stored) -> int:
    return (stored.end - stored.start) // stored.shape[0]


def _as_tensor(raw: bytearray, stored: Stored, shape: tuple[int, ...]) -> Tensor:
    dtype = DTYPES[stored.dtype]
    return torch.frombuffer(raw, dtype=dtype).reshape(shape) if raw else torch.empty(shape, dtype=dtype)
