"""The imported models that this server shows, each opened once: its facts at once, its vocabulary when first needed.

Reads no tensors itself.
"""

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from app.explorer.pages import Model
from app.models.catalog import Catalog
from app.models.manifest import Manifest
from app.models.vocabulary import Vocabulary

if TYPE_CHECKING:
    from app.models.weights import Weights

PIN_DIGITS = 12


class OpenModel:
    """A model as pages need it."""

    def __init__(self, slug: str, manifest: Manifest, folder: Path) -> None:
        self.manifest = manifest
        self.folder = folder
        self.header = _header(slug, manifest)
        self._vocabulary: Vocabulary | None = None
        self._lock = Lock()

    @property
    def fingerprint(self) -> str:
        """Of the weights."""
        return self.manifest.fingerprint

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens, read once however many ask at the same time."""
        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = Vocabulary(self.folder / "tokenizer.json", self.manifest.d_vocab)
            return self._vocabulary

    def weights(self) -> "Weights":
        """The model's tensors, read from disk when asked for: for the worker, since this imports torch."""
        from app.models.weights import open_weights

        return open_weights(self.folder, self.manifest)


class Library:
    """Opened models by slug. A slug never changes its weights, so what is open stays right."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._opened: dict[str, OpenModel] = {}
        self._lock = Lock()

    def model(self, slug: str) -> OpenModel | None:
        """The model of that name; None while it is not imported."""
        if opened := self._opened.get(slug):
            return opened
        with self._lock:
            if slug not in self._opened and (manifest := self._catalog.get(slug)):
                folder = self._catalog.weights_folder(manifest.fingerprint)
                self._opened[slug] = OpenModel(slug, manifest, folder)
            return self._opened.get(slug)


def _header(slug: str, manifest: Manifest) -> Model:
    return Model(
        slug=slug,
        name=manifest.name,
        fingerprint=manifest.fingerprint,
        pin=manifest.fingerprint[:PIN_DIGITS],
        n_layers=manifest.n_layers,
        n_heads=manifest.n_heads,
        d_model=manifest.d_model,
        d_head=manifest.d_head,
        d_vocab=manifest.d_vocab,
        n_ctx=manifest.n_ctx,
        n_params=manifest.n_params,
        dtype=manifest.dtype,
        tied=manifest.tied,
        source=manifest.source,
        revision=manifest.revision,
    )
