"""Shares of one batch, each worked on by cores of its own.

Torch shares one operation after the other among the cores, which wait for each other at the end of each, and for what
runs on one core alone. With a share for each core they seldom wait. Knows nothing of what is done.
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
"""Shares: each takes memory of its own."""

Item = TypeVar("Item")
Value = TypeVar("Value")


def shared(work: Callable[[Tensor], Value], rows: Shaped[Tensor, "n *size"], least: int, most: int) -> list[Value]:
    """What the work gives for consecutive rows, in order: `most` at a time, on a CPU in shares of `least` and more.

    Meanwhile torch has another number of threads: one caller at a time.
    """
    n_shares = max(1, min(torch.get_num_threads(), shares_of(rows), len(rows) // least))
    return side_by_side(work, torch.split(rows, min(most, -(-len(rows) // n_shares))), n_shares)


def shares_of(where: Tensor | str) -> int:
    """How many shares work on that tensor, or on that device, has at most: a GPU has no use for several."""
    return 1 if takes_gpu_way(where) else MOST


def side_by_side(work: Callable[[Item], Value], items: Sequence[Item], n_shares: int = MOST) -> list[Value]:
    """What the work gives for each item, in order, as many at a time as there are cores, or `n_shares` at most.

    Meanwhile torch has another number of threads: one caller at a time.
    """
    threads = torch.get_num_threads()
    n_shares = max(1, min(threads, n_shares, len(items)))
    if n_shares == 1:
        return [work(item) for item in items]
    inferring, each = torch.is_inference_mode_enabled(), threads // n_shares

    def apart(item: Item) -> Value:
        torch.set_num_threads(each)
        with torch.inference_mode(inferring):  # which is said anew in each thread
            return work(item)

    torch.set_num_threads(each)
    try:
        futures = [_threads(n_shares).submit(apart, item) for item in items]
        wait(futures)  # all of them, so that nothing is still going on when one has failed
        return [future.result() for future in futures]
    finally:
        torch.set_num_threads(threads)


@cache
def _threads(n_shares: int) -> ThreadPoolExecutor:
    """They stay: each new one would begin with memory of its own, which the system does not get back."""
    return ThreadPoolExecutor(n_shares, "share")
