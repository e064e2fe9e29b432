"""The health check of a server: the worker's heartbeat, its memory and the disk. Computes nothing.

An idle worker that was stopped is healthy: it starts again on demand. So is a read-only folder: every page is served
from the store or computed anew, nothing gets worse with time, and a server of finished artifacts is meant to have one.
A full disk is not: imports and all else that writes there fail, too.
"""

import errno
import os
import shutil
from dataclasses import dataclass

from app.explorer.resources import Resources

LEAST_FREE_BYTES = 64 * 2**20
"""Least free bytes of a healthy disk: room for a few hundred artifacts."""
HEALTHY_DISKS = ("writable", "read-only")
REFUSALS = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EROFS: "read-only",
    errno.EACCES: "read-only",
    errno.EPERM: "read-only",
}
"""The state of a disk by the error of the last failed write; for any other error, it is failing."""


@dataclass(frozen=True, slots=True)
class Health:
    """The answer to a probe."""

    ok: bool
    detail: dict[str, str | int]
    """State of worker, queue, memory and disk."""


def check_health(r: Resources) -> Health:
    """Check the worker, its memory and the disk."""
    worker = r.queue.state()
    memory = "short" if r.queue.is_short_of_memory() else "enough"
    disk = _check_disk(r)
    detail: dict[str, str | int] = {"worker": worker, "queue": r.queue.depth(), "memory": memory, "disk": disk}
    return Health(worker != "stopped" and memory == "enough" and disk in HEALTHY_DISKS, detail)


def _check_disk(r: Resources) -> str:
    try:
        free = shutil.disk_usage(r.data).free
        read_only = os.statvfs(r.data).f_flag & os.ST_RDONLY or not os.access(r.data, os.W_OK)
    except OSError:
        return "missing"
    if read_only:
        return "read-only"
    if free < LEAST_FREE_BYTES:
        return "full"
    refusal = r.store.refusal()
    return "writable" if refusal is None else REFUSALS.get(refusal.errno or 0, "failing")
