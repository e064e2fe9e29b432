"""Whether this server can do its work: the worker's heartbeat and the disk. Computes nothing."""

import os
import shutil
from dataclasses import dataclass

from app.explorer.resources import Resources

LEAST_FREE_BYTES = 64 * 2**20
"""Room for a few hundred artifacts."""


@dataclass(frozen=True, slots=True)
class Health:
    """The answer to a probe."""

    ok: bool
    detail: dict[str, str | int]
    """What was looked at: worker, queue, disk."""


def health(r: Resources) -> Health:
    """Look at the worker and the disk."""
    worker = "alive" if r.queue.alive() else "stopped"
    disk = _disk(r)
    detail: dict[str, str | int] = {"worker": worker, "queue": r.queue.depth(), "disk": disk}
    return Health(worker == "alive" and disk == "writable", detail)


def _disk(r: Resources) -> str:
    try:
        free = shutil.disk_usage(r.data).free
        read_only = os.statvfs(r.data).f_flag & os.ST_RDONLY or not os.access(r.data, os.W_OK)
    except OSError:
        return "missing"
    if read_only:
        return "read-only"
    return "writable" if free >= LEAST_FREE_BYTES else "full"
