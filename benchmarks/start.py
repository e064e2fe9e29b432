"""The time from the command to the first page of the demo model, the first time and every time after."""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.cold import Row
from benchmarks.server import run_server

PAGE, HEAD = "/demo", "/demo/L0/H0"
"""The page that the front page of a server with one model redirects to, and a page of numbers."""


def measure_starts(repeats: int = 6) -> list[Row]:
    """Time starts in empty data folders, then starts in one where the demo and these pages have been before."""
    first = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            first.append(_time_start(Path(folder), PAGE)[0])
    with tempfile.TemporaryDirectory() as folder:
        _time_start(Path(folder), PAGE, HEAD)
        again = [_time_start(Path(folder), PAGE, HEAD) for _ in range(repeats)]
    page, head, cpu = zip(*again, strict=True)
    return [
        ("start to the first page of the demo, first time", _format_spread(first)),
        ("the same, already imported", f"{_format_spread(page)}; {statistics.median(cpu):.1f} s of a core"),
        ("and to a head's page, its artifacts there", _format_spread(head)),
    ]


def _time_start(data: Path, *pages: str) -> list[float]:
    """Measure seconds from the command to each page, asked for one after the other, and the seconds of CPU."""
    started = time.perf_counter()
    with run_server("demo", data=data) as server:
        seconds = []
        for page in pages:
            server.ready(page)
            seconds.append(time.perf_counter() - started)
        return [*seconds, server.cpu_seconds()]


def _format_spread(seconds: list[float] | tuple[float, ...]) -> str:
    return f"median {statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
