"""Memory that a process has of its own, as the system counts it."""

import time
from collections.abc import Callable
from pathlib import Path

SAMPLE_SECONDS = 0.01


def anonymous(pid: int) -> int:
    """Memory that is not a file's: pages of mapped files can be dropped at any time."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def peak_until(ended: Callable[[], bool], pid: int) -> int:
    """The most that the process has until then, sampled."""
    peak = 0
    while not ended():
        peak = max(peak, anonymous(pid))
        time.sleep(SAMPLE_SECONDS)
    return peak
