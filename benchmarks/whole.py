"""Cold pages of whole-model and MLP matrices, beside the plain lines of a notebook.

    python -m benchmarks.whole [ADDRESS …] [--pairs N]

GPT-2 small's shape with random weights. Ours: everything that the first visitor to a page waits for once the token tables
exist, from the weights on disk to the arrays of the artifact. The notebook: weights in memory, `torch.linalg.svd`
(pca: of the centred matrix) in float32, one product with the vocabulary, `topk` of both ends on both sides. In pairs, in
one process.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

import torch
from torch import Tensor

from app.core.address import Address, parse
from app.core.matrix import Matrix
from app.core.steps import Steps
from app.explorer.library import Library
from app.explorer.making.context import Context
from app.explorer.making.decompositions import decompose_matrix
from app.explorer.making.subjects import Subject, read_subject
from app.explorer.making.tables import Tables
from app.explorer.view import Processing
from app.models.catalog import Catalog
from app.models.importing.importer import import_model
from app.store.artifacts import ArtifactStore
from benchmarks.memory import read_anonymous, sample_peak
from benchmarks.synthetic import write_gpt2_small

PLACES = ("embed/svd", "embed/pca", "embed/frequency", "L5/mlp-in/svd", "L5/mlp-out/svd", "L5/mlp-in/neuron", "pos/svd")
PROCESSING: Processing = "folded"
KEPT = 50
MIB = 2**20


def time_ours(context: Context, address: Address) -> float:
    """Time our way to the artifact's arrays, in seconds."""
    started = time.perf_counter()
    for _step in decompose_matrix(context, address, _default_parameters(address)):
        pass
    return time.perf_counter() - started


def time_notebook(product: Matrix, table: Tensor, *, centred: bool) -> float:
    """Time the notebook's way, in seconds, with everything it needs in memory."""
    started = time.perf_counter()
    samples = product.samples().contiguous()
    if centred:
        samples = samples - samples.mean(dim=0)
    U, _strength, Vh = torch.linalg.svd(samples, full_matrices=False)
    for scores in (U.T, Vh @ table.T):
        scores.topk(min(KEPT, scores.shape[1]), dim=1)
        scores.topk(min(KEPT, scores.shape[1]), dim=1, largest=False)
    return time.perf_counter() - started


def write_table(context: Context, places: list[str], n_pairs: int) -> list[str]:
    """Measure each place: lines of Markdown."""
    lines = [
        "| page | singular-lens | notebook | times as fast, in pairs | memory beyond the tables |",
        "|---|---|---|---|---|",
    ]
    vectors = context.tables.table(context.model, context.processing, "write").vectors
    context.tables.table(context.model, context.processing, "read")
    for place in places:
        address = parse(f"{context.model.header.slug}/{place}")
        product = _run_steps(read_subject(context, address)).product
        pairs = []
        for _ in range(n_pairs):
            own = time_ours(context, address)
            has_notebook = address.basis in {"svd", "pca"}
            pairs.append(
                (own, time_notebook(product, vectors, centred=address.basis == "pca") if has_notebook else None)
            )
        peak = _measure_peak(context, address)
        own = statistics.median(pair[0] for pair in pairs)
        plain = [pair[1] for pair in pairs if pair[1] is not None]
        theirs = f"{statistics.median(plain):.1f} s" if plain else "–"
        ratio = f"{statistics.median(b / a for a, b in pairs if b is not None):.1f}" if plain else "–"
        lines.append(f"| `{place}` | {own:.1f} s | {theirs} | {ratio} | {peak / MIB:,.0f} MiB |")
    return lines


def _default_parameters(address: Address) -> dict[str, int]:
    return {"groups": 16} if address.basis == "frequency" else {}


def _run_steps(steps: Steps[Subject]) -> Subject:
    """Run steps to their end; return their result."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def _measure_peak(context: Context, address: Address) -> int:
    """Measure the peak bytes of one more run."""
    before, ended = read_anonymous(os.getpid()), threading.Event()
    peaks: list[int] = []
    watcher = threading.Thread(target=lambda: peaks.append(sample_peak(ended.is_set, os.getpid())))
    watcher.start()
    time_ours(context, address)
    ended.set()
    watcher.join()
    return peaks[0] - before


def main() -> None:
    """Measure in an empty folder and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="*", metavar="ADDRESS", help=f"default: {' '.join(PLACES)}")
    parser.add_argument("--pairs", type=int, default=3, help="runs of each (default: 3)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        data = Path(folder) / "data"
        data.mkdir()
        import_model(str(write_gpt2_small(Path(folder) / "random-gpt2-small")), data, report=lambda _: None)
        model = Library(Catalog(data)).model("random-gpt2-small")
        assert model
        print(f"{os.cpu_count()} cores; GPT-2 small's shape, random weights, {PROCESSING}.\n")
        for line in write_table(
            Context(Tables("cpu"), model, PROCESSING, ArtifactStore(data / "artifacts", 2**32)),
            args.places or list(PLACES),
            args.pairs,
        ):
            print(line, flush=True)


if __name__ == "__main__":
    main()
