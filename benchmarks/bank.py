"""What a bank costs to open and to go through: of a model in a data folder, and of made-up ones of larger shapes.

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
    """Measure and print."""
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
        _print(said.model, measured(said.data, model))
    for shape in said.shape:
        with tempfile.TemporaryDirectory() as folder:
            model = made_up(Path(folder), shape, said.layers)
            _print(shape, measured(Path(folder), model))


def made_up(data: Path, shape: str, layers: int | None) -> OpenModel:
    """A model of that shape with a bank of random numbers in the folder, and no weights."""
    import_model("demo", data, report=lambda step: None)
    demo = Library(Catalog(data)).model("demo")
    assert demo is not None
    facts = SHAPES[shape] | ({"n_layers": layers} if layers else {})
    model = OpenModel(shape, replace(demo.manifest, fingerprint="0" * 64, **facts), demo.folder)
    r = _opened(data)
    random = np.random.default_rng(0)
    d, vocabulary = model.header.d_model, model.header.d_vocab
    vectors = np.zeros((0, d), np.float32)
    for part in parts_of(model, PROCESSING):
        if part.kind == "words":
            ids = word_ids(model, int(part.subject.rpartition("/")[2]))
            unit = _units(random, len(ids), d)
            r.store.write(part, {"halves": unit.astype(np.float16)} if are_words_halved(model) else {"unit": unit}, {})
        elif part.kind == "bank" and part.basis == "svd":
            n = count_rows(model, PROCESSING, part)
            if len(vectors) != n:  # the same ones in every layer: a product takes as long with any
                vectors = _units(random, n, d)
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


def measured(data: Path, model: OpenModel) -> Iterator[Row]:
    """The figures of one bank."""
    r = _opened(data)
    before = _own_bytes()
    _drop(r, model)
    bank, seconds = _timed(lambda: open_bank(r, model, PROCESSING))
    n_neurons = int(bank.rows.is_neuron.sum())
    yield "vectors", f"{bank.n_rows:,} of singular directions, {n_neurons:,} of neurons, x {model.header.d_model:,}"
    yield "opened for the first time, cold: small parts proven, large ones begun to be", f"{seconds:.2f} s"
    warm = _opened(data)
    yield "the same, warm", f"{_timed(lambda: open_bank(warm, model, PROCESSING))[1]:.2f} s"
    close_resources(warm)
    del warm
    yield "opened again, proven before, nothing in memory", _spread(lambda: _reopened(r, model), 5)
    yield "looked at again by the next request", _spread(lambda: open_bank(r, model, PROCESSING))
    for end in ends_of(model, PROCESSING):
        words, seconds = _timed(lambda end=end: open_words(r, model, PROCESSING, end))
        query = np.random.default_rng(1).normal(size=model.header.d_model)
        yield f"words of {end}, opened", f"{seconds:.2f} s"
        yield "every token beside a query", _spread(lambda words=words, query=query: words.similarities(query))
    yield f"{HITS} vectors gathered from anywhere", _spread(lambda: bank.vectors(_anywhere(bank)))
    rounds = ROUNDS if not is_halved(model, PROCESSING, "svd") else 3
    yield "every vector beside a query", _spread(lambda: bank.products(query), rounds)
    svd = ~bank.rows.is_neuron
    if n_neurons:
        yield "every singular direction beside a query", _spread(lambda: bank.products(query, svd), rounds)
    for order in ("theme", "alignment"):
        yield f"a search of three tokens by {order}", _spread(lambda order=order: _searched(r, model, order))
    yield "memory of the process, more than before", f"{(_own_bytes() - before) / MIB:,.0f} MiB"
    close_resources(r)


def _searched(r: Resources, model: OpenModel, order: SearchOrder) -> None:
    """Any three of its tokens, other ones each time; of a made-up model those that the demo has."""
    slug, ids = model.header.slug, np.random.default_rng().choice(np.flatnonzero(model.vocabulary.known), 3)
    with patch.object(r.library, "model", lambda slug: model):
        page = search(
            replace(r, slugs=(slug,)), Address(slug), Options(), Inquiry(" ".join(f"#{id_}" for id_ in ids), order)
        )
    assert page.found, page.problem


def _opened(data: Path) -> Resources:
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


def _reopened(r: Resources, model: OpenModel) -> Bank:
    r.banks.drop(("bank", model.fingerprint, PROCESSING))
    return open_bank(r, model, PROCESSING)


def _anywhere(bank: Bank) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    return np.random.default_rng().integers(len(bank.rows.layer), size=HITS).astype(np.intp)


def _drop(r: Resources, model: OpenModel) -> None:
    """Have the system forget what it holds of the bank's files."""
    for part in parts_of(model, PROCESSING):
        path = r.store.path(part)
        if path.exists():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def _units(random: np.random.Generator, n: int, d: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    vectors = random.standard_normal((n, d), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _own_bytes() -> int:
    """Of this process's memory what is no file's."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


def _timed(work: Callable[[], object]) -> tuple[object, float]:
    started = time.perf_counter()
    value = work()
    return value, time.perf_counter() - started


def _spread(work: Callable[[], object], rounds: int = ROUNDS) -> str:
    """Median and 95th percentile of so many rounds, in milliseconds, after one that does not count."""
    work()
    seconds = sorted(_timed(work)[1] for _ in range(rounds))
    return f"p50 {1000 * statistics.median(seconds):.1f} ms, p95 {1000 * seconds[int(0.95 * (rounds - 1))]:.1f} ms"


def _print(bank: str, rows: Iterator[Row]) -> None:
    for what, figure in rows:
        print(f"| {bank} | {what} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
