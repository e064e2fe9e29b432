"""Shares of one batch, each worked on by cores of its own.

Torch shares one operation after the other among the cores, which wait for each other at the end of each, and for what
runs on one core alone. With a share for each core they seldom wait. Knows nothing of what is done.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    n_shares = 1 if takes_gpu_way(rows) else max(1, min(torch.get_num_threads(), MOST, len(rows) // least))
    return side_by_side(work, torch.split(rows, min(most, -(-len(rows) // n_shares))), n_shares)


def side_by_side(work: Callable[[Item], Value], items: Sequence[Item], n_shares: int = MOST) -> list[Value]:
    """What the work gives for each item, in order, as many at a time as there are cores, or `n_shares` at most.

    Meanwhile torch has another number of threads: one caller at a time.
    """
    threads = torch.get_num_threads()
    n_shares = max(1, min(threads, n_shares, len(items)))
    if n_shares == 1:
        return [work(item) for item in items]
    inferring = torch.is_inference_mode_enabled()

    def apart(item: Item) -> Value:
        with torch.inference_mode(inferring):  # which is said anew in each thread
            return work(item)

    torch.set_num_threads(threads // n_shares)
    try:
        with ThreadPoolExecutor(n_shares, "share") as pool:
            return list(pool.map(apart, items))
    finally:
        torch.set_num_threads(threads)
