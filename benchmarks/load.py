"""Many visitors at once: how long probes and cached pages take while the queue of computations is full.

Who visits is a process of its own, so that what is measured is the server and not the one who asks.
"""

import asyncio
import http.client
import multiprocessing
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cold import Row
from benchmarks.server import Server, serving
from benchmarks.synthetic import N_HEADS, N_LAYERS

N_VISITORS = 200
PAUSE_SECONDS = 5.0
"""Between two pages of one visitor, on average."""
ASKERS = 12
"""Connections that ask for what nobody has opened: more than may wait, so that the line fills."""
MEASURED_SECONDS = 15.0


def load(folder: Path, data: Path) -> list[Row]:
    """Probes and cached pages: alone, with a full queue, with a full queue and 200 visitors."""
    slug = folder.name
    warm = [f"/{slug}/L0/H{head}" for head in range(N_HEADS)]
    with serving(str(folder), data=data) as server:
        for path in warm:
            server.ready(path)
        rows = [*_measured(server, warm, "nobody else there")]
        with _full_queue(server, slug):
            rows += _measured(server, warm, "queue full")
            with _visitors(server.port, warm):
                rows += _measured(server, warm, f"queue full, {N_VISITORS} visitors")
    return rows


def _measured(server: Server, warm: list[str], when: str) -> list[Row]:
    """Probes and pages asked for side by side, each on its own connection, with pauses."""
    found: dict[str, list[float]] = {}
    asking = [
        threading.Thread(target=lambda: found.update(livez=_asked(server.port, ["/livez"], pause=0.02))),
        threading.Thread(target=lambda: found.update(pages=_asked(server.port, warm, pause=0.05))),
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    return [(f"/livez, {when}", _spread(found["livez"])), (f"cached pages, {when}", _spread(found["pages"]))]


def _asked(port: int, paths: list[str], pause: float) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    seconds, end = [], time.perf_counter() + MEASURED_SECONDS
    while time.perf_counter() < end:
        started = time.perf_counter()
        connection.request("GET", paths[len(seconds) % len(paths)])
        response = connection.getresponse()
        response.read()
        seconds.append(time.perf_counter() - started)
        if response.status != 200:
            raise RuntimeError(f"{paths}: {response.status}")
        time.sleep(pause)
    return seconds


def _spread(seconds: list[float]) -> str:
    ordered = [1000 * one for one in sorted(seconds)]
    middle, late = ordered[len(ordered) // 2], ordered[int(0.95 * len(ordered))]
    return f"p50 {middle:.1f} ms, p95 {late:.1f} ms, longest {ordered[-1]:.1f} ms of {len(ordered)}"


@contextmanager
def _full_queue(server: Server, slug: str) -> Iterator[None]:
    """Until the end, more is asked for than can be computed."""
    # The other figures have opened every head of the folded weights.
    cold = [f"/{slug}/L{layer}/H{head}?weights=raw" for layer in range(N_LAYERS) for head in range(N_HEADS)]
    waiting, ended = iter(cold), threading.Event()

    def ask() -> None:
        for path in waiting:
            while not ended.is_set() and server.get(path)[0] == 503:
                time.sleep(0.1)
            if ended.is_set():
                return

    askers = [threading.Thread(target=ask) for _ in range(ASKERS)]
    for asker in askers:
        asker.start()
    while b'"queue":6' not in server.get("/readyz")[1]:  # sixty and more of 64
        time.sleep(0.05)
    try:
        yield
    finally:
        ended.set()
        for asker in askers:
            asker.join()


@contextmanager
def _visitors(port: int, paths: list[str]) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=visit, args=(port, paths), daemon=True)
    process.start()
    time.sleep(PAUSE_SECONDS)  # until all have come
    try:
        yield
    finally:
        process.terminate()
        process.join()


def visit(port: int, paths: list[str]) -> None:
    """Two hundred visitors, each with a connection of its own for every page, until the process ends."""

    async def one(seed: int) -> None:
        chance = random.Random(seed)
        while True:
            await asyncio.sleep(chance.expovariate(1 / PAUSE_SECONDS))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                f"GET {chance.choice(paths)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            )
            await reader.read(-1)
            writer.close()

    async def all_of_them() -> None:
        await asyncio.gather(*(one(seed) for seed in range(N_VISITORS)))

    asyncio.run(all_of_them())
