"""Two public servers behind nginx: visitors and a crawler for minutes, what they wait for, and what grows meanwhile.

`python -m benchmarks.public DATA` takes a data folder with the demo in it, every matrix computed, and serves a copy, as
deploy/ does: two servers behind nginx with its file, limits and all; `--servers 1` for one. Everybody asks from this machine: so each visitor says who he is in
X-Forwarded-For, as a CDN in front would, and nginx is told to believe this machine. Visitors are in a process of their
own: they open links that somebody sent them, pinned ones among them, go on to what a page links to, with a pause
between two pages, and fetch the parts that a browser would. The crawler follows every link that it sees, at once, and
heeds neither robots.txt nor `nofollow` nor a refusal.
"""

import argparse
import asyncio
import html
import json
import multiprocessing
import os
import random
import re
import shutil
import statistics
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from benchmarks.cold import Row
from benchmarks.server import Server, run_server
from tests.server.proxies import deployed

VISITORS, THINK_SECONDS = 200, 10.0
"""Visitors at once, and the mean pause of each between two pages; the longest is twice that."""
VISITORS_START = "10."
"""How their addresses begin."""
PAGES_EACH = 8
"""Pages that a visitor opens before the next one comes in his place."""
CRAWLERS_AT_ONCE = 4
REFUSED_SECONDS = 0.5
"""Seconds until a crawler that was refused asks for its next page: fewer, and the client would be what is measured."""
PINNED_SHARE = 0.5
WARM_SECONDS = 10.0
"""Seconds at the beginning that are not measured: everybody comes at once then."""
LOOKS = 8
"""How often the server's resources are noted."""
LINK = re.compile(r'<a [^>]*href="(/[^"#]*)')
PART = re.compile(
    r'<(?=[^>]*hx-get="(/[^"]*)")(?=[^>]*hx-trigger="(?:load|intersect)[ o"])(?=[^>]*id="([\w-]+)")[^>]*>'
)
STATIC = re.compile(r'"(/static/[^"]+)"')


@dataclass
class Heard:
    """The answers that visitors got, or a crawler."""

    seconds: list[float] = field(default_factory=list)
    """Of pages and their parts that came with 200, from the request to the last byte."""
    statuses: Counter[int] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    """What nginx said of its cache."""


@dataclass(frozen=True)
class Look:
    """The servers' resources at one moment, all of them together."""

    resident_mib: float
    threads: int
    files: int
    artifacts: int
    children: int
    cpu_seconds: float
    counters: Counter[str]


def measure_public(data: Path, seconds: float, n_servers: int) -> Iterator[Row]:
    """Measure public servers of the demo over a copy of the folder for so long."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        own, times = Path(folder) / "data", Path(folder) / "times"
        shutil.copytree(data, own)
        said = {"public": "true", "precompute": "false", "trusted_proxies": "127.0.0.1"}
        servers = [stack.enter_context(run_server("demo", data=own, **said)) for _ in range(n_servers)]
        for server in servers:
            server.ready("/demo")
        ports = [server.port for server in servers]
        front = stack.enter_context(deployed(Path(folder) / "nginx", *ports, is_behind_a_proxy=True, times=times))
        pin = json.loads(servers[0].ready("/api/v1/demo"))["model"]["fingerprint"][:12]
        visitors, crawler, looks = _ask(front, servers, own, times, pin, seconds)
        yield from _tell(visitors, crawler, looks, seconds)
        yield "visitors' pages as nginx timed them", _describe_times(_read_times(times))


def _ask(
    front: int, servers: Sequence[Server], data: Path, times: Path, pin: str, seconds: float
) -> tuple[Heard, Heard, list[Look]]:
    """Let everybody ask, and look at the servers meanwhile."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    everybody = context.Process(target=_run_everybody, args=(theirs, front, pin, seconds))
    everybody.start()
    ours.recv()  # they are warm
    os.truncate(times, 0)
    looks = [_look(servers, data)]
    for _ in range(LOOKS):
        time.sleep(seconds / LOOKS)
        looks.append(_look(servers, data))
    visitors, crawler = ours.recv()
    everybody.join()
    return visitors, crawler, looks


def _look(servers: Sequence[Server], data: Path) -> Look:
    processes = [Path(f"/proc/{server.process.pid}") for server in servers]
    counters = Counter[str]()
    for server in servers:
        text = server.get("/-/status?format=prometheus")[1].decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        counters.update({name.removeprefix("singular_lens_"): float(number) for name, _, number in lines})
    children = [(process / "task" / process.name / "children").read_text(encoding="ascii") for process in processes]
    return Look(
        sum(server.resident_mib() for server in servers),
        sum(len(os.listdir(process / "task")) for process in processes),
        sum(len(os.listdir(process / "fd")) for process in processes),
        sum(1 for path in data.rglob("*.safetensors") if path.is_file()),
        sum(len(each.split()) for each in children),
        sum(server.cpu_seconds() for server in servers),
        counters,
    )


def _read_times(times: Path) -> list[float]:
    """Read the seconds that nginx took for each page and part that came with 200, without what is static."""
    answers = (line.split(" ", 3) for line in times.read_text(encoding="utf-8").splitlines())
    return [
        float(seconds)
        for status, seconds, address, url in answers
        if status == "200" and address.startswith(VISITORS_START) and not url.startswith("/static/")
    ]


def _run_everybody(out: "multiprocessing.connection.Connection", front: int, pin: str, seconds: float) -> None:
    asyncio.run(_come(out, front, pin, seconds))


async def _come(out: "multiprocessing.connection.Connection", front: int, pin: str, seconds: float) -> None:
    visitors, crawler = Heard(), Heard()
    until = time.monotonic() + WARM_SECONDS + seconds
    tasks = [asyncio.create_task(_visit(front, pin, number, visitors, until)) for number in range(VISITORS)]
    waiting: deque[str] = deque(["/demo"])
    seen = {"/demo"}
    tasks += [asyncio.create_task(_crawl(front, crawler, waiting, seen, until)) for _ in range(CRAWLERS_AT_ONCE)]
    await asyncio.sleep(WARM_SECONDS)
    for heard in (visitors, crawler):
        heard.seconds.clear()
        heard.statuses.clear()
        heard.kept.clear()
    out.send(None)
    await asyncio.gather(*tasks)
    out.send((visitors, crawler))


async def _visit(front: int, pin: str, number: int, heard: Heard, until: float) -> None:
    """Be one visitor after another, each from an address of his own."""
    chance = random.Random(number)
    for visit in range(1_000_000):
        address = f"{VISITORS_START}{number}.{visit // 250 % 250}.{visit % 250 + 1}"
        headers = {"X-Forwarded-For": address, "Accept-Encoding": "gzip"}
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{front}", headers=headers, timeout=60, verify=False
        ) as client:
            path = _choose_first(chance, pin)
            for at in range(PAGES_EACH):
                await asyncio.sleep(chance.uniform(0.0, 2 * THINK_SECONDS))
                if time.monotonic() >= until:
                    return
                page = await _get(client, path, heard)
                for own in STATIC.findall(page) if at == 0 else ():
                    await client.get(own)
                for url, part in PART.findall(page):
                    joint = "&" if "?" in url else "?"
                    await _get(client, f"{html.unescape(url)}{joint}fragment={part}", heard)
                path = _choose_next(chance, page) or _choose_first(chance, pin)


def _choose_first(chance: random.Random, pin: str) -> str:
    """Choose the page of a link that somebody sent: the more popular, the oftener; one in ten is a search."""
    model = f"/demo@{pin}" if chance.random() < PINNED_SHARE else "/demo"
    if chance.random() < 0.1:
        return f"{model}/search?q={chance.choice(('writing', 'king', 'water', 'red', 'Paris'))}"
    head = f"{model}/L{min(5, int(chance.expovariate(0.7)))}/H{min(3, int(chance.expovariate(1.0)))}"
    circuit = chance.choice(("ov", "qk"))
    return chance.choice(
        (model, head, f"{head}/{circuit}", f"{head}/{circuit}/svd/{int(chance.expovariate(0.3)) % 16}")
    )


def _choose_next(chance: random.Random, page: str) -> str:
    """Choose a link of the page, each kind of place as likely as any other; empty where it has none."""
    kinds: dict[str, list[str]] = {}
    for link in map(html.unescape, LINK.findall(page)):
        if link.startswith("/demo"):
            kinds.setdefault(re.sub(r"\d+|=[^&]*", "", link), []).append(link)
    return chance.choice(kinds[chance.choice(list(kinds))]) if kinds else ""


async def _crawl(front: int, heard: Heard, waiting: deque[str], seen: set[str], until: float) -> None:
    headers = {"X-Forwarded-For": "203.0.113.66", "User-Agent": "crawler", "Accept-Encoding": "gzip"}
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{front}", headers=headers, timeout=60, verify=False
    ) as client:
        while time.monotonic() < until:
            if not waiting:
                await asyncio.sleep(0.05)
                continue
            page = await _get(client, waiting.popleft(), heard)
            new = dict.fromkeys(link for link in map(html.unescape, LINK.findall(page)) if link not in seen)
            seen.update(new)
            waiting.extend(new)
            await asyncio.sleep(0.02 if page else REFUSED_SECONDS)


async def _get(client: httpx2.AsyncClient, path: str, heard: Heard) -> str:
    """Get a page, and note how long it took; what was refused is empty."""
    begun = time.perf_counter()
    answer = await client.get(path, follow_redirects=True)
    took = time.perf_counter() - begun
    heard.statuses[answer.status_code] += 1
    heard.kept[answer.headers.get("X-Cache", "not for the cache")] += 1
    if answer.status_code != 200:
        return ""
    heard.seconds.append(took)
    return str(answer.text)


def _tell(visitors: Heard, crawler: Heard, looks: list[Look], seconds: float) -> Iterator[Row]:
    first, last = looks[0], looks[-1]
    yield "what visitors got", f"{visitors.statuses.total() / seconds:.0f} answers a second: {_list(visitors.statuses)}"
    yield "their pages", _describe_times(visitors.seconds)
    yield "of nginx's cache", _list(visitors.kept)
    yield "what the crawler got", f"{crawler.statuses.total() / seconds:.0f} a second: {_list(crawler.statuses)}"
    yield "cores that the servers kept busy", f"{(last.cpu_seconds - first.cpu_seconds) / seconds:.2f}"
    hits, misses = (last.counters[f"kept_{of}_total"] - first.counters[f"kept_{of}_total"] for of in ("hits", "misses"))
    yield "answers that the servers had kept", f"{hits:.0f}, and {misses:.0f} that it made"
    started = last.counters["line_started_total"]
    yield "computations begun", f"{started:.0f}; worker processes {max(look.children for look in looks)}"
    yield "artifacts on disk", f"{first.artifacts} before, {last.artifacts} after"
    resident = ", ".join(f"{look.resident_mib:.0f}" for look in looks)
    yield "the servers' memory, MiB", f"{resident} ({(last.resident_mib - first.resident_mib):+.0f} over all)"
    kept = [look.counters["memory_bytes"] / 2**20 for look in looks]
    yield "of it artifacts and kept answers, MiB", ", ".join(f"{size:.0f}" for size in kept)
    rest = [look.resident_mib - size for look, size in zip(looks, kept, strict=True)]
    yield "and all the rest, MiB", ", ".join(f"{size:.0f}" for size in rest)
    yield (
        "their threads and open files",
        f"{first.threads} and {first.files} before, {last.threads} and {last.files} after",
    )


def _list(counted: Counter[int] | Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counted.items(), key=lambda pair: str(pair[0])))


def _describe_times(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    p50, p95, p99 = (1000 * cuts[at - 1] for at in (50, 95, 99))
    return f"p50 {p50:.1f} ms, p95 {p95:.1f}, p99 {p99:.1f}, longest {1000 * max(seconds):.0f}"


def main() -> None:
    """Measure over the folder that is named and print the rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.public", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--servers", type=int, default=2)
    asked = parser.parse_args()
    for what, figure in measure_public(asked.data, asked.seconds, asked.servers):
        print(f"| {what} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
