"""Parts of a model's bank as they lie on disk: which are there, proven once by a server, and what a change costs.

A part is looked for by its recipe, so that one of another weight processing, model or format is never taken for it.
Knows nothing of what is in them.
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

PROVEN_BYTES = 512 * 2**20
"""Of the parts that are asked for together so much is proven before the first answer, which takes half a second; of a model
of 8 billion weights all would take half a minute."""

Value = TypeVar("Value")

_opening = Lock()
_proving: WeakKeyDictionary[ArtifactStore, set[Recipe]] = WeakKeyDictionary()
"""Large parts that are being read to their ends."""
_known: WeakKeyDictionary[OpenModel, dict[Processing, tuple[Recipe, ...]]] = WeakKeyDictionary()
"""Of every model as long as it is open: hundreds of hashes, which never change."""
_touched: WeakKeyDictionary[ArtifactStore, dict[Recipe, float]] = WeakKeyDictionary()
"""When each part was last noted as used, on the monotonic clock."""


def recipes_for(model: OpenModel, processing: Processing) -> tuple[Recipe, ...]:
    """Of all parts of the bank."""
    of_model = _known.setdefault(model, {})
    if processing not in of_model:
        of_model[processing] = tuple(parts_of(model, processing))
    return of_model[processing]


@dataclass(frozen=True)
class HeldParts(Generic[Value]):
    """What was made of parts, in memory, and the files that it was made of."""

    stamps: tuple[Stamp | None, ...]
    value: Value


def held(
    r: Resources,
    model: OpenModel,
    processing: Processing,
    name: str,
    parts: Sequence[Recipe],
    build: Callable[[], Value],
    size: Callable[[Value], int],
) -> Value:
    """What `build` makes of the parts, of so many bytes, kept for the next request until one of their files is another.

    Nothing else of any model is built meanwhile, so that no two threads do the same, nor hold two in memory. Raises what
    `build` does, and ComputationFailed where a file has changed under it.
    """
    key, stamps = (name, model.fingerprint, processing), stamps_of(r, parts)
    found: HeldParts[Value] | None = r.banks.get(key)
    if found is None or found.stamps != stamps:
        with _opening, change_told(model):
            found = r.banks.get(key)  # another thread's, by now
            if found is None or found.stamps != stamps:
                found = HeldParts(stamps, build())
                r.banks.put(key, found, size(found.value))
    return found.value


def stamps_of(r: Resources, parts: Sequence[Recipe]) -> tuple[Stamp | None, ...]:
    """Which file each part is now, None for one that is not there; noted as used, and as what the answer rests on."""
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


def located(r: Resources, parts: Sequence[Recipe]) -> list[tuple[Recipe, Located]]:
    """Those parts that are there and whole; what is too much to be proven first is believed by its headers until it is proven,
    which begins now.
    """
    later = _later(r.store, parts)
    found = [(part, r.store.locate(part, prove=part not in later)) for part in parts]
    if later:
        _prove(r.store, later)
    return [(part, place) for part, place in found if place is not None]


def _later(store: ArtifactStore, parts: Sequence[Recipe]) -> list[Recipe]:
    """Those that are beyond the bytes that are proven at once."""
    later, total = [], 0
    for part in parts:
        stamp = store.stamp(part)
        if stamp is not None and not store.is_proven(part):
            total += stamp.size
            if total > PROVEN_BYTES:
                later.append(part)
    return later


def _prove(store: ArtifactStore, parts: Sequence[Recipe]) -> None:
    """Read the parts to their ends in a thread of its own; what is damaged is set aside, and left out next."""
    proving = _proving.setdefault(store, set())
    own = [part for part in parts if part not in proving]

    def work() -> None:
        try:
            for part in own:
                store.locate(part)
        finally:
            proving.difference_update(
                own
            )  # those that an error kept from being proven are begun again when they are asked for

    if own:
        proving.update(own)
        Thread(target=work, name="prove", daemon=True).start()


def built(r: Resources, model: OpenModel, processing: Processing, recipe: Recipe) -> Artifact:
    """What precomputing leaves of the model in that processing under that recipe; NotBuilt naming the command."""
    artifact = r.store.load(recipe)
    if artifact is None:
        raise not_built(model, processing)
    return artifact


def not_built(model: OpenModel, processing: Processing) -> NotBuilt:
    """What to say where the bank, or what is needed of it, is not there."""
    slug = model.header.slug
    weights = f" --weights {processing}" if processing == "raw" and "folded" in model.header.processings else ""
    command = f"singular-lens precompute {slug} --matrices bank{weights}"
    return NotBuilt(f"Not built on this server: {command} builds it.", command)


@contextmanager
def change_told(model: OpenModel) -> Iterator[None]:
    """A part that was changed under its reader, told to visitors as a ComputationFailed, which is over with one answer."""
    try:
        yield
    except (Changed, OSError) as error:
        logger.warning("a part of the bank of %s was changed while it was read: %s", model.header.slug, error)
        raise ComputationFailed(
            f"A part of what is searched of {model.header.slug} was changed on the server's disk meanwhile. Ask again."
        ) from error
