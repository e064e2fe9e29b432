"""Catalog of imported models: names and the weights they lead to, one small file a name.

So imports do not get in each other's way. `DATA/models/<slug>.json` names a fingerprint and its origin,
`DATA/weights/<fingerprint>/` holds those weights. Knows no torch.
"""

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.core.address import RESERVED, SLUG
from app.models.manifest import Manifest, read_manifest
from app.models.origin import Origin, read_origin

FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class SlugError(ValueError):
    """The name is not available; the message says why."""


@dataclass(frozen=True)
class Catalog:
    """The models of one data folder, read anew at each call, since an import may run meanwhile."""

    data: Path

    def entries(self) -> dict[str, Manifest]:
        """Read every imported model by its slug, in the order of the slugs."""
        slugs = sorted(file.stem for file in self._names.glob("*.json"))
        found = {slug: self.get(slug) for slug in slugs}
        return {slug: manifest for slug, manifest in found.items() if manifest is not None}

    def names(self) -> dict[str, str | None]:
        """Read every name and its fingerprint, whether or not those weights are here; None: damaged."""
        return {slug: self._fingerprint(slug) for slug in sorted(file.stem for file in self._names.glob("*.json"))}

    def get(self, slug: str) -> Manifest | None:
        """Read the manifest of that name; None if there is none, or its files must be imported again."""
        fingerprint = self._fingerprint(slug)
        return None if fingerprint is None else self.by_fingerprint(fingerprint)

    def by_fingerprint(self, fingerprint: str) -> Manifest | None:
        """Read the manifest of the weights with that fingerprint, whatever their name."""
        try:
            manifest = read_manifest(self.weights_folder(fingerprint))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        # A folder that was renamed or copied by hand may hold other weights.
        return manifest if manifest.fingerprint == fingerprint else None

    def weights_folder(self, fingerprint: str) -> Path:
        """Return the folder for those weights, whether or not it exists."""
        return self.data / "weights" / fingerprint

    def check(self, slug: str, fingerprint: str | None = None) -> None:
        """Raise SlugError if that name is no slug, belongs to the app, or names other weights than these."""
        if not SLUG.fullmatch(slug):
            raise SlugError(
                f"{slug[:80]!r} is no name for a model: a small letter or digit, then up to 63 more, '.', '_' or '-'"
            )
        if slug in RESERVED:
            raise SlugError(f"{slug!r} is a page of the app: choose another name with --name")
        # Damaged weights keep their name: other weights must not take it unnoticed.
        held = self._fingerprint(slug)
        if held is None and (self._names / f"{slug}.json").exists():
            raise SlugError(
                f"{slug!r} is taken, but models/{slug}.json in the data folder is damaged: delete that file, or choose "
                "another name with --name"
            )
        if fingerprint and held not in {None, fingerprint} and self.weights_folder(str(held)).is_dir():
            raise SlugError(f"{slug!r} already names other weights, {str(held)[:12]}: choose another name with --name")

    def is_damaged(self, slug: str) -> bool:
        """Return whether weights have that name but cannot be opened."""
        fingerprint = self._fingerprint(slug)
        return bool(fingerprint and self.weights_folder(fingerprint).is_dir() and self.get(slug) is None)

    def origin(self, slug: str) -> Origin:
        """Read the known origin of the weights of that name."""
        return read_origin(self._entry(slug))

    def add(self, slug: str, fingerprint: str, origin: Origin | None = None) -> None:
        """Give those weights a name; SlugError if it is not available. Weights may have several names, and origins."""
        self.check(slug, fingerprint)
        known = self.origin(slug) if self._fingerprint(slug) == fingerprint else Origin()
        entry = {"fingerprint": fingerprint} | asdict((origin or Origin()).merge(known))
        self._names.mkdir(parents=True, exist_ok=True)
        temporary = self._names / f"{slug}.{os.getpid()}.part"
        try:
            temporary.write_text(json.dumps(entry) + "\n", encoding="utf-8")
            temporary.replace(self._names / f"{slug}.json")
        finally:  # leave nothing half-written, such as when the disk is full
            temporary.unlink(missing_ok=True)

    @property
    def _names(self) -> Path:
        return self.data / "models"

    def _fingerprint(self, slug: str) -> str | None:
        fingerprint = str(self._entry(slug).get("fingerprint"))
        return fingerprint if FINGERPRINT.fullmatch(fingerprint) else None

    def _entry(self, slug: str) -> dict[str, Any]:
        """Read that name's file; empty if there is none, or it is damaged."""
        if not SLUG.fullmatch(slug):
            return {}
        try:
            entry = json.loads((self._names / f"{slug}.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
            return {}
        return entry if isinstance(entry, dict) else {}
