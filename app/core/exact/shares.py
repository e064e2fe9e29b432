"""Shares of one batch, each computed by cores of its own.

Torch shares one operation after the other among the cores, which wait for each other at the end of each, and for work
that runs on one core alone. With a share for each core they seldom wait. Knows nothing of what is computed.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import torch
from jaxtyping import Shaped
from torch import Tensor

from app.core.policy import takes_gpu_way

MOST = 8
"""Shares at most: each takes memory of its own."""

Item = TypeVar("Item")
Value = TypeVar("Value")


def map_shares(work: Callable[[Tensor], Value], rows: Shaped[Tensor, "n *size"], least: int, most: int) -> list[Value]:
    """Map consecutive rows by the work, in order: `most` at a time, on a CPU in shares of `least` and more.

    Sets torch's number of threads meanwhile: one caller at a time.
    """
    n_shares = max(1, min(torch.get_num_threads(), shares_of(rows), len(rows) // least))
    return map_side_by_side(work, torch.split(rows, min(most, -(-len(rows) // n_shares))), n_shares)


def shares_of(where: Tensor | str) -> int:
    """Return how many shares work on that tensor, or on that device, has at most: a GPU gains nothing from several."""
    return 1 if takes_gpu_way(where) else MOST


def map_side_by_side(work: Callable[[Item], Value], items: Sequence[Item], n_shares: int = MOST) -> list[Value]:
    """Map the items by the work, in order, as many at a time as there are cores, or `n_shares` at most.

    Sets torch's number of threads meanwhile: one caller at a time.
    """
    threads = torch.get_num_threads()
    n_shares = max(1, min(threads, n_shares, len(items)))
    if n_shares == 1:
        return [work(item) for item in items]
    inferring, each = torch.is_inference_mode_enabled(), threads // n_shares

    def work_apart(item: Item) -> Value:
        torch.set_num_threads(each)
        with torch.inference_mode(inferring):  # inference mode is set thread by thread
            return work(item)

    torch.set_num_threads(each)
    try:
        futures = [_thread_pool(n_shares).submit(work_apart, item) for item in items]
        wait(futures)  # for all, so that nothing still runs when one has failed
        return [future.result() for future in futures]
    finally:
        torch.set_num_threads(threads)


@cache
def _thread_pool(n_shares: int) -> ThreadPoolExecutor:
    """Return the pool of threads, kept: each new one would allocate memory that the system does not get back."""
    return ThreadPoolExecutor(n_shares, "share")
