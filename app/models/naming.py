"""Naming of the models of a command line: their slugs, and whether their weights are here. One way for all commands.

Where a slug is taken already, the folder, file or hub id is compared with what has it. A hub id is the same if the
weights are known to be that id's; a folder if the stamps of its files are those of the imported files (`origin`), or
else if all its bytes make the same fingerprint; a GGUF file if its bytes have the same sum. The hub is not asked. Knows
no torch.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.models.catalog import Catalog, SlugError
from app.models.importing.folder.checkpoint import open_checkpoint
from app.models.importing.source import KNOWN, default_slug, find_source, is_folder, is_known
from app.models.manifest import Manifest, file_sum
from app.models.origin import Origin, stamps_of
from app.models.refusal import ImportRefused


@dataclass(frozen=True)
class Named:
    """One model of a command line, with its slug."""

    slug: str
    source: str
    """The word on the command line."""
    is_here: bool
    """Its weights are imported; else they are to be."""


def name_models(data: Path, words: Sequence[str], report: Callable[[str], None]) -> tuple[Named, ...]:
    """Name each model once, in the order of the words; `report` is told of what takes long.

    SlugError where two words make one slug, or a slug belongs to other weights than the word's; ImportRefused where a
    word makes no slug, or a folder that must be compared cannot be read.
    """
    catalog = Catalog(data)
    sources: dict[str, str] = {}
    for word in words:
        slug = word if catalog.get(word) else default_slug(word)
        if sources.setdefault(slug, word) != word:
            raise SlugError(f"{sources[slug]!r} and {word!r} would both be called {slug}: import one with --name")
    return tuple(Named(slug, word, _is_here(catalog, slug, word, report)) for slug, word in sources.items())


def _is_here(catalog: Catalog, slug: str, word: str, report: Callable[[str], None]) -> bool:
    manifest = catalog.get(slug)
    if manifest is None:
        return False
    if slug in KNOWN and not is_known(slug, manifest.source, catalog.origin(slug).sum):
        raise SlugError(
            f"{slug!r} is the name of one model, and names other weights here, {_pin(manifest)} ({manifest.source}): delete "
            f"models/{slug}.json in the data folder, and import these under another name"
        )
    if word == slug and (slug in KNOWN or not os.path.isdir(word)):  # a file of that name changes nothing
        return True
    if is_folder(word):
        _refuse_other_folder(catalog, slug, word, manifest, report)
    elif word != slug and word.lower() not in _known_ids(catalog, slug, manifest):
        raise SlugError(
            f"{slug!r} already names weights, {_pin(manifest)} ({manifest.source}), and they are not known to be those of "
            f"{word!r}: singular-lens import {word} --name … gives these a name{_explain_way_out(slug)}"
        )
    return True


def _known_ids(catalog: Catalog, slug: str, manifest: Manifest) -> set[str]:
    """Collect the names that the weights of that slug are known by, in small letters, as the hub ignores case."""
    return {known.lower() for known in (manifest.source, *catalog.origin(slug).hub)}


def _refuse_other_folder(
    catalog: Catalog, slug: str, word: str, manifest: Manifest, report: Callable[[str], None]
) -> None:
    """Raise SlugError unless the folder holds the weights of that slug; matching stamps are noted for next time."""
    try:
        source = find_source(word)
        stamps = stamps_of(source.path)
        known = catalog.origin(slug)
        if stamps and stamps == known.files:
            return
        report(f"comparing {word!r} with what is imported as {slug}")
        if source.is_file:
            is_same = file_sum(source.path) == known.sum
        else:
            is_same = open_checkpoint(source.path).fingerprint() == manifest.fingerprint
    except (ImportRefused, OSError) as error:
        raise ImportRefused(
            f"{slug!r} names weights, {_pin(manifest)}, that {word!r} cannot be compared with: "
            f"{error if isinstance(error, ImportRefused) else error.strerror or error}{_explain_way_out(slug)}"
        ) from error
    if not is_same:
        raise SlugError(
            f"{slug!r} already names other weights, {_pin(manifest)}, than those in {word!r}: import these with --name and "
            f"use that name{_explain_way_out(slug)}"
        )
    if stamps and stamps == stamps_of(source.path):
        with suppress(OSError):  # then they are compared again
            catalog.add(slug, manifest.fingerprint, Origin(files=stamps))


def _explain_way_out(slug: str) -> str:
    """Explain how to see what is imported under the name."""
    where = f", where there is no folder {slug}," if is_folder(slug) and os.path.isdir(slug) else ""
    return f". singular-lens serve {slug} alone{where} shows what is here"


def _pin(manifest: Manifest) -> str:
    return manifest.fingerprint[:12]
