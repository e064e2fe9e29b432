"""Parts of a model's bank on disk: which are there, proven once by each server, and what a change costs.

A part is found by its recipe, so that one of another weight processing, model or format is never taken for it. Knows
nothing of what is in them.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from app.explorer.bank import parts_of
from app.explorer.errors import ComputationFailed, NotBuilt
from app.explorer.library import OpenModel
from app.explorer.resources import Resources
from app.explorer.view import Processing
from app.store.artifacts import TOUCH_SECONDS, Artifact, ArtifactStore, Located, Recipe
from app.store.grounds import note_artifact, note_now
from app.store.located import Changed, Stamp

logger = logging.getLogger(__name__)

MOST_PROVEN_BYTES = 512 * 2**20
"""Bytes that are proven before the first answer, which takes half a second; all parts of a model of 8 billion weights
would take half a minute."""

Value = TypeVar("Value")

_opening = Lock()
_proving: WeakKeyDictionary[ArtifactStore, set[Recipe]] = WeakKeyDictionary()
"""Large parts that a thread is proving."""
_known_recipes: WeakKeyDictionary[OpenModel, dict[Processing, tuple[Recipe, ...]]] = WeakKeyDictionary()
"""Recipes of each open model: hundreds of hashes, which never change."""
_touched: WeakKeyDictionary[ArtifactStore, dict[Recipe, float]] = WeakKeyDictionary()
"""When each part was last noted as used, on the monotonic clock."""


def recipes_for(model: OpenModel, processing: Processing) -> tuple[Recipe, ...]:
    """Return the recipes of all parts of the bank."""
    of_model = _known_recipes.setdefault(model, {})
    if processing not in of_model:
        of_model[processing] = tuple(parts_of(model, processing))
    return of_model[processing]


@dataclass(frozen=True)
class HeldParts(Generic[Value]):
    """A value built from parts, cached in memory, with the stamps of their files."""

    stamps: tuple[Stamp | None, ...]
    value: Value


def get_or_build(
    r: Resources,
    model: OpenModel,
    processing: Processing,
    name: str,
    parts: Sequence[Recipe],
    build: Callable[[], Value],
    size: Callable[[Value], int],
) -> Value:
    """Return the cached value built from the parts, or build it; a changed file makes it build again.

    `size` counts its bytes. One value is built at a time, over all models, so that no two threads do the same work or
    hold two copies. Raises what `build` does, and ComputationFailed where a file has changed under it.
    """
    key, stamps = (name, model.fingerprint, processing), stamps_of(r, parts)
    found: HeldParts[Value] | None = r.banks.get(key)
    if found is None or found.stamps != stamps:
        with _opening, report_changes(model):
            found = r.banks.get(key)  # another thread may have built it by now
            if found is None or found.stamps != stamps:
                found = HeldParts(stamps, build())
                r.banks.put(key, found, size(found.value))
    return found.value


def stamps_of(r: Resources, parts: Sequence[Recipe]) -> tuple[Stamp | None, ...]:
    """Stamp each part's file, None for a missing one; noted as used, and as a ground of the answer."""
    stamps = tuple(r.store.stamp(part) for part in parts)
    touched, now = _touched.setdefault(r.store, {}), time.monotonic()
    for part, stamp in zip(parts, stamps, strict=True):
        if stamp is None:
            note_now()
            continue
        note_artifact(r.store.path(part))
        if now - touched.get(part, -TOUCH_SECONDS) >= TOUCH_SECONDS:
            touched[part] = now
            r.store.touch(r.store.path(part))
    return stamps


def locate_parts(r: Resources, parts: Sequence[Recipe]) -> list[tuple[Recipe, Located]]:
    """Locate the parts that are there and whole.

    Beyond PROVEN_BYTES a part is trusted by its header, until the thread started here has proven it.
    """
    later = _select_unproven(r.store, parts)
    found = [(part, r.store.locate(part, prove=part not in later)) for part in parts]
    if later:
        _prove_parts(r.store, later)
    return [(part, place) for part, place in found if place is not None]


def _select_unproven(store: ArtifactStore, parts: Sequence[Recipe]) -> list[Recipe]:
    """Select the unproven parts beyond PROVEN_BYTES."""
    later, total = [], 0
    for part in parts:
        stamp = store.stamp(part)
        if stamp is not None and not store.is_proven(part):
            total += stamp.size
            if total > MOST_PROVEN_BYTES:
                later.append(part)
    return later


def _prove_parts(store: ArtifactStore, parts: Sequence[Recipe]) -> None:
    """Prove the parts in a thread of its own; a damaged one is set aside, and left out next time."""
    proving = _proving.setdefault(store, set())
    own = [part for part in parts if part not in proving]

    def work() -> None:
        try:
            for part in own:
                store.locate(part)
        finally:
            # after an error they are proven again on the next request
            proving.difference_update(own)

    if own:
        proving.update(own)
        Thread(target=work, name="prove", daemon=True).start()


def load_built(r: Resources, model: OpenModel, processing: Processing, recipe: Recipe) -> Artifact:
    """Load an artifact that only precomputing builds; NotBuilt naming the command where it is missing."""
    artifact = r.store.load(recipe)
    if artifact is None:
        raise not_built_error(model, processing)
    return artifact


def not_built_error(model: OpenModel, processing: Processing) -> NotBuilt:
    """Make the error for a missing bank, or a missing part of it, naming the command."""
    slug = model.header.slug
    weights = f" --weights {processing}" if processing == "raw" and "folded" in model.header.processings else ""
    command = f"singular-lens precompute {slug} --matrices bank{weights}"
    return NotBuilt(f"Not built on this server: {command} builds it.", command)


@contextmanager
def report_changes(model: OpenModel) -> Iterator[None]:
    """Raise ComputationFailed where a part was changed while it was read; the next request reads it anew."""
    try:
        yield
    except (Changed, OSError) as error:
        logger.warning("a part of the bank of %s was changed while it was read: %s", model.header.slug, error)
        raise ComputationFailed(
            f"A part of what is searched of {model.header.slug} was changed on the server's disk meanwhile. Ask again."
        ) from error
