"""The static files, read once: their content, compressed and plain, and its hash.

A request is looked up by name, so no path of a request ever reaches the disk.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
"""Ending -> media type; not the machine's guess, since browsers are told not to sniff."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file."""

    content: bytes
    packed: bytes
    """The content in gzip form."""
    media_type: str
    version: str
    """First digits of the content's hash."""


def load_assets(folder: Path) -> dict[str, Asset]:
    """Load every file below a folder, by name.

    Example: load_assets(static)["vendor/htmx-4.0.1.min.js"].version -> "0f3a…"
    """
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): _load_asset(path) for path in files}


def _load_asset(path: Path) -> Asset:
    content = path.read_bytes()
    media_type = MEDIA_TYPES.get(path.suffix, "application/octet-stream")
    return Asset(content, pack(content, level=9), media_type, hashlib.sha256(content).hexdigest()[:12])


def pack(content: bytes, level: int) -> bytes:
    """Compress the content as gzip, without a time in its header: the same bytes every time."""
    return b"".join(pack_pieces([content], level))


def pack_pieces(pieces: Iterable[bytes], level: int) -> Iterator[bytes]:
    """Compress content that comes in pieces as gzip; yield each piece as soon as there is one."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    for piece in pieces:
        if ready := packer.compress(piece):
            yield ready
    yield packer.flush()
