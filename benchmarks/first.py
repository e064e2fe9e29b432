"""The first command on a fresh machine: seconds until a page, SmolLM2's map, its gallery and every matrix are there.

`python -m benchmarks.first` fetches SmolLM2 once, if it is not installed. Meanwhile a visitor reads a page of the demo.
"""

import http.client
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.cold import Row
from benchmarks.server import Server, run_server

LOOK_SECONDS = 0.25
PAUSE_SECONDS = 0.05
RAYS = 16
LONGEST_SECONDS = 1200.0
CACHED = "/demo/L0/H0"


def measure_first() -> Iterator[Row]:
    """Start `serve smollm2 demo` in an empty data folder, and measure until its first job is done."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with run_server("smollm2", "demo", data=Path(folder)) as server:
            yield "`make serve` on a fresh machine, after installing: home page", _format_since(started)
            _wait_until(lambda: server.get("/demo")[0] == 200)
            yield "a page of the demo", _format_since(started)
            server.ready(CACHED)
            with _Reader(server) as reader:
                _wait_until(lambda: server.get("/smollm2")[0] == 200)
                yield "SmolLM2's map", _format_since(started)
                _wait_until(lambda: _count_rays(server) >= RAYS)
                yield f"{RAYS} rays of its gallery", _format_since(started)
                _wait_until(lambda: _is_computed(server))
                yield "every matrix of SmolLM2, before the fits", _format_since(started)
            yield "cached pages of the demo meanwhile", reader.spread()


def _format_since(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"


def _wait_until(is_there: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + LONGEST_SECONDS
    while not is_there():
        if time.perf_counter() > deadline:
            raise RuntimeError(f"not there after {LONGEST_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)


def _count_rays(server: Server) -> int:
    status, body = server.get("/api/v1/smollm2/notable")
    return len(json.loads(body)["rays"]) if status == 200 else 0


def _is_computed(server: Server) -> bool:
    """Return whether the job of every matrix is done; RuntimeError if it ended in another way."""
    status, body = server.get("/api/v1/-/jobs?model=smollm2")
    jobs = json.loads(body)["jobs"] if status == 200 else []
    states = {job["state"] for job in jobs if job["basis"] == "svd"}
    if states - {"waiting", "running", "done"}:
        raise RuntimeError(f"the job is {states}")
    return states == {"done"}


class _Reader:
    """A visitor who asks for one page again and again while the context lasts."""

    def __init__(self, server: Server) -> None:
        self._port, self._ended = server.port, threading.Event()
        self._seconds: list[float] = []
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> "_Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def spread(self) -> str:
        """Compute median, 95th percentile and maximum of the page's seconds."""
        p95 = statistics.quantiles(self._seconds, n=20)[-1]
        middle, longest = statistics.median(self._seconds), max(self._seconds)
        words = f"p50 {1000 * middle:.1f} ms, p95 {1000 * p95:.1f} ms, longest {1000 * longest:.0f} ms"
        return f"{words} of {len(self._seconds)}"

    def _read(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._ended.wait(PAUSE_SECONDS):
            started = time.perf_counter()
            connection.request("GET", CACHED)
            response = connection.getresponse()
            response.read()
            self._seconds.append(time.perf_counter() - started)
            if response.status != 200:
                raise RuntimeError(f"{CACHED}: {response.status}")


def main() -> None:
    """Measure one start and print."""
    for what, figure in measure_first():
        print(f"| {what} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
