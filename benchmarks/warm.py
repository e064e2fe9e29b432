"""Pages whose artifacts exist: seconds for each, pages a second, bytes of a page, and the server's memory."""

import gzip
import http.client
import statistics
import threading
import time
from pathlib import Path

from benchmarks.cold import Row
from benchmarks.server import Server, run_server
from benchmarks.synthetic import N_HEADS, N_LAYERS

CLIENTS = 4


def measure_warm(folder: Path, data: Path, n_pages: int = 1_500) -> list[Row]:
    """Open every head once, then time a walk over all of them, one visitor at a time and several at once."""
    slug = folder.name
    paths = [f"/{slug}/L{layer}/H{head}" for layer in range(N_LAYERS) for head in range(N_HEADS)]
    with run_server(str(folder), data=data) as server:
        for path in paths:
            server.ready(path)
        memory = server.resident_mib()
        alone = _walk_pages(server, paths, n_pages)
        started = time.perf_counter()
        _walk_together(server, paths, n_pages)
        rate = n_pages / (time.perf_counter() - started)
        page = server.ready(paths[-1])
        packed = _measure_size(server, paths[-1])
    ordered = sorted(alone)
    return [
        (
            "head page, artifacts there",
            f"p50 {1000 * statistics.median(ordered):.1f} ms, p95 {1000 * ordered[int(0.95 * len(ordered))]:.1f} ms",
        ),
        ("the same from one process", f"{rate:.0f} pages/s to {CLIENTS} visitors"),
        ("its HTML", f"{packed / 1024:.1f} KiB compressed, {len(page) / 1024:.0f} KiB plain"),
        ("memory after browsing every head", f"{memory:.0f} MiB"),
    ]


def _walk_pages(server: Server, paths: list[str], n_pages: int) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    seconds = []
    for i in range(n_pages):
        started = time.perf_counter()
        connection.request("GET", paths[i % len(paths)])
        response = connection.getresponse()
        response.read()
        seconds.append(time.perf_counter() - started)
        if response.status != 200:
            raise RuntimeError(f"{paths[i % len(paths)]}: {response.status}")
    return seconds


def _walk_together(server: Server, paths: list[str], n_pages: int) -> None:
    visitors = [
        threading.Thread(target=_walk_pages, args=(server, paths[start::CLIENTS], n_pages // CLIENTS))
        for start in range(CLIENTS)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()


def _measure_size(server: Server, path: str) -> int:
    status, body = server.get(path, **{"Accept-Encoding": "gzip"})
    if status != 200 or not gzip.decompress(body).startswith(b"<!doctype html>"):
        raise RuntimeError(f"{path}: not a compressed page")
    return len(body)
