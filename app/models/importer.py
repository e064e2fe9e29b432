"""Import, once per model: a checkpoint is checked and written as weights, and gets a name.

1. find the folder, or fetch it from the hub      (source)
2. refuse what cannot be read; take its fingerprint; stop if those weights are here already      (checkpoint)
3. open it through the model libraries and compare their logits      (bridge)
4. write the weights beside each other and rename them into place; name them      (weights, catalog)
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from app.models.catalog import Catalog, SlugError
from app.models.checkpoint import Checkpoint, open_checkpoint
from app.models.manifest import FORMAT, Manifest
from app.models.refusal import ImportRefused
from app.models.source import Source, default_slug, find_source

__all__ = ["ImportRefused", "Progress", "import_model"]

STEPS = 4


@dataclass(frozen=True)
class Progress:
    """How far an import is."""

    message: str
    done: int
    total: int


def import_model(
    source: str,
    data: Path,
    *,
    slug: str | None = None,
    revision: str | None = None,
    report: Callable[[Progress], None],
) -> Manifest:
    """Import a model under a name; ImportRefused with the reason if it cannot be done.

    `source` is `demo`, a folder or a hub id. Weights that are here already only get the name.
    """
    catalog = Catalog(data)
    try:
        slug = default_slug(source) if slug is None else slug
        catalog.check(slug)
        report(Progress(f"finding {slug}", 0, STEPS))
        found = find_source(source, revision)
        report(Progress("reading the checkpoint", 1, STEPS))
        checkpoint = open_checkpoint(found.folder)
        fingerprint = checkpoint.fingerprint()
        catalog.check(slug, fingerprint)
        manifest = catalog.by_fingerprint(fingerprint) or _import(found, checkpoint, fingerprint, catalog, report)
        catalog.add(slug, fingerprint)
    except SlugError as error:
        raise ImportRefused(str(error)) from error
    except OSError as error:
        # The reason alone: messages are shown to visitors, paths are not.
        raise ImportRefused(f"files could not be read or written: {error.strerror or error}") from error
    report(Progress(f"{slug} is here", STEPS, STEPS))
    return manifest


def _import(
    source: Source, checkpoint: Checkpoint, fingerprint: str, catalog: Catalog, report: Callable[[Progress], None]
) -> Manifest:
    report(Progress("comparing the model with its bridge", 2, STEPS))
    # Here, not above: these bring the libraries that take seconds, and a model that is here needs none.
    from app.models.bridge import open_bridge
    from app.models.weights import write_weights

    bridged = open_bridge(checkpoint)
    manifest = Manifest(
        format=FORMAT,
        fingerprint=fingerprint,
        name=source.name,
        source=source.origin,
        revision=source.revision,
        architecture=checkpoint.architecture,
        dtype=checkpoint.dtype,
        **asdict(bridged.shape),
    )
    report(Progress("writing the weights", 3, STEPS))
    target = catalog.weights_folder(fingerprint)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=target.parent) as temporary:
        folder = Path(temporary) / fingerprint
        write_weights(folder, manifest, bridged.parameters, checkpoint.tokenizer)
        _put_in_place(folder, target, catalog)
    return manifest


def _put_in_place(folder: Path, target: Path, catalog: Catalog) -> None:
    """Rename the new weights to where they belong, unless another import was quicker."""
    if catalog.by_fingerprint(target.name) is not None:
        return
    if target.exists():  # in an older format, or damaged
        shutil.rmtree(target)
    folder.rename(target)
