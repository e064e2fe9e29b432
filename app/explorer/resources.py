"""What the explorer holds while a server runs: built once, passed as the first argument, closed at the end.

It holds things; it never does things.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from app.explorer.compute import ComputeQueue
from app.explorer.imports import Imports
from app.explorer.library import Library
from app.explorer.making.tables import Tables
from app.explorer.pages import Processing
from app.explorer.running.children import Children
from app.models.catalog import Catalog
from app.models.naming import Named, name_models
from app.store.artifacts import ArtifactStore
from app.store.jobs import JobStore
from app.store.presence import Presence

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
    """What is being precomputed, here or by another process with the same folder."""
    queue: ComputeQueue
    tables: Tables
    """For the queue's worker only."""


def open_resources(
    *,
    data: Path,
    models: tuple[str, ...],
    device: str,
    weights: Processing,
    quota_bytes: int,
    queue_size: int,
    wait_seconds: float,
    waiters: int,
    named: tuple[Named, ...] | None = None,
) -> Resources:
    """Open everything and start importing the models that are missing; close with `close_resources`.

    `named`: what `name_models` said of these models, so that no folder is compared twice.
    """
    data = data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    presence = Presence(data)
    if named is None:
        named = name_models(data, models, logger.info)
    # The demo is here in seconds; others may first have to be fetched.
    named_first = sorted(named, key=lambda each: each.source != "demo")
    missing = {each.slug: each.source for each in named_first if not each.is_here}
    return Resources(
        data=data,
        slugs=tuple(each.slug for each in named),
        default_weights=weights,
        library=Library(Catalog(data)),
        children=Children(),
        imports=Imports(data, missing),
        presence=presence,
        store=ArtifactStore(data / "artifacts", quota_bytes),
        jobs=JobStore(data / "jobs"),
        queue=ComputeQueue(queue_size, wait_seconds, waiters),
        tables=Tables(device),
    )


def close_resources(r: Resources) -> None:
    """Stop the worker and any import; no child outlives this."""
    r.imports.close()
    r.queue.close()
    r.children.close()
    r.presence.leave()
