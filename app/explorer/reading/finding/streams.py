"""Rows of numbers that lie on disk, gone through block by block: read into buffers that stay in the cache.

Knows not what the numbers are of.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from threading import local
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.store.located import Located

BLOCK_BYTES = 2**20
"""Of numbers in float32 that are read at a time."""
READERS = 2
"""Threads that read and multiply."""

_room = local()
"""A thread's buffers: memory that is handed out afresh for each block would cost as much as what is done in it."""

Item = TypeVar("Item")


def read_rows(
    place: Located, handle: int, name: str, first: int, out: NDArray[np.float32], room: NDArray[Any] | None = None
) -> None:
    """Fill `out` with rows of the array from `first` on, which may be in float16; `room` is where these are put before."""
    dtype = place.stretches[name].dtype
    if dtype == np.float32:
        place.read_into(handle, name, first, out)
        return
    few = np.empty(out.shape, dtype) if room is None else room.reshape(-1).view(dtype)[: out.size].reshape(out.shape)
    place.read_into(handle, name, first, few)
    widen(few, out)


def multiply(
    place: Located,
    name: str,
    query: NDArray[np.float32],
    out: NDArray[np.float32],
    where: NDArray[np.bool_] | None = None,
) -> None:
    """The product of each row of the array with the query; blocks of which nothing is asked for are left as they are."""
    n, d = place.stretches[name].shape
    size = max(1, BLOCK_BYTES // (4 * d))
    block, room = _buffers(size, d)
    with place.opened() as handle:
        for first in range(0, n, size):
            own = slice(first, min(first + size, n))
            if where is None or where[own].any():
                rows = block[: own.stop - first]
                read_rows(place, handle, name, first, rows, room)
                np.dot(rows, query, out=out[own])


def widen(few: NDArray[np.float16], out: NDArray[np.float32]) -> None:
    """The finite numbers in float32: by their bits, which takes numpy an eighth of the time of its own way.

    A float16 has 5 bits of exponent from 2^-14 and a float32 8 from 2^-126: with the bits moved to their places, it is
    2^112 times too small.
    """
    bits = out.view(np.int32)
    np.copyto(bits, few.view(np.int16))
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, np.int32(-0x70000001), out=bits)  # of the signs that stand before the number, one
    np.multiply(out, np.float32(2.0**112), out=out)


def side_by_side(work: Callable[[Item], None], items: Iterable[Item]) -> None:
    """Do the work with each of the items, some at a time; the first error of any, once all are done or dropped."""
    begun = [_readers().submit(work, item) for item in items]
    try:
        for each in begun:
            each.result()
    finally:
        wait([each for each in begun if not each.cancel()])  # they write into what the caller lets go of


def _buffers(n: int, d: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """This thread's own, two of that shape."""
    held: NDArray[np.float32] | None = getattr(_room, "held", None)
    if held is None or held.size < 2 * n * d:
        held = _room.held = np.empty(2 * n * d, np.float32)
    return held[: n * d].reshape(n, d), held[n * d : 2 * n * d].reshape(n, d)


@cache
def _readers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(READERS, "bank")
