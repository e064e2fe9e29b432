"""The memory that a process has of its own, as the system counts it."""

import time
from collections.abc import Callable
from pathlib import Path

SAMPLE_SECONDS = 0.01


def read_anonymous(pid: int) -> int:
    """Read the bytes of anonymous memory: pages of mapped files can be dropped at any time."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def sample_peak(ended: Callable[[], bool], pid: int) -> int:
    """Sample a process's anonymous memory until an event; return the peak."""
    peak = 0
    while not ended():
        peak = max(peak, read_anonymous(pid))
        time.sleep(SAMPLE_SECONDS)
    return peak
