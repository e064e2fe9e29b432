"""Matrices that are computed one at a time, for a job: all but the singular directions of heads and MLPs.

One is taken by a lock on the file of its weights, so that no two processes are at the same; what another process is at
comes again later. Knows nothing of how a matrix is taken apart.
"""

import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from app.core.address import Address
from app.explorer.library import OpenModel
from app.explorer.pages import Processing
from app.models.weights import EMBEDDINGS_FILE, layer_file
from app.store.locks import claimed

WAIT_SECONDS = 0.5
"""Before another look whether other processes are done."""

Single = tuple[Processing, Address]


def singles(model: OpenModel, wanted: list[Single]) -> Iterator[Single | None]:
    """Each of them while this process has it to itself; None while others are at all that are left."""
    todo = deque(wanted)
    waiting = 0
    while todo:
        processing, address = todo.popleft()
        file = EMBEDDINGS_FILE if address.layer is None else layer_file(address.layer)
        claim: int | None = None
        with suppress(OSError):  # weights that are not there are told of by who reads them
            claim = claimed(model.folder / file)
            if claim is None:
                todo.append((processing, address))
                waiting += 1
                if waiting >= len(todo):
                    waiting = 0
                    yield None
                    time.sleep(WAIT_SECONDS)
                continue
        waiting = 0
        try:
            yield processing, address
        finally:
            if claim is not None:
                os.close(claim)
