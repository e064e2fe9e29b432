"""A server and its worker under load: memory, kept answers, probes in a crowd, a killed worker, expensive requests.

`python -m benchmarks.processes DATA` takes a data folder with SmolLM2 in it, every head computed; without one it fetches and
computes it first. Visitors are in a process of their own. Raw weights serve as pages that nobody has opened yet: the
server runs over a copy of the folder, which is thrown away.
"""

import asyncio
import http.client
import multiprocessing
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.cold import Row
from benchmarks.memory import read_anonymous
from benchmarks.server import Server, run_server

SLUG, LAYERS, HEADS = "smollm2", 30, 9
VISITORS, THINK_SECONDS, NEW_SHARE = 200, 0.5, 0.05
KILLS = 20
FILTERS = ("", "ascii=1&", "starts=1&", "plain=1&", "ascii=1&plain=1&", "starts=1&plain=1&", "ascii=1&starts=1&")
SORTS = ("closest", "weakest", "readable", "readable-left", "readable-right")
MEASURED_SECONDS = 15.0
MIB = 2**20


def measure_processes(data: Path) -> Iterator[Row]:
    """Measure every row, each with a server of its own over a copy of the folder."""
    for measure in (
        _measure_memory,
        _measure_kept,
        _measure_crowd,
        _measure_kills,
        _measure_expensive,
        _measure_fairness,
    ):
        with tempfile.TemporaryDirectory() as folder:
            own = Path(folder) / "data"
            shutil.copytree(data, own, copy_function=os.link)
            with run_server(SLUG, data=own, precompute="false") as server:
                server.ready(f"/{SLUG}")
                yield from measure(server)


def _list_heads(query: str = "") -> list[str]:
    return [f"/{SLUG}/L{layer}/H{head}{query}" for layer in range(LAYERS) for head in range(HEADS)]


def _measure_memory(server: Server) -> Iterator[Row]:
    """Measure memory after every head, with pages that fill the budget of artifacts and answers, then the census."""
    for path in [
        *_list_heads(),
        *_list_heads("?page=2"),
        *_list_heads("?sort=readable"),
        *_list_heads("/ov"),
        *_list_heads("/qk"),
    ]:
        server.ready(path)
    yield (
        "server's anonymous memory after all heads of SmolLM2, caches full",
        f"{read_anonymous(server.process.pid) // MIB} MiB",
    )
    server.ready(f"/{SLUG}/census")
    yield "the same with the census opened besides", f"{read_anonymous(server.process.pid) // MIB} MiB"
    yield "all processes together (PSS)", f"{_read_pss(server) / MIB:.0f} MiB of {len(_list_family(server))} processes"


def _measure_kept(server: Server) -> Iterator[Row]:
    """Time pages rendered for the first time, pages whose artifacts are in memory, and kept answers."""
    pages = _list_heads()
    for path in pages:
        server.ready(path)
    _time_pages(server.port, pages)  # packed, as browsers ask for them
    rendered = _run_in_process(_time_pages, server.port, _list_heads("?page=2"))
    yield "head page rendered, artifacts in memory", _format_spread(rendered)
    kept = _run_in_process(_time_pages, server.port, pages * 8)
    yield "head page kept", _format_spread(kept)
    started = time.perf_counter()
    together = [_begin(_time_pages, server.port, pages * 20) for _ in range(4)]
    spans = [each() for each in together]
    seconds = time.perf_counter() - started
    yield "kept pages to 4 visitors", f"{sum(map(len, spans)) / max(map(sum, spans)):.0f} a second ({seconds:.0f} s)"
    with _start_visitors(server.port, pages, []):
        probes = _run_in_process(_probe_server, server.port)
    yield f"/livez while {VISITORS} visitors read kept pages", _format_spread(probes)


def _measure_crowd(server: Server) -> Iterator[Row]:
    """Time probes and cached pages while the queue is full and some pages are new."""
    pages = _list_heads()
    for path in pages:
        server.ready(path)
    _time_pages(server.port, pages)  # packed, as browsers ask for them
    fresh = [path for sort in SORTS for page in range(1, 7) for path in _list_heads(f"?page={page}&sort={sort}")]
    with _keep_queue_full(server), _start_visitors(server.port, pages, fresh):
        probing, reading = _begin(_probe_server, server.port), _begin(_read_on, server.port, pages)
        probes, read = probing(), reading()
    yield f"/livez, queue full, {VISITORS} visitors, one page in {1 / NEW_SHARE:.0f} new", _format_spread(probes)
    yield "cached head pages meanwhile", _format_spread(read)


def _measure_kills(server: Server) -> Iterator[Row]:
    """Kill the worker in the middle of a computation that a visitor waits for, again and again."""
    answers, soon = [], []
    for path, after in zip(_list_heads("/qk?weights=raw")[:KILLS], _list_heads("/ov?weights=raw"), strict=False):
        asked: list[int] = []
        visitor = threading.Thread(target=lambda path=path, asked=asked: asked.append(server.get(path)[0]))
        visitor.start()
        worker = _await_worker(server)
        time.sleep(0.02)
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        visitor.join(30)
        answers += asked or [0]
        started = time.perf_counter()
        server.ready(after)
        soon.append(time.perf_counter() - started)
    left = len(_list_family(server)) - 1
    yield (
        f"worker killed {KILLS} times: what the visitor heard",
        ", ".join(f"{status} x {answers.count(status)}" for status in sorted(set(answers))),
    )
    yield "the next visit good after", f"{_format_spread(soon)}; {left} other processes at the end"


def _measure_expensive(server: Server) -> Iterator[Row]:
    """Measure memory during one expensive computation, during many at once from one visitor, and afterwards."""
    dear = [
        f"/{SLUG}/{matrix}?{words}frequent={frequent}"
        for words in FILTERS
        for frequent in (100, 500, 1000, 5000)
        for matrix in ("embed", "unembed")
    ]
    server.ready(f"/{SLUG}/L0/H0/ov")
    one = _sample_peak(server, lambda: server.ready(dear[0]))
    rest = _read_pss(server)

    def ask_for_all() -> None:
        asking = [threading.Thread(target=server.get, args=(path,)) for path in dear]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
        while b'"queue":0' not in server.get("/readyz")[1]:
            time.sleep(0.2)

    many = _sample_peak(server, ask_for_all)
    time.sleep(70)  # resting computations are dropped after a minute
    after = _read_pss(server)
    yield "one dear GET, all processes at their peak", f"{one / MIB:.0f} MiB, {rest / MIB:.0f} MiB afterwards"
    yield (
        f"{len(dear)} dear GETs of one visitor",
        f"{many / MIB:.0f} MiB ({many / one:.2f} times), {after / MIB:.0f} MiB afterwards ({after / rest:.2f} times)",
    )


def _measure_fairness(server: Server) -> Iterator[Row]:
    """Time a visitor's cold page while three other clients walk through filters."""
    server.ready(f"/{SLUG}/L0/H0/ov?weights=raw")
    ended = threading.Event()

    def walk(address: str) -> None:
        for at in range(10_000):
            if ended.is_set():
                return
            query = ("ascii=1", "starts=1", "plain=1", "frequent=100", "frequent=1000", "readout=cosine")[at % 6]
            _get_from(address, server.port, f"/{SLUG}/L{at % LAYERS}/H{at % HEADS}?{query}")

    walkers = [threading.Thread(target=walk, args=(f"127.0.0.{n}",)) for n in (2, 3, 4)]
    for walker in walkers:
        walker.start()
    time.sleep(3)
    waits = []
    for path in _list_heads("?weights=raw")[100:105]:
        started = time.perf_counter()
        while _get_from("127.0.0.9", server.port, path) != 200:
            time.sleep(0.1)
        waits.append(time.perf_counter() - started)
    ended.set()
    for walker in walkers:
        walker.join()
    yield "another visitor's cold head page while three walk filters", _format_spread(waits)


def _get_from(address: str, port: int, path: str) -> int:
    """Send a GET as a visitor of that address; return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120, source_address=(address, 0))
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def _list_family(server: Server) -> list[int]:
    """List the server's process and all that it started."""
    found = [server.process.pid]
    for pid in found:
        with suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
            others = [*Path(f"/proc/{pid}/task").glob("*/children")]
            children = " ".join(each.read_text(encoding="ascii") for each in others) or children
            found += [int(child) for child in children.split() if int(child) not in found]
    return found


def _read_pss(server: Server) -> int:
    """Read the memory of all processes in bytes, shared pages counted once (PSS)."""
    total = 0
    for pid in _list_family(server):
        with suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.M)
            total += int(found[1]) * 1024 if found else 0
    return total


def _sample_peak(server: Server, work: Callable[[], object]) -> int:
    """Sample the memory of all processes during some work; return the peak."""
    peak, ended = [_read_pss(server)], threading.Event()

    def watch() -> None:
        while not ended.is_set():
            peak.append(_read_pss(server))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    ended.set()
    watcher.join()
    return max(peak)


def _await_worker(server: Server) -> int:
    while True:
        workers = [pid for pid in _list_family(server)[1:] if b"worker" in _read_command(pid)]
        if workers:
            return workers[0]
        time.sleep(0.01)


def _read_command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@contextmanager
def _keep_queue_full(server: Server) -> Iterator[None]:
    """Keep the queue full: clients of many addresses ask for more than can be computed, each as a waiting page does."""
    cold, ended = iter([*_list_heads("/ov?weights=raw"), *_list_heads("/qk?weights=raw")]), threading.Event()
    lock = threading.Lock()

    def ask(address: str) -> None:
        while not ended.is_set():
            with lock:
                path = next(cold, None)
            if path is None:
                return
            while not ended.is_set() and _get_from(address, server.port, path) != 200:
                ended.wait(2)

    askers = [threading.Thread(target=ask, args=(f"127.0.1.{n // 4}",)) for n in range(4, 76)]
    for asker in askers:
        asker.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not re.search(rb'"queue":(6\d|5\d)', server.get("/readyz")[1]):
        time.sleep(0.05)
    try:
        yield
    finally:
        ended.set()
        for asker in askers:
            asker.join()


@contextmanager
def _start_visitors(port: int, pages: list[str], fresh: list[str]) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=_visit, args=(port, pages, fresh), daemon=True)
    process.start()
    time.sleep(3)  # until all visitors have connected
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _visit(port: int, pages: list[str], fresh: list[str]) -> None:
    """Run visitors, each with a connection of its own, until the process ends; some pages are new."""
    news = iter(fresh)

    async def one(seed: int) -> None:
        chance = random.Random(seed)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            await asyncio.sleep(chance.expovariate(1 / THINK_SECONDS))
            path = next(news, None) if fresh and chance.random() < NEW_SHARE else None
            writer.write(
                f"GET {path or chance.choice(pages)} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n".encode()
            )
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                found = re.search(rb"content-length: (\d+)", head, re.I)
                await reader.readexactly(int(found[1]) if found else 0)
            except (asyncio.IncompleteReadError, ConnectionError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(seed) for seed in range(VISITORS)))

    asyncio.run(all_of_them())


def _time_pages(port: int, paths: list[str]) -> list[float]:
    """Time each page, one after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    seconds = []
    for path in paths:
        started = time.perf_counter()
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        response.read()
        seconds.append(time.perf_counter() - started)
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status}")
    return seconds


def _probe_server(port: int) -> list[float]:
    return _walk_with_pauses(port, ["/livez"], 0.02)


def _read_on(port: int, paths: list[str]) -> list[float]:
    return _walk_with_pauses(port, paths, 0.05)


def _walk_with_pauses(port: int, paths: list[str], pause: float) -> list[float]:
    seconds, end = [], time.perf_counter() + MEASURED_SECONDS
    while time.perf_counter() < end:
        seconds += _time_pages(port, [paths[len(seconds) % len(paths)]])
        time.sleep(pause)
    return seconds


def _begin(work: Callable[..., list[float]], *words: Any) -> Callable[[], list[float]]:
    """Begin some work in a process of its own; return a function that waits for its result."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_send_result, args=(theirs, work, words), daemon=True)
    process.start()

    def result() -> list[float]:
        found: list[float] = ours.recv()
        process.join()
        return found

    return result


def _send_result(pipe: Any, work: Callable[..., list[float]], words: tuple[Any, ...]) -> None:
    pipe.send(work(*words))


def _run_in_process(work: Callable[..., list[float]], *words: Any) -> list[float]:
    return _begin(work, *words)()


def _format_spread(seconds: list[float]) -> str:
    ordered = [1000 * one for one in sorted(seconds)]
    at = {
        name: ordered[int(share * (len(ordered) - 1))] for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }
    said = ", ".join(f"{name} {value:.2f} ms" for name, value in at.items())
    return f"{said}, longest {ordered[-1]:.1f} ms of {len(ordered)} (mean {statistics.mean(ordered):.2f})"


def _make_computed(folder: Path) -> Path:
    """Make a data folder with SmolLM2 and all its heads in it."""
    data = folder / "data"
    for words in (["import", "smollm2"], ["precompute", "smollm2", "--weights", "folded"]):
        subprocess.run([sys.executable, "-m", "app", *words, "--data", str(data)], check=True)
    return data


def main() -> None:
    """Measure every row and print."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(sys.argv[1]) if len(sys.argv) > 1 else _make_computed(Path(folder))
        for what, figure in measure_processes(data):
            print(f"| {what} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
