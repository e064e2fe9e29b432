"""The imported models that this server shows, each opened once: its facts at once, its vocabulary when first needed.

Reads no tensors itself.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from app.core.plain_text import spell_out
from app.explorer.errors import ComputationFailed
from app.explorer.header import Model, Quantised
from app.explorer.view import Processing
from app.models.catalog import Catalog
from app.models.credit import Credit, known_credit
from app.models.manifest import Manifest, Quantisation, file_sum
from app.models.pieces import Pieces
from app.models.refusal import WeightsDamaged
from app.models.vocabulary import Vocabulary

if TYPE_CHECKING:
    from app.models.weights import Weights

PIN_DIGITS = 12
REPAIR = "Whoever runs this server can repair it with singular-lens import, from where the model came and under the same name."
NO_FOLDING = (
    "An encoder's norms stand after its attention and its MLP: there is no gain before a head to multiply into "
    "its weights, and what reads the stream reads it as it is."
)

logger = logging.getLogger(__name__)


class OpenModel:
    """A model as pages need it, its tokenizer read when first needed."""

    def __init__(self, slug: str, manifest: Manifest, folder: Path) -> None:
        self.manifest = manifest
        self.folder = folder
        self.header = _read_header(slug, manifest)
        self._vocabulary: Vocabulary | None = None
        self._pieces: Pieces | None = None
        self._lock = Lock()

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the weights."""
        return self.manifest.fingerprint

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens, read once however many ask at the same time; ComputationFailed if they are damaged."""
        with self._lock, report_damage(self.header.slug):
            if self._vocabulary is None:
                self._vocabulary = self._read_vocabulary()
            return self._vocabulary

    def tokenize(self, text: str) -> list[int]:
        """Split a text into the ids of the model's tokenizer; ComputationFailed if the tokenizer is damaged."""
        return self._open_pieces().tokenize(text)

    def tokenize_whole(self, text: str) -> list[int]:
        """Split a whole text as it is run, whatever stands before or behind it included; else as `tokenize`."""
        return self._open_pieces().tokenize_whole(text)

    def rotates(self, layer: int) -> bool:
        """Return whether that layer rotates queries and keys by their positions."""
        return self.manifest.positions == "rotary" and layer not in self.manifest.still_layers

    def processing_shown_first(self, default: Processing) -> Processing:
        """Return the operator's weight processing where these weights have it."""
        return default if default in self.header.processings else "raw"

    def weights(self) -> "Weights":
        """Open the model's tensors on disk: for the worker, since this imports torch."""
        from app.models.weights import open_weights

        return open_weights(self.folder, self.manifest)

    def _open_pieces(self) -> Pieces:
        with self._lock, report_damage(self.header.slug):
            if self._pieces is None:
                self._pieces = Pieces(self._tokenizer())
            return self._pieces

    def _read_vocabulary(self) -> Vocabulary:
        path = self._tokenizer()
        try:
            return Vocabulary(path, self.manifest.d_vocab)
        except OSError as error:
            raise WeightsDamaged(f"{path.name} of these weights is missing or cannot be read") from error

    def _tokenizer(self) -> Path:
        """Find the tokenizer's file; WeightsDamaged where it is not what was imported."""
        path = self.folder / "tokenizer.json"
        try:
            if file_sum(path) != self.manifest.files[path.name]:
                raise WeightsDamaged(f"{path.name} of these weights is damaged: its checksum does not match")
        except OSError as error:
            raise WeightsDamaged(f"{path.name} of these weights is missing or cannot be read") from error
        return path


@contextmanager
def report_damage(slug: str) -> Iterator[None]:
    """Report damaged weights to visitors as a ComputationFailed and to the operator in the log."""
    try:
        yield
    except WeightsDamaged as damage:
        logger.error("%s: %s", slug, damage)
        raise ComputationFailed(f"{damage}. {REPAIR}") from damage


class Library:
    """Opened models by slug. A slug never changes its weights, so an opened model stays valid."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._opened: dict[str, OpenModel] = {}
        self._lock = Lock()

    def model(self, slug: str) -> OpenModel | None:
        """Return the model with that slug; None while it is not imported."""
        if opened := self._opened.get(slug):
            return opened
        with self._lock:
            if slug not in self._opened and (manifest := self._catalog.get(slug)):
                folder = self._catalog.weights_folder(manifest.fingerprint)
                self._opened[slug] = OpenModel(slug, manifest, folder)
            return self._opened.get(slug)


def _read_header(slug: str, manifest: Manifest) -> Model:
    # Older manifests have no credit.
    credit = Credit(manifest.hub, manifest.licence).fill_from(known_credit(manifest.source))
    return Model(
        slug=slug,
        name=spell_out(manifest.name),  # it may have been a folder's name
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
        rounded=manifest.rounded,
        tied=manifest.tied,
        source=manifest.source,
        hub=credit.hub,
        licence=credit.licence,
        revision=manifest.revision,
        architecture=manifest.architecture,
        n_kv_heads=manifest.n_kv_heads,
        n_experts=manifest.n_experts,
        d_mlp=manifest.d_mlp,
        gated=manifest.gated,
        mlp_reads=manifest.mlp_reads,
        mlp_post_norm=manifest.mlp_post_norm,
        positions=manifest.positions,
        normalization=manifest.normalization,
        qk_norm=manifest.qk_norm,
        reads_normed=manifest.reads_normed,
        post_norm=manifest.post_norm,
        sinks=manifest.sinks,
        encoder=manifest.encoder,
        runs=bool(manifest.assembled),
        checks=tuple(manifest.checks.items()),
        unfoldable=NO_FOLDING if manifest.encoder else None,
        quantised=_read_quantisation(manifest.quantisation),
    )


def _read_quantisation(quantisation: Quantisation | None) -> Quantised | None:
    if quantisation is None:
        return None
    others = tuple((name, spell_out(kind)) for name, kind in quantisation.others.items())
    return Quantised(spell_out(quantisation.kind), quantisation.bits, others)
