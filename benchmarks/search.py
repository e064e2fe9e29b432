"""Searches of a model's bank, beside a notebook's lines: `python -m benchmarks.search --data DIR --model smollm2`.

The bank has to be there (`singular-lens precompute MODEL --matrices bank`). Times are of the page's value, without
HTTP and HTML; beside them are the lines of a notebook that holds all vectors and tokens in memory: the theme by torch, the
same by numpy, and the cosine of every vector. Memory is the process's own. P@10 is the share of the first ten rays that
are about their concept, as lexicons judge it.
"""

import argparse
import gc
import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.core.address import Address
from app.explorer.asking.views import Options
from app.explorer.pages.search import Inquiry
from app.explorer.reading.finding.bank import open_bank
from app.explorer.reading.finding.words import open_words
from app.explorer.resources import Resources, close_resources, open_resources
from app.explorer.visits.finding.search import search
from tests.concepts import read_concepts
from tests.explorer.visits.test_concepts import precision, spelt

ROUNDS = 5


def time_queries(ask: Callable[[str], object], queries: list[str]) -> dict[str, float]:
    """Time the queries in milliseconds, asked ROUNDS times one after the other; the very first one apart."""
    started = time.perf_counter()
    ask(queries[0])
    first = 1e3 * (time.perf_counter() - started)
    seconds = []
    for _ in range(ROUNDS):
        for query in queries:
            started = time.perf_counter()
            ask(query)
            seconds.append(time.perf_counter() - started)
    cuts = statistics.quantiles([1e3 * each for each in seconds], n=20)
    return {"first": first, "best": 1e3 * min(seconds), "p50": cuts[9], "p95": cuts[18]}


def make_notebook(r: Resources, slug: str) -> dict[str, Callable[[list[int]], object]]:
    """Make a notebook's functions: the whole bank in memory, and a line for each question."""
    import torch

    model = r.library.model(slug)
    assert model is not None
    bank = open_bank(r, model, "folded")
    where = np.flatnonzero(~bank.rows.is_neuron)
    tables = [open_words(r, model, "folded", end).rows(np.arange(model.header.d_vocab)) for end in ("read", "write")]
    ids, ends, vectors = bank.rows.ids[where], bank.rows.end[where], bank.vectors(where)
    own = [np.flatnonzero(ends == end) for end in (0, 1)]
    by_end = [ids[each] for each in own]
    torch_tables, torch_ids = (
        [torch.from_numpy(each) for each in tables],
        [torch.from_numpy(each).long() for each in by_end],
    )
    torch_vectors = [torch.from_numpy(vectors[each]) for each in own]

    def query(table: np.ndarray, tokens: list[int]) -> np.ndarray:
        mean = table[tokens].mean(0)
        return mean / np.linalg.norm(mean)

    def by_numpy(tokens: list[int]) -> object:
        scores = [(table @ query(table, tokens))[each].mean(-1) for table, each in zip(tables, by_end, strict=True)]
        return [np.argsort(-each.ravel())[:200] for each in scores]

    def by_torch(tokens: list[int]) -> object:
        asked = [torch.from_numpy(query(table, tokens)) for table in tables]
        scores = [(table @ q)[each].mean(-1) for table, q, each in zip(torch_tables, asked, torch_ids, strict=True)]
        return [each.flatten().topk(200) for each in scores]

    def cosines(tokens: list[int]) -> object:
        asked = [torch.from_numpy(query(table, tokens)) for table in tables]
        return [(rows @ q).abs().topk(200) for rows, q in zip(torch_vectors, asked, strict=True)]

    return {"theme, numpy": by_numpy, "theme, torch": by_torch, "cosine of all, torch": cosines}


def read_resident_mib() -> float:
    """Read this process's own memory, in MiB."""
    gc.collect()
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="smollm2")
    chosen = parser.parse_args()
    r = open_resources(
        data=chosen.data,
        models=(chosen.model,),
        device="cpu",
        weights="folded",
        quota_bytes=2**40,
        queue_size=1,
        wait_seconds=0.0,
        waiters=1,
    )
    concepts = read_concepts("concepts")
    queries = [spelt(concept.query) for concept in concepts]
    before = read_resident_mib()

    def ask(query: str, **how: object) -> object:
        return search(r, Address(chosen.model), Options(weights="folded"), Inquiry(query, **how))  # type: ignore[arg-type]

    figures: dict[str, object] = {
        "search by theme": time_queries(ask, queries),
        "search by alignment": time_queries(lambda query: ask(query, order="alignment"), queries),
        "search of neurons": time_queries(lambda query: ask(query, basis="neuron"), queries),
        "MiB of its own": round(read_resident_mib() - before),
    }
    model = r.library.model(chosen.model)
    assert model is not None
    tokens = [[model.vocabulary.lookup.id_of(word) or 0 for word in concept.query] for concept in concepts]
    at = iter(range(10**9))
    for name, line in make_notebook(r, chosen.model).items():
        figures[name] = time_queries(lambda _, line=line: line(tokens[next(at) % len(tokens)]), queries)
    for name in ("concepts", "other_concepts"):
        share, rays = precision(r, read_concepts(name))
        figures[f"P@10, {name}"] = {"share": share, "distinct rays": len(set(rays)), "of": len(rays)}
    figures["largest resident MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    close_resources(r)
    print(json.dumps(figures, indent=1, default=lambda value: round(value, 3)))


if __name__ == "__main__":
    main()
