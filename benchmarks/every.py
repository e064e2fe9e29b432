"""A precompute of every matrix of an imported model, against the floor and the tools that one would use instead.

    python -m benchmarks.every MODEL [--data FOLDER] [--matrices ov,qk] [--peers-at N]

What is timed is all that `singular-lens precompute` does once the model is open: weights from the disk, both sides read
out and judged, artifacts on the disk, map, gallery and census. After each Nth layer the peers read the same matrices from
memory, so that each is compared with ours a moment before; what is done besides layers is shared among all that was read. The floor
is the float32 product of the vectors that were read out, at the rate of large products taken among the layers.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from app.config import Settings
from app.core.address import CIRCUITS
from app.explorer.asking.tasks import read_wish
from app.explorer.library import Library, OpenModel
from app.explorer.making.context import Context
from app.explorer.making.heads import read_head_tensors
from app.explorer.making.judging.controls import load_control
from app.explorer.making.subjects import read_mlp_subjects
from app.explorer.making.tables import Tables
from app.explorer.view import Processing
from app.jobs.precompute import precompute
from app.jobs.steps import JobStep
from app.models.catalog import Catalog
from app.store.artifacts import ArtifactStore
from benchmarks.floor import Floor, floor_dtype
from benchmarks.memory import sample_peak
from benchmarks.peers import LAYER_PEERS, Matrices
from benchmarks.shapes import Ends

MIB = 2**20
PEERS_AT = 5
QUOTA = 2**40


@dataclass
class Run:
    """The seconds that each part of a run took."""

    once: float
    """Seconds of tables, controls and preparation of copying scores."""
    layers: list[float] = field(default_factory=list)
    rest: float = 0.0
    """Seconds of everything after the layers."""
    parts: dict[str, float] = field(default_factory=dict)
    """Seconds by kind."""
    pairs: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Each peer's seconds for one side of a layer, and ours right before."""
    vectors: int = 0
    unsettled: float = 0.0

    @property
    def seconds(self) -> float:
        """Sum the seconds of all parts."""
        return self.once + sum(self.layers) + self.rest


def run_precompute(model: OpenModel, words: str | None, processing: Processing, peers_at: int, floor: Floor) -> Run:
    """Run a precompute into an empty folder, with the peers and the floor among its layers."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tables, task = Tables(device), read_wish(model, processing, matrices=words, weights=processing).task
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(Path(folder), QUOTA)
        context = Context(tables, model, processing, store)
        started = time.perf_counter()
        reading, writing = (tables.table(model, processing, side) for side in ("read", "write"))
        for side in ("read", "write"):
            load_control(context, side)
        tables.gram(model, processing)
        found = Run(time.perf_counter() - started)
        ends = Ends(reading.vectors, writing.vectors.T)
        of_layer, n_done, last = 0.0, 0, None
        for step, seconds in _time_steps(precompute(store, tables, model, task)):
            last = step
            if n_done < step.layers:
                of_layer += seconds
            else:
                found.rest += seconds
                part = step.stage.partition(",")[0]
                found.parts[part] = found.parts.get(part, 0.0) + seconds
            if step.layers_done > n_done:
                found.layers.append(of_layer)
                if n_done % peers_at == 0:
                    floor.sample()
                    _time_peers(found, read_matrices(context, n_done, task.matrices), ends, of_layer)
                of_layer, n_done = 0.0, step.layers_done
        assert last is not None
        found.vectors, found.unsettled = tables.rays // 2, tables.unsettled / max(1, tables.rays)
    return found


def read_matrices(context: Context, layer: int, words: tuple[str, ...]) -> Matrices:
    """Read a layer's matrices of those kinds into memory."""
    kinds = [kind for kind in context.model.header.layer_kinds if kind in words]
    heads = range(context.model.manifest.n_heads if set(CIRCUITS) & set(words) else 0)
    whole = {kind: each.product for kind, each in zip(kinds, read_mlp_subjects(context, layer, kinds), strict=True)}
    return Matrices([read_head_tensors(context, layer, head) for head in heads], whole)


def _time_peers(found: Run, matrices: Matrices, ends: Ends, ours: float) -> None:
    for name, (_, read_out) in LAYER_PEERS.items():
        started = time.perf_counter()
        n_sides = read_out(matrices, ends)
        seconds = (time.perf_counter() - started) / max(1, n_sides)
        found.pairs.setdefault(name, []).append((seconds, ours / matrices.n_sides))


def _time_steps(steps: Iterator[JobStep]) -> Iterator[tuple[JobStep, float]]:
    """Yield each step with the seconds that it took, without the time of its consumer."""
    while True:
        started = time.perf_counter()
        step = next(steps, None)
        if step is None:
            return
        yield step, time.perf_counter() - started


def write_lines(found: Run, floor: Floor, n_layer_sides: int) -> Iterator[str]:
    """Write the run as lines of Markdown."""
    least, n_layers = floor.seconds(found.vectors), len(found.layers)
    yield "| way | seconds | times the floor | times ours, median of pairs |"
    yield "|---|---|---|---|"
    yield f"| the floor: {floor.rate / 1e9:.0f} GFLOP/s | {least:.1f} | 1 | |"
    yield f"| singular-lens, all of it | {found.seconds:.1f} | {found.seconds / least:.2f} | 1 |"
    # Seconds a side of the whole run over those of a layer's side: census and controls read vectors, too.
    more = (found.seconds / found.vectors) / (sum(found.layers) / max(1, n_layers * n_layer_sides))
    for name, pairs in found.pairs.items():
        alone = statistics.median(theirs / ours for theirs, ours in pairs)
        ratio = alone / more
        whole = statistics.median(theirs for theirs, _ in pairs) * found.vectors
        what = LAYER_PEERS[name][0]
        yield f"| {what}, for as many sides | {whole:.1f} | {whole / least:.2f} | {ratio:.2f} (layers alone {alone:.2f}) |"
    yield ""
    parts = ", ".join(f"{part} {seconds:.1f}" for part, seconds in found.parts.items() if seconds >= 0.05)
    of_layers = floor.seconds(n_layers * n_layer_sides)
    yield f"{found.vectors:,} vectors read out, {found.unsettled:.4%} of their rays settled the slower way. Seconds:"
    yield f"once {found.once:.1f}, {n_layers} layers {sum(found.layers):.1f} ({sum(found.layers) / of_layers:.2f} of their"
    yield f"floor), {parts or 'nothing else'}."


def measure_command(slug: str, data: Path, words: str | None, processing: str) -> str:
    """Measure the command itself, in a process of its own and an empty folder of artifacts."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("models", "weights"):
            (Path(folder) / name).symlink_to(data.resolve() / name)
        command = [sys.executable, "-m", "app", "precompute", slug, "--data", folder, "--weights", processing]
        command += ["--matrices", words] if words else []
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout
            peak = sample_peak(lambda: process.poll() is not None, process.pid)
            said = process.stdout.read().strip().rpartition("\n")[2]
        if process.returncode:
            raise RuntimeError(f"precompute: exit status {process.returncode}")
    return f"The command: at most {peak / MIB:,.0f} MiB, weights and libraries included. It said: {said}"


def main() -> None:
    """Measure the run and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", help="the name of an imported model")
    parser.add_argument("--data", type=Path, default=Settings().data, help="where it is (default: the server's)")
    parser.add_argument("--matrices", help="kinds, with commas between (default: every matrix)")
    parser.add_argument("--weights", choices=("folded", "raw"), default="folded")
    parser.add_argument("--peers-at", type=int, default=PEERS_AT, metavar="N", help="each Nth layer (default: 5)")
    args = parser.parse_args()
    model = Library(Catalog(args.data)).model(args.model)
    if model is None:
        parser.exit(1, f"{args.model} is not in {args.data}: `singular-lens import` it first.\n")
    shape, device = model.manifest, "cuda" if torch.cuda.is_available() else "cpu"
    print(
        f"{args.model}: {shape.n_layers} layers, {args.matrices or 'every matrix'}, {args.weights}; {os.cpu_count()} cores.\n"
    )
    with torch.inference_mode():
        floor = Floor(shape.d_model, shape.d_vocab, floor_dtype(device), device)
        floor.sample()
        found = run_precompute(model, args.matrices, args.weights, max(1, args.peers_at), floor)
        floor.sample()
        words = read_wish(model, args.weights, matrices=args.matrices, weights=args.weights).task.matrices
        n_layer_sides = read_matrices(
            Context(Tables(device), model, args.weights, ArtifactStore(Path(), 1)), 0, words
        ).n_sides
    for line in write_lines(found, floor, n_layer_sides):
        print(line, flush=True)
    print(measure_command(args.model, args.data, args.matrices, args.weights))


if __name__ == "__main__":
    main()
