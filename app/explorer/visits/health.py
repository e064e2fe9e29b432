"""Whether this server can do its work: the worker's heartbeat, its memory and the disk. Computes nothing.

A worker that is not there because there was nothing to do is as good as one: it comes when it is needed.

A read-only folder is healthy: every page is served from what is there or computed anew, nothing gets worse with time,
and for a server of finished artifacts it is meant. A full disk is not: it came unasked, and imports and whatever else
writes there fail too.
"""

import errno
import os
import shutil
from dataclasses import dataclass

from app.explorer.resources import Resources

LEAST_FREE_BYTES = 64 * 2**20
"""Room for a few hundred artifacts."""
HEALTHY_DISKS = ("writable", "read-only")
REFUSALS = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EROFS: "read-only",
    errno.EACCES: "read-only",
    errno.EPERM: "read-only",
}
"""What the disk is if the last file could not be written for this reason; for any other, it is failing."""


@dataclass(frozen=True, slots=True)
class Health:
    """The answer to a probe."""

    ok: bool
    detail: dict[str, str | int]
    """What was looked at: worker, queue, memory, disk."""


def health(r: Resources) -> Health:
    """Look at the worker, at what became of its last computations, and at the disk."""
    worker = r.queue.state()
    memory = "short" if r.queue.is_short_of_memory() else "enough"
    disk = _disk(r)
    detail: dict[str, str | int] = {"worker": worker, "queue": r.queue.depth(), "memory": memory, "disk": disk}
    return Health(worker != "stopped" and memory == "enough" and disk in HEALTHY_DISKS, detail)


def _disk(r: Resources) -> str:
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
