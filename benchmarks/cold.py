"""Pages that nobody has opened before, against the same readout in a notebook; head by head, in pairs."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.server import Server, run_server
from benchmarks.synthetic import N_HEADS

Row = tuple[str, str]


def measure_cold(folder: Path, data: Path, n_pairs: int = 15) -> list[Row]:
    """Measure medians over heads of different layers, each opened once, and the time from nothing to a first head."""
    matrix, notebook_ov, head, notebook_head = [], [], [], []
    slug = folder.name
    with run_server(str(folder), data=data) as server:
        server.ready(f"/{slug}")  # imported now
    started = time.perf_counter()
    with run_server(str(folder), data=data) as server:
        server.ready(f"/{slug}/L0/H0")
        first = time.perf_counter() - started
        started = time.perf_counter()
        with _run_notebook(folder) as ask:
            ask(0, 0)
            notebook_first = time.perf_counter() - started
            for i in range(n_pairs):
                # Different heads for the two pages, or the second would find the first one's artifact.
                layer, ov_head, both_head = 1 + i % 11, (2 * i) % N_HEADS, (2 * i + 1) % N_HEADS
                matrix.append(_time_page(server, f"/{slug}/L{layer}/H{ov_head}/ov"))
                notebook_ov.append(ask(layer, ov_head)[0])
                head.append(_time_page(server, f"/{slug}/L{layer}/H{both_head}"))
                notebook_head.append(ask(layer, both_head)[1])
            memory, notebook_memory = server.resident_mib(), ask(0, 0)[2]
    return [
        (
            "start of the process to the first head",
            f"{first:.1f} s; notebook {notebook_first:.1f} s; {notebook_first / first:.1f} times as fast",
        ),
        ("cold matrix page", _compare_medians(matrix, notebook_ov)),
        ("cold head page (OV and QK)", _compare_medians(head, notebook_head)),
        ("memory of the process", f"{memory:.0f} MiB; notebook {notebook_memory:.0f} MiB"),
    ]


def _compare_medians(ours: list[float], theirs: list[float]) -> str:
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    slowest = sorted(ours)[int(0.9 * len(ours))]
    return (
        f"median {1000 * statistics.median(ours):.0f} ms (p90 {1000 * slowest:.0f}); "
        f"notebook {1000 * statistics.median(theirs):.0f} ms; {ratio:.1f} times as fast, median of {len(ours)} pairs"
    )


def _time_page(server: Server, path: str) -> float:
    started = time.perf_counter()
    status, body = server.get(path)
    if status != 200:
        raise RuntimeError(f"{path}: {status} {body[:200]!r}")
    return time.perf_counter() - started


@contextmanager
def _run_notebook(folder: Path) -> Iterator[Callable[[int, int], list[float]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.notebook", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    process.stdout.readline()  # the time it took to load

    def ask(layer: int, head: int) -> list[float]:
        print(layer, head, file=process.stdin, flush=True)
        return [float(number) for number in process.stdout.readline().split()]

    try:
        yield ask
    finally:
        process.stdin.close()
        process.wait(timeout=30)
