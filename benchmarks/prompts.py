"""A prompt beside one plain forward pass of the model by its own library: time, totals, memory, start and end.

    python -m benchmarks.prompts DATA [--model smollm2] [--pairs 7]

DATA: a data folder with the model. The passes of each pair are made one after the other, which goes first changing, on
texts that the last pass did not have; the page's own times are those of a server in a process of its own.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from app.core.address import Address
from app.core.steps import run
from app.explorer import recipes
from app.explorer.library import Library
from app.explorer.making.using.prompts import open_prompt_maker
from app.explorer.running.worker import TIDY_AFTER_SECONDS
from app.models.catalog import Catalog
from app.models.live.assembly import assemble_model
from app.models.live.forward import run_model
from app.store.prompts import PromptStore

LENGTHS = (16, 64, 256)
TOTALS = 10
WHYS = 30


def main() -> None:
    """Print one table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("data", type=Path)
    options.add_argument("--model", default="smollm2")
    options.add_argument("--pairs", type=int, default=7)
    chosen = options.parse_args()
    rows = [
        *measure_passes(chosen.data, chosen.model, chosen.pairs),
        *measure_server(chosen.data, chosen.model, chosen.pairs),
    ]
    print("| what | measured |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


def measure_passes(data: Path, slug: str, pairs: int) -> Iterator[tuple[str, str]]:
    """Measure a prompt's arrays and its totals, each beside what the library alone takes for as much."""
    model = Library(Catalog(data)).model(slug)
    assert model is not None
    network = assemble_model(model.weights(), model.manifest)
    generator = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        store = PromptStore(Path(folder))
        maker = open_prompt_maker(data, "cpu", store)

        def draw(n: int) -> list[int]:
            ids: list[int] = torch.randint(0, model.vocabulary.lookup.largest, (n,), generator=generator).tolist()
            return ids

        def make(ids: list[int]) -> None:
            key = store.put(model.fingerprint, ids, None)
            run(maker.make(recipes.prompt(model, key, "folded", len(ids) - 1, None, None), slug))

        make(draw(8))  # loads the model
        for n in LENGTHS:
            own, plain = time_pairs(pairs, make, lambda ids: _run_plain(network, ids), partial(draw, n))
            yield (
                f"all arrays of a prompt of {n} tokens",
                f"{in_ms(own)}; one plain forward {in_ms(plain)}; {ratio(own, plain)} of it",
            )

        def read_layers(ids: list[int]) -> None:
            key = store.put(model.fingerprint, ids, None)
            run(maker.make(recipes.lens(model, key, None, shifted=False), slug))

        own, plain = time_pairs(pairs, read_layers, lambda ids: _read_plain(network, ids), partial(draw, 64))
        yield (
            "a prompt of 64 tokens read at every layer, its pass included",
            f"{in_ms(own)}; as a notebook does {in_ms(plain)}; {ratio(own, plain)} of it",
        )
        ids = draw(64)
        key = store.put(model.fingerprint, ids, None)
        at, text = len(ids) - 1, run_model(network, torch.tensor(ids))
        places = [Address(slug, None, 0, n % model.header.n_heads, "ov", "svd", n) for n in range(TOTALS)]
        asked = recipes.removals(model, key, "folded", at, 5, None, places, 1)
        run(maker.make(asked, slug))
        rows = torch.tensor([ids[at:]] * (2 * TOTALS + 1))

        def run_rows(_: list[int]) -> None:
            from transformers import DynamicCache

            cache = DynamicCache()
            for layer, one in enumerate(text.cache.layers):
                cache.update(
                    *(part[..., :at, :].expand(len(rows), -1, -1, -1) for part in (one.keys, one.values)), layer
                )
            with torch.no_grad():
                network(rows, past_key_values=cache, use_cache=True)

        own, plain = time_pairs(pairs, lambda _: run(maker.make(asked, slug)), run_rows, lambda: ids)
        yield (
            f"{TOTALS} totals with a random direction each, at 64 tokens, from the first layer on",
            f"{in_ms(own)}; that position's own forward of as many rows {in_ms(plain)}; {ratio(own, plain)}",
        )


def measure_server(data: Path, slug: str, pairs: int) -> Iterator[tuple[str, str]]:
    """Measure a prompt as a visitor meets it: the first from cold, later ones, the live model's memory, kept pages."""
    model = Library(Catalog(data)).model(slug)
    assert model is not None
    generator = torch.Generator()
    generator.seed()  # prompts that an earlier run left in the folder would cost nothing

    def draw(below: int, n: int = 1) -> list[int]:
        drawn: list[int] = torch.randint(0, below, (n,), generator=generator).tolist()
        return drawn

    def ask(base: str, n: int) -> float:
        ids = draw(model.vocabulary.lookup.largest, n)
        return fetch(f"{base}/api/v1/{slug}/prompt?ids={'+'.join(map(str, ids))}")[0]

    def ask_why(base: str, n: int) -> list[float]:
        """Time pages of attention on a prompt that was run: of other heads and other pairs each time."""
        ids = draw(model.vocabulary.lookup.largest, n)
        _, prompt = fetch(f"{base}/{slug}/prompt?ids={'+'.join(map(str, ids))}")
        path, times = prompt.partition("?")[0], []
        for _ in range(WHYS):
            (layer,), (head,), (source,) = draw(model.header.n_layers), draw(model.header.n_heads), draw(n - 1)
            times.append(fetch(f"{path}/why?head=L{layer}H{head}&from={source}")[0])
        return times

    def ask_lens(base: str, n: int) -> float:
        """Time the lens of a prompt that was run."""
        ids = draw(model.vocabulary.lookup.largest, n)
        _, prompt = fetch(f"{base}/{slug}/prompt?ids={'+'.join(map(str, ids))}")
        return fetch(f"{prompt.partition('?')[0]}/lens")[0]

    with serve(data, slug) as (base, server):
        yield "first prompt, 16 tokens, no live model yet", f"{ask(base, 16):.1f} s"
        for n in LENGTHS:
            times = [ask(base, n) for _ in range(pairs)]
            yield f"a prompt of {n} tokens, the model loaded, as JSON", in_ms(times)
        yield f"why a head looks somewhere, {WHYS} heads and pairs of 64 tokens, as pages", in_ms(ask_why(base, 64))
        yield "a prompt of 64 tokens read at every layer, as a page", in_ms([ask_lens(base, 64) for _ in range(pairs)])
        (pid,) = _find_live(server)
        time.sleep(TIDY_AFTER_SECONDS + 1)
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        resident = {
            line.split(":")[0]: int(line.split()[1]) / 2**20 for line in status.splitlines() if line.startswith("Vm")
        }
        yield (
            "memory of the live model three seconds after 256 tokens",
            f"{resident['VmRSS']:.2f} GiB resident, at most {resident['VmHWM']:.2f} while it ran",
        )


def time_pairs(
    pairs: int, one: Callable[[list[int]], object], other: Callable[[list[int]], object], draw: Callable[[], list[int]]
) -> tuple[list[float], list[float]]:
    """Time both on texts that are drawn for each, after a first pair that warms up: seconds, pair by pair."""
    times: tuple[list[float], list[float]] = ([], [])
    for n in range(pairs + 1):
        for which in (0, 1) if n % 2 else (1, 0):
            ids = draw()
            started = time.perf_counter()
            (one, other)[which](ids)
            times[which].append(time.perf_counter() - started)
    return times[0][1:], times[1][1:]  # the first pair warms up


def _run_plain(network: torch.nn.Module, ids: list[int]) -> None:
    with torch.no_grad():
        network(torch.tensor([ids]), use_cache=False)


def _read_plain(network: Any, ids: list[int]) -> None:
    """Read every layer as a notebook does: the library's hidden states through its norm and its head, all at once."""
    with torch.no_grad():
        made = network(torch.tensor([ids]), use_cache=False, output_hidden_states=True)
        states = torch.stack(made.hidden_states[:-1])[:, 0]
        chances = network.lm_head(network.model.norm(states)).log_softmax(-1)
        end = made.logits[0].log_softmax(-1)
        (end.exp() * (end - chances)).sum(-1)
        chances.max(-1)
        (chances > chances.gather(-1, end.argmax(-1).expand(len(states), -1)[..., None])).sum(-1)


def fetch(url: str) -> tuple[float, str]:
    """Fetch a URL, asking again while it is being computed: seconds, and where it ended."""
    started = time.perf_counter()
    while True:
        with urllib.request.urlopen(url) as answer:
            answer.read()
            if answer.status != 202:
                return time.perf_counter() - started, answer.url
            url = answer.url
        time.sleep(0.05)


def in_ms(times: list[float]) -> str:
    """Format the median of times, and their range."""
    return f"median {1000 * statistics.median(times):.0f} ms ({1000 * min(times):.0f} to {1000 * max(times):.0f})"


def ratio(own: list[float], plain: list[float]) -> str:
    """Format the median ratio of pairs."""
    return f"{statistics.median(a / b for a, b in zip(own, plain, strict=True)):.2f} times, median of {len(own)} pairs"


@contextmanager
def serve(data: Path, slug: str) -> Iterator[tuple[str, int]]:
    """Serve a model in a process of its own: its address, and the process."""
    command = [sys.executable, "-m", "app", "serve", slug, "--data", str(data), "--port", "0", "--no-precompute"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        address = next(line for line in server.stderr if "http://" in line).split()[1].rstrip("/")
        try:
            with urllib.request.urlopen(f"{address}/api/v1/") as answer:
                json.load(answer)
            yield address, server.pid
        finally:
            os.kill(server.pid, signal.SIGTERM)


def _find_live(server: int) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, StopIteration):  # it has ended meanwhile
            lines = (process / "status").read_text(encoding="ascii", errors="replace").splitlines()
            parent = next(int(line.split()[1]) for line in lines if line.startswith("PPid:"))
            if parent == server and b"live" in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


if __name__ == "__main__":
    main()
