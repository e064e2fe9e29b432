"""The resources that the explorer holds while a server runs: built once, passed as the first argument, closed at the
end.

It holds things; it never does things.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from app.explorer.library import Library
from app.explorer.running.batches import Batches
from app.explorer.running.children import Children
from app.explorer.running.imports import Imports
from app.explorer.running.processes import start_live_process, start_process
from app.explorer.running.prompts import Limits, Prompts
from app.explorer.running.queue import ComputeQueue, WorkerHandle
from app.explorer.view import Processing
from app.models.catalog import Catalog
from app.models.naming import Named, name_models
from app.store.artifacts import MEMORY_BYTES, ArtifactStore
from app.store.experiments import ExperimentStore
from app.store.jobs import JobStore
from app.store.memory import GROWTH_FACTOR, Memory
from app.store.presence import Presence
from app.store.prompts import FOLDER, PromptStore

StartWorker = Callable[[Children, Path, str, int], WorkerHandle]
"""The call that starts a worker, given the starter of processes, the data folder, the device and the quota in bytes."""
StartLive = Callable[[Children, Path, str], WorkerHandle]
"""The call that starts a live model, given the starter of processes, the data folder and the device."""

PROMPT_WAITERS = 8
"""Prompts that may wait for a model."""
BANKS_BYTES = int(GROWTH_FACTOR * 512 * 2**20)
"""The budget in bytes for banks and word tables in memory, for all models together: 512 MiB of numbers."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resources:
    """The resources that every verb of the explorer is given."""

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
    """Marks the data folder as in use for whoever cleans it up."""
    store: ArtifactStore
    jobs: JobStore
    """Jobs that import or precompute, here or in another process with the same folder."""
    queue: ComputeQueue
    prompts: Prompts | None
    """Prompts of visitors; None where models are not run."""
    computes_for_visits: bool = True
    """False where visits see what is there, and have nothing computed."""
    banks: Memory = field(default_factory=partial(Memory, BANKS_BYTES))
    """The parts of open banks that are held in memory, and whatever is derived from them."""


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
    prompts: Limits | None = None,
    prompt_waiters: int = PROMPT_WAITERS,
    start_live: StartLive = start_live_process,
    computes_for_visits: bool = True,
) -> Resources:
    """Open all resources; close them with `close_resources`. Missing models wait to be imported.

    `named`: the result of `name_models` for these models, so that no folder is compared twice. `start_worker`: starts
    the worker, when there is something to be computed; `start_live` the live model, when there is a prompt. `prompts`:
    what a prompt may be; None: models are not run.
    """
    data = data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    presence = Presence(data)
    if named is None:
        named = name_models(data, models, logger.info)
    # The demo is imported in seconds; others may first have to be fetched.
    named_first = sorted(named, key=lambda each: each.source != "demo")
    missing = {each.slug: each.source for each in named_first if not each.is_here}
    jobs = JobStore(data / "jobs")
    children = Children()
    store = ArtifactStore(data / "artifacts", quota_bytes, memory_bytes=memory_bytes)
    start = partial(start_worker, children, data, device, quota_bytes)

    def open_prompts(limits: Limits) -> Prompts:
        kept, start = PromptStore(data / FOLDER), partial(start_live, children, data, device)
        line = ComputeQueue(
            kept.results, start, size=prompt_waiters, wait_seconds=wait_seconds, waiters=waiters, called="live model"
        )
        return Prompts(kept, ExperimentStore(data / FOLDER), line, Batches(line), limits)

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
        prompts=None if prompts is None else open_prompts(prompts),
        computes_for_visits=computes_for_visits,
    )


def close_resources(r: Resources) -> None:
    """Stop the worker and the live model, and end all children."""
    r.queue.close()
    if r.prompts is not None:
        r.prompts.batches.close()
        r.prompts.queue.close()
    r.children.close()
    r.presence.leave()
