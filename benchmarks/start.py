"""From the command to the first page of the demo model, the first time and every time after."""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.cold import Row
from benchmarks.server import serving

PAGE, HEAD = "/demo", "/demo/L0/H0"
"""What the front page of a server with one model leads to, and a page of numbers."""


def start(repeats: int = 6) -> list[Row]:
    """Starts in empty data folders, then starts by themselves in one where the demo and these pages have been before."""
    first = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            first.append(_started(Path(folder), PAGE)[0])
    with tempfile.TemporaryDirectory() as folder:
        _started(Path(folder), PAGE, HEAD)
        again = [_started(Path(folder), PAGE, HEAD) for _ in range(repeats)]
    page, head, cpu = zip(*again, strict=True)
    return [
        ("start to the first page of the demo, first time", _spread(first)),
        ("the same, already imported", f"{_spread(page)}; {statistics.median(cpu):.1f} s of a core"),
        ("and to a head's page, its artifacts there", _spread(head)),
    ]


def _started(data: Path, *pages: str) -> list[float]:
    """Seconds from the command to each page, asked for one after the other; then those that a core worked."""
    started = time.perf_counter()
    with serving("demo", data=data) as server:
        seconds = []
        for page in pages:
            server.ready(page)
            seconds.append(time.perf_counter() - started)
        return [*seconds, server.cpu_seconds()]


def _spread(seconds: list[float] | tuple[float, ...]) -> str:
    return f"median {statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
