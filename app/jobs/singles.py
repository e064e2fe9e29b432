"""The matrices that a job computes one at a time: all but the singular directions of heads and MLPs.

A matrix is claimed by a lock on the file of its weights, so that no two processes are at the same; one that another
process has comes again later. Knows nothing of how a matrix is decomposed.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from app.core.address import Address
from app.explorer.library import OpenModel
from app.explorer.view import Processing
from app.models.weights import EMBEDDINGS_FILE, layer_file
from app.store.locks import claim_file

WAIT_SECONDS = 0.5
"""Seconds before the next check whether other processes are done."""

Single = tuple[Processing, Address]
Item = TypeVar("Item")


def claim_singles(model: OpenModel, wanted: list[Single]) -> Iterator[Single | None]:
    """Yield each matrix while this process has it to itself; None while other processes have all that are left."""
    return claim_in_turn(model, wanted, lambda single: single[1].layer)


def claim_in_turn(
    model: OpenModel, wanted: Sequence[Item], layer_of: Callable[[Item], int | None]
) -> Iterator[Item | None]:
    """Yield each item while this process has its layer's weights, or (None) the model's ends, to itself; None while
    others have all.
    """
    todo = deque(wanted)
    waiting = 0
    while todo:
        item = todo.popleft()
        layer = layer_of(item)
        file = EMBEDDINGS_FILE if layer is None else layer_file(layer)
        claim: int | None = None
        with suppress(OSError):  # missing weights are reported by whoever reads them
            claim = claim_file(model.folder / file)
            if claim is None:
                todo.append(item)
                waiting += 1
                if waiting >= len(todo):
                    waiting = 0
                    yield None
                    time.sleep(WAIT_SECONDS)
                continue
        waiting = 0
        try:
            yield item
        finally:
            if claim is not None:
                os.close(claim)
