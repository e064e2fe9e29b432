"""The cost of opening and searching a bank: of a model in a data folder, and of made-up ones of larger shapes.

    python -m benchmarks.bank [--data FOLDER] [--model smollm2] [--shape gpt2-medium|llama-3-8b …] [--layers N]

A made-up bank holds random unit vectors and random tokens, written part by part into an empty folder; one of Llama-3-8B's size
takes 10 GB there, with its words. `cold`: once the system has dropped the files from its memory. Memory is what a process
grows by beyond what it had before it opened the bank, and holds no file that the system maps.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from app.core.address import KINDS, Address
from app.explorer.asking.views import Options
from app.explorer.bank import are_words_halved, count_rows, count_shadow, ends_of, is_halved, parts_of, word_ids
from app.explorer.layout import BANK_ENDS
from app.explorer.library import Library, OpenModel
from app.explorer.pages.search import Inquiry, SearchOrder
from app.explorer.reading.finding.bank import Bank, open_bank
from app.explorer.reading.finding.words import open_words
from app.explorer.recipes import layer_of
from app.explorer.resources import Resources, close_resources, open_resources
from app.explorer.view import Processing
from app.explorer.visits.finding.search import search
from app.models.catalog import Catalog
from app.models.importing.importer import import_model

PROCESSING: Processing = "folded"
SHAPES = {
    "gpt2-medium": {"n_layers": 24, "n_heads": 16, "d_head": 64, "d_model": 1_024, "d_mlp": 4_096, "d_vocab": 50_257},
    "llama-3-8b": {
        "n_layers": 32,
        "n_heads": 32,
        "d_head": 128,
        "d_model": 4_096,
        "d_mlp": 14_336,
        "d_vocab": 128_256,
        "gated": True,
        "tied": False,
    },
}
ROUNDS = 20
HITS = 200
MIB = 2**20

Row = tuple[str, str]


def main() -> None:
    """Measure the banks and print the figures."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path, help="A folder that has the model and its bank.")
    asked.add_argument("--model", default="smollm2")
    asked.add_argument("--shape", choices=SHAPES, nargs="*", default=["gpt2-medium"])
    asked.add_argument("--layers", type=int, help="Of a made-up model, instead of all that it has.")
    said = asked.parse_args()
    print("| bank | what | measured |\n|---|---|---|")
    if said.data is not None:
        model = Library(Catalog(said.data)).model(said.model)
        if model is None:
            raise SystemExit(f"{said.model} is not in {said.data}")
        _print_rows(said.model, measure_bank(said.data, model))
    for shape in said.shape:
        with tempfile.TemporaryDirectory() as folder:
            model = make_bank(Path(folder), shape, said.layers)
            _print_rows(shape, measure_bank(Path(folder), model))


def make_bank(data: Path, shape: str, layers: int | None) -> OpenModel:
    """Write a model of that shape without weights, and with a bank of random numbers, into the folder."""
    import_model("demo", data, report=lambda step: None)
    demo = Library(Catalog(data)).model("demo")
    assert demo is not None
    facts = SHAPES[shape] | ({"n_layers": layers} if layers else {})
    model = OpenModel(shape, replace(demo.manifest, fingerprint="0" * 64, **facts), demo.folder)
    r = _open_resources(data)
    random = np.random.default_rng(0)
    d, vocabulary = model.header.d_model, model.header.d_vocab
    vectors = np.zeros((0, d), np.float32)
    for part in parts_of(model, PROCESSING):
        if part.kind == "words":
            ids = word_ids(model, int(part.subject.rpartition("/")[2]))
            unit = _draw_units(random, len(ids), d)
            r.store.write(part, {"halves": unit.astype(np.float16)} if are_words_halved(model) else {"unit": unit}, {})
        elif part.kind == "bank" and part.basis == "svd":
            n = count_rows(model, PROCESSING, part)
            if len(vectors) != n:  # the same vectors in every layer: a product takes as long with any
                vectors = _draw_units(random, n, d)
            halved = is_halved(model, PROCESSING, "svd")
            arrays = {
                "kind": np.full(n, KINDS.index("ov" if layer_of(part) is not None else "embed"), np.int8),
                "side": np.zeros(n, np.int8),
                "head": np.zeros(n, np.int16),
                "index": np.arange(n, dtype=np.int32),
                "unit": np.full(n, -1, np.int32),
                "end": (np.arange(n) >= 5 * n // 7).astype(np.int8),
                **dict.fromkeys(("strength", "gain", "spread"), np.ones(n, np.float32)),
                "ids": random.integers(vocabulary, size=(n, 2, 20), dtype=np.int32),
                **dict.fromkeys(("z", "p"), np.zeros((n, 2), np.float32)),
                "reading": np.zeros((n, 2), np.int8),
                "letterless": np.zeros((n, 2), np.bool_),
                "halves" if halved else "vectors": vectors.astype(np.float16) if halved else vectors,
            }
            r.store.write(part, arrays, {})
        elif part.kind == "shadow":
            n = count_shadow(model, PROCESSING, BANK_ENDS[f"/{BANK_ENDS[1]}" in part.subject])
            r.store.write(part, {"ids": random.integers(vocabulary, size=(n, 2, 20), dtype=np.int32)}, {})
        elif part.kind == "moments":
            r.store.write(part, dict.fromkeys(BANK_ENDS, np.eye(d, dtype=np.float32) / d), {})
    close_resources(r)
    return model


def measure_bank(data: Path, model: OpenModel) -> Iterator[Row]:
    """Measure the figures of one bank."""
    r = _open_resources(data)
    before = _read_own_bytes()
    _drop_cache(r, model)
    bank, seconds = _time_work(lambda: open_bank(r, model, PROCESSING))
    n_neurons = int(bank.rows.is_neuron.sum())
    yield "vectors", f"{bank.n_rows:,} of singular directions, {n_neurons:,} of neurons, x {model.header.d_model:,}"
    yield "opened for the first time, cold: small parts proven, large ones begun to be", f"{seconds:.2f} s"
    warm = _open_resources(data)
    yield "the same, warm", f"{_time_work(lambda: open_bank(warm, model, PROCESSING))[1]:.2f} s"
    close_resources(warm)
    del warm
    yield "opened again, proven before, nothing in memory", _measure_spread(lambda: _reopen_bank(r, model), 5)
    yield "looked at again by the next request", _measure_spread(lambda: open_bank(r, model, PROCESSING))
    for end in ends_of(model, PROCESSING):
        words, seconds = _time_work(lambda end=end: open_words(r, model, PROCESSING, end))
        query = np.random.default_rng(1).normal(size=model.header.d_model)
        yield f"words of {end}, opened", f"{seconds:.2f} s"
        yield "every token beside a query", _measure_spread(lambda words=words, query=query: words.similarities(query))
    yield f"{HITS} vectors gathered from anywhere", _measure_spread(lambda: bank.vectors(_draw_rows(bank)))
    rounds = ROUNDS if not is_halved(model, PROCESSING, "svd") else 3
    yield "every vector beside a query", _measure_spread(lambda: bank.products(query), rounds)
    svd = ~bank.rows.is_neuron
    if n_neurons:
        yield "every singular direction beside a query", _measure_spread(lambda: bank.products(query, svd), rounds)
    for order in ("theme", "alignment"):
        yield (
            f"a search of three tokens by {order}",
            _measure_spread(lambda order=order: _search_tokens(r, model, order)),
        )
    yield "memory of the process, more than before", f"{(_read_own_bytes() - before) / MIB:,.0f} MiB"
    close_resources(r)


def _search_tokens(r: Resources, model: OpenModel, order: SearchOrder) -> None:
    """Search for three of the model's tokens, other ones each time; in a made-up model for those of the demo."""
    slug, ids = model.header.slug, np.random.default_rng().choice(np.flatnonzero(model.vocabulary.known), 3)
    with patch.object(r.library, "model", lambda slug: model):
        page = search(
            replace(r, slugs=(slug,)), Address(slug), Options(), Inquiry(" ".join(f"#{id_}" for id_ in ids), order)
        )
    assert page.hits, page.problem


def _open_resources(data: Path) -> Resources:
    return open_resources(
        data=data,
        models=(),
        device="cpu",
        weights=PROCESSING,
        quota_bytes=10**12,
        queue_size=1,
        wait_seconds=1,
        waiters=1,
        named=(),
    )


def _reopen_bank(r: Resources, model: OpenModel) -> Bank:
    r.banks.drop(("bank", model.fingerprint, PROCESSING))
    return open_bank(r, model, PROCESSING)


def _draw_rows(bank: Bank) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    return np.random.default_rng().integers(len(bank.rows.layer), size=HITS).astype(np.intp)


def _drop_cache(r: Resources, model: OpenModel) -> None:
    """Have the system drop the bank's files from its page cache."""
    for part in parts_of(model, PROCESSING):
        path = r.store.path(part)
        if path.exists():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def _draw_units(random: np.random.Generator, n: int, d: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    vectors = random.standard_normal((n, d), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _read_own_bytes() -> int:
    """Read the bytes of this process's memory that no file backs."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


def _time_work(work: Callable[[], object]) -> tuple[object, float]:
    started = time.perf_counter()
    value = work()
    return value, time.perf_counter() - started


def _measure_spread(work: Callable[[], object], rounds: int = ROUNDS) -> str:
    """Measure median and 95th percentile of so many rounds, in milliseconds, after one that does not count."""
    work()
    seconds = sorted(_time_work(work)[1] for _ in range(rounds))
    return f"p50 {1000 * statistics.median(seconds):.1f} ms, p95 {1000 * seconds[int(0.95 * (rounds - 1))]:.1f} ms"


def _print_rows(bank: str, rows: Iterator[Row]) -> None:
    for what, figure in rows:
        print(f"| {bank} | {what} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
