"""Parts of a model's bank as they lie on disk: which are there, proven once by a server, and what a change costs.

A part is looked for by its recipe, so that one of another weight processing, model or format is never taken for it.
Knows nothing of what is in them.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from weakref import WeakKeyDictionary

from app.explorer.bank import parts_of
from app.explorer.errors import ComputationFailed, NotBuilt
from app.explorer.library import OpenModel
from app.explorer.pages import Processing
from app.explorer.resources import Resources
from app.store.artifacts import TOUCH_SECONDS, ArtifactStore, Located, Recipe
from app.store.grounds import note_artifact, note_now
from app.store.located import Changed, Stamp, stamp_at

logger = logging.getLogger(__name__)

PROVEN_BYTES = 128 * 2**20
"""A part that is larger is not proven before the first answer: of a model of 8 billion weights that would take half a minute."""

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


def stamps_of(r: Resources, parts: Sequence[Recipe]) -> tuple[Stamp | None, ...]:
    """Which file each part is now, None for one that is not there; noted as used, and as what the answer rests on."""
    stamps = tuple(stamp_at(r.store.path(part)) for part in parts)
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
    """Those parts that are there and whole; large ones are believed by their headers until they are proven, which begins now."""
    later = [part for part in parts if _is_large(r.store.path(part)) and not r.store.is_proven(part)]
    found = [(part, r.store.locate(part, prove=part not in later)) for part in parts]
    if later:
        _prove(r.store, later)
    return [(part, place) for part, place in found if place is not None]


def _is_large(path: Path) -> bool:
    stamp = stamp_at(path)
    return stamp is not None and stamp.size > PROVEN_BYTES


def _prove(store: ArtifactStore, parts: Sequence[Recipe]) -> None:
    """Read the parts to their ends in a thread of its own; what is damaged is set aside, and left out next."""
    proving = _proving.setdefault(store, set())
    own = [part for part in parts if part not in proving]

    def work() -> None:
        for part in own:
            store.locate(part)
            proving.discard(part)

    if own:
        proving.update(own)
        Thread(target=work, name="prove", daemon=True).start()


def not_built(model: OpenModel, processing: Processing) -> NotBuilt:
    """What to say where the bank, or what is needed of it, is not there."""
    slug = model.header.slug
    weights = f" --weights {processing}" if processing == "raw" and "folded" in model.header.processings else ""
    return NotBuilt(f"Not built on this server: singular-lens precompute {slug} --matrices bank{weights} builds it.")


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
