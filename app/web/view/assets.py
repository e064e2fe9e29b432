"""The files under /static, read once: their content, compressed and plain, and the hash that names it.

A request is looked up by name, so no path of a request ever reaches the disk.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
"""Said here, not guessed by the machine: browsers are told not to sniff."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    content: bytes
    packed: bytes
    """The content in gzip form."""
    media_type: str
    version: str
    """First digits of the content's hash."""


def load_assets(folder: Path) -> dict[str, Asset]:
    """Name -> file, for every file below the folder.

    Example: load_assets(static)["vendor/htmx-4.0.1.min.js"].version -> "0f3a…"
    """
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): _asset(path) for path in files}


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    media_type = MEDIA_TYPES.get(path.suffix, "application/octet-stream")
    return Asset(content, pack(content, level=9), media_type, hashlib.sha256(content).hexdigest()[:12])


def pack(content: bytes, level: int) -> bytes:
    """The content in gzip form, without a time in its header: the same bytes every time."""
    return b"".join(packed([content], level))


def packed(pieces: Iterable[bytes], level: int) -> Iterator[bytes]:
    """The same of content that comes in pieces; a piece of it as soon as there is one."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    for piece in pieces:
        if ready := packer.compress(piece):
            yield ready
    yield packer.flush()
