"""Import, once per model: a checkpoint is checked and written as weights, and gets a name.

1. find the folder or file, or fetch it from the hub; a GGUF file is unpacked into a folder      (source, importing.gguf)
2. refuse what cannot be read; take its fingerprint; stop if those weights are here already, and whole      (checkpoint)
3. open it layer by layer, write what was read, prove that it does what the model does      (conversion)
4. rename the weights into place; name them      (staging, catalog)
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from app.models.catalog import Catalog, SlugError
from app.models.credit import NONE, credit_of
from app.models.importing.folder.checkpoint import Checkpoint, open_checkpoint
from app.models.importing.gguf.unpacked import Unpacked, unpack_gguf
from app.models.importing.published import Report
from app.models.importing.source import KNOWN, Source, default_slug, find_source, is_known
from app.models.importing.staging import Staging, open_staging
from app.models.manifest import FORMAT, Manifest, verify_weights, write_manifest
from app.models.memory import is_of_memory
from app.models.origin import Origin, stamps_of
from app.models.refusal import ImportRefused

__all__ = ["ImportRefused", "Progress", "import_model"]


@dataclass(frozen=True)
class Progress:
    """Progress of an import."""

    message: str
    done: int = 0
    """Layers; of a GGUF file, groups of tensors; while something is fetched, megabytes."""
    total: int = 0
    """0 until they can be counted."""


def import_model(
    source: str,
    data: Path,
    *,
    slug: str | None = None,
    revision: str | None = None,
    report: Callable[[Progress], None],
) -> Manifest:
    """Import a model under a name; ImportRefused with the reason if it cannot be done.

    `source` is `demo`, `smollm2`, a folder, a GGUF file or a hub id. Weights that are here already, and whole, only get the
    name. What an interrupted import has done is not done again; a refused one leaves nothing behind.
    """
    catalog = Catalog(data)
    try:
        slug = default_slug(source) if slug is None else slug
        catalog.check(slug)
        report(Progress(f"finding {slug}"))
        found = _find_source(source, revision, slug, catalog, lambda *step: report(Progress(*step)))
        stamps = stamps_of(found.path)
        with _open_checkpoint(found, catalog, report) as (checkpoint, unpacked):
            fingerprint = checkpoint.fingerprint()
            is_still = stamps == stamps_of(found.path)
            catalog.check(slug, fingerprint)
            if slug in KNOWN and not is_known(slug, found.origin, unpacked.sum if unpacked else ""):
                raise ImportRefused(f"{slug!r} is the name of one model: choose another for these weights with --name")
            manifest = _find_intact(catalog, fingerprint) or _import(
                found, checkpoint, unpacked, fingerprint, catalog, report
            )
        hub_ids = (found.origin,) if found.revision else ()
        catalog.add(slug, fingerprint, Origin(hub_ids, stamps if is_still else {}, unpacked.sum if unpacked else ""))
    except SlugError as error:
        raise ImportRefused(str(error)) from error
    except ImportRefused:
        raise
    except Exception as error:
        if is_of_memory(error):
            raise ImportRefused(
                "it takes more memory than there is, or than an import of its size may: what is done is kept, and running "
                "the same command again, with more memory, continues"
            ) from error
        if isinstance(error, OSError):
            # Without the path: messages are shown to visitors.
            raise ImportRefused(_explain_file_error(error)) from error
        raise
    report(Progress(f"{slug} is here", manifest.n_layers, manifest.n_layers))
    return manifest


def _find_source(source: str, revision: str | None, slug: str, catalog: Catalog, report: Report) -> Source:
    try:
        return find_source(source, revision, catalog.data, report)
    except ImportRefused as error:
        if catalog.is_damaged(slug):
            raise ImportRefused(
                f"the weights called {slug!r} are damaged, or another version wrote them: import them again from where they came, with --name {slug} "
                f"({error})"
            ) from error
        raise


@contextmanager
def _open_checkpoint(
    source: Source, catalog: Catalog, report: Callable[[Progress], None]
) -> Iterator[tuple[Checkpoint, Unpacked | None]]:
    """Open the checkpoint; for a GGUF file also return what was unpacked."""
    if not source.is_file:
        report(Progress("reading the checkpoint"))
        yield open_checkpoint(source.path), None
        return
    with unpack_gguf(source.path, catalog.data / "weights", lambda *step: report(Progress(*step))) as found:
        report(Progress("reading what was unpacked"))
        yield open_checkpoint(found.folder), found


def _choose_name(source: Source, unpacked: Unpacked | None) -> str:
    """Choose the model's name: the file's own where programs store files under a checksum without an ending."""
    if unpacked is not None and unpacked.name and source.path.suffix != ".gguf":
        return unpacked.name
    return source.name


def _explain_file_error(error: OSError) -> str:
    if error.errno == errno.ENOSPC or "No space left" in str(error):
        return "the disk is full (No space left on device): make room and run the same command again"
    return f"files could not be read or written: {error.strerror or error}"


def _find_intact(catalog: Catalog, fingerprint: str) -> Manifest | None:
    """Find these weights if they are here already, every byte as it was written."""
    manifest = catalog.by_fingerprint(fingerprint)
    faults = (fault for _file, fault in verify_weights(catalog.weights_folder(fingerprint)))
    return None if manifest is None or any(faults) else manifest


def _import(
    source: Source,
    checkpoint: Checkpoint,
    unpacked: Unpacked | None,
    fingerprint: str,
    catalog: Catalog,
    report: Callable[[Progress], None],
) -> Manifest:
    target = catalog.weights_folder(fingerprint)

    def waiting() -> None:
        report(Progress("another import of this model is running"))

    with open_staging(target.parent, fingerprint, waiting) as staging:
        # The process that held the lock may have imported these weights.
        if (manifest := _find_intact(catalog, fingerprint)) is not None:
            return manifest
        try:
            return _convert(source, checkpoint, unpacked, fingerprint, staging, target, report)
        except (ImportRefused, OSError) as error:
            if not is_of_memory(error):  # with more memory, the import goes on from there
                staging.discard()
            raise


def _convert(
    source: Source,
    checkpoint: Checkpoint,
    unpacked: Unpacked | None,
    fingerprint: str,
    staging: Staging,
    target: Path,
    report: Callable[[Progress], None],
) -> Manifest:
    # Imported here: the libraries take seconds, and a model that is here already needs none.
    report(Progress("loading the model libraries"))
    from app.models.importing.conversion import convert

    def layers(done: int, total: int) -> None:
        report(Progress("checking and writing its layers", done, total))

    found = convert(checkpoint, fingerprint, staging, layers)
    if unpacked is not None and unpacked.has_pairs:
        report(Progress("reading a sentence, to see whether its rows are in order"))
        from app.models.importing.gguf.row_order import refuse_other_rows

        refuse_other_rows(checkpoint)  # last: what is missing or misshapen has been named by then
    credit = credit_of(source.origin, source.path).fill_from(unpacked.credit if unpacked else NONE)
    manifest = Manifest(
        format=FORMAT,
        fingerprint=fingerprint,
        name=_choose_name(source, unpacked),
        source=source.origin,
        revision=source.revision,
        architecture=checkpoint.architecture,
        dtype=checkpoint.dtype,
        rounded=checkpoint.rounded,
        quantisation=unpacked.quantisation if unpacked else None,
        still_layers=found.still_layers,
        checks=found.checks,
        files=found.files,
        assembled=found.assembled,
        hub=credit.hub,
        licence=credit.licence,
        **asdict(found.shape),
    )
    write_manifest(staging.folder, manifest)
    staging.publish(target)
    return manifest
