"""From the command to the first page of the demo model, the first time and every time after."""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.cold import Row
from benchmarks.server import serving


def start(repeats: int = 5) -> list[Row]:
    """Seconds to a complete model page, in an empty data folder and in one that knows the demo."""
    first, again = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            first.append(_seconds(Path(folder)))
            again.append(_seconds(Path(folder)))
    return [
        ("start to the first page of the demo, first time", f"median {statistics.median(first):.1f} s"),
        ("the same, already imported", f"median {statistics.median(again):.1f} s"),
    ]


def _seconds(data: Path) -> float:
    started = time.perf_counter()
    with serving("demo", data=data) as server:
        server.ready("/demo")
        return time.perf_counter() - started
