"""What the explorer holds while a server runs: built once, passed as the first argument, closed at the end.

It holds things; it never does things.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from app.explorer.library import Library
from app.explorer.running.children import Children
from app.explorer.running.imports import Imports
from app.explorer.running.processes import start_process
from app.explorer.running.queue import ComputeQueue, Hired
from app.explorer.view import Processing
from app.models.catalog import Catalog
from app.models.naming import Named, name_models
from app.store.artifacts import MEMORY_BYTES, ArtifactStore
from app.store.jobs import JobStore
from app.store.memory import GROWS, Memory
from app.store.presence import Presence

StartWorker = Callable[[Children, Path, str, int], Hired]
"""Given who starts processes, the data folder, the device and the quota in bytes."""

BANKS_BYTES = int(GROWS * 512 * 2**20)
"""Of banks and tables of words in memory, of all models together: 512 MiB of numbers."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resources:
    """What every verb of the explorer is given."""

    data: Path
    """Folder of weights and artifacts."""
    slugs: tuple[str, ...]
    """The models of this server, in the operator's order."""
    default_weights: Processing
    """Weight processing shown unless a visitor chooses."""
    library: Library
    children: Children
    """Every process that this server starts."""
    imports: Imports
    presence: Presence
    """Says to whoever cleans the folder up that it is in use."""
    store: ArtifactStore
    jobs: JobStore
    """What is being imported or precomputed, here or by another process with the same folder."""
    queue: ComputeQueue
    banks: Memory = field(default_factory=partial(Memory, BANKS_BYTES))
    """Of the banks that are open what is held in memory, whatever is made of them counted with it."""


def open_resources(
    *,
    data: Path,
    models: tuple[str, ...],
    device: str,
    weights: Processing,
    quota_bytes: int,
    memory_bytes: int = MEMORY_BYTES,
    queue_size: int,
    wait_seconds: float,
    waiters: int,
    named: tuple[Named, ...] | None = None,
    start_worker: StartWorker = start_process,
) -> Resources:
    """Open everything; close with `close_resources`. Models that are missing wait to be brought.

    `named`: what `name_models` said of these models, so that no folder is compared twice. `start_worker`: how what computes
    is started, when there is something to be computed.
    """
    data = data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    presence = Presence(data)
    if named is None:
        named = name_models(data, models, logger.info)
    # The demo is here in seconds; others may first have to be fetched.
    named_first = sorted(named, key=lambda each: each.source != "demo")
    missing = {each.slug: each.source for each in named_first if not each.is_here}
    jobs = JobStore(data / "jobs")
    children = Children()
    store = ArtifactStore(data / "artifacts", quota_bytes, memory_bytes=memory_bytes)
    start = partial(start_worker, children, data, device, quota_bytes)
    return Resources(
        data=data,
        slugs=tuple(each.slug for each in named),
        default_weights=weights,
        library=Library(Catalog(data)),
        children=children,
        imports=Imports(jobs, missing),
        presence=presence,
        store=store,
        jobs=jobs,
        queue=ComputeQueue(store, start, size=queue_size, wait_seconds=wait_seconds, waiters=waiters),
    )


def close_resources(r: Resources) -> None:
    """Stop the worker; no child outlives this."""
    r.queue.close()
    r.children.close()
    r.presence.leave()
