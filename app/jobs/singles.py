"""Matrices that are computed one at a time, for a job: all but the singular directions of heads and MLPs.

One is taken by a lock on the file of its weights, so that no two processes are at the same; what another process is at
comes again later. Knows nothing of how a matrix is taken apart.
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
from app.store.locks import claimed

WAIT_SECONDS = 0.5
"""Before another look whether other processes are done."""

Single = tuple[Processing, Address]
Item = TypeVar("Item")


def singles(model: OpenModel, wanted: list[Single]) -> Iterator[Single | None]:
    """Each of them while this process has it to itself; None while others are at all that are left."""
    return in_turn(model, wanted, lambda single: single[1].layer)


def in_turn(model: OpenModel, wanted: Sequence[Item], layer_of: Callable[[Item], int | None]) -> Iterator[Item | None]:
    """The same of anything that is made of one layer's weights, or (None) of those of the model's ends."""
    todo = deque(wanted)
    waiting = 0
    while todo:
        item = todo.popleft()
        layer = layer_of(item)
        file = EMBEDDINGS_FILE if layer is None else layer_file(layer)
        claim: int | None = None
        with suppress(OSError):  # weights that are not there are told of by who reads them
            claim = claimed(model.folder / file)
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
