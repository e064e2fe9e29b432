"""The cost of reading out every head of a model, by its size: against the floor, and against the tools one would use.

    python -m benchmarks.precompute [--shape NAME …] [--layers N] [--device cpu|cuda] [--peers] [--sweep]

Random weights of known shapes, nothing from a disk. Each way is timed in pairs with ours, layer by layer, on the same
tensors; its memory is that of a process of its own. The floor is the time of the readouts' products alone, at the rate
of one large product in float32 (bfloat16 on a GPU), timed among the pairs.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from app.core.circuits import Head
from app.core.exact.proposal import proposing_dtype
from benchmarks.alone import measure_alone
from benchmarks.clock import time_work
from benchmarks.cold import Row
from benchmarks.disk import count_artifact_bytes, measure_writing
from benchmarks.floor import Floor, floor_dtype
from benchmarks.memory import sample_peak
from benchmarks.shapes import SHAPES, Ends, Shape, count_weight_bytes, draw_ends, draw_heads, sweep_sizes
from benchmarks.synthetic import D_MODEL
from benchmarks.ways import OURS, PEERS, PLAIN, WAYS, Work

MIB = 2**20
LAYERS = 6
"""Layers measured of each model, if it has so many: all cost the same."""


@dataclass
class Pairs:
    """Timings of one way against ours, turn by turn: seconds for each direction-side that was read out."""

    ready: float
    """Seconds to get ready, once a model."""
    theirs: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    sides: int = 0
    unsettled: int = 0

    def a_side(self, n_sides: int) -> float:
        """Compute seconds for one direction-side of a model that has so many, each with its share of getting ready."""
        return statistics.median(self.theirs) + self.ready / n_sides

    def times_ours(self, ours_ready: float, n_sides: int) -> float:
        """Compute how many times as long as ours it takes, by the median of the pairs."""
        added, ours_added = self.ready / n_sides, ours_ready / n_sides
        return statistics.median(
            (theirs + added) / (ours + ours_added) for theirs, ours in zip(self.theirs, self.ours, strict=True)
        )


def write_tables(shape: Shape, n_layers: int, device: str, peers: bool) -> Iterator[str]:
    """Write the lines of Markdown on one shape."""
    names = [OURS, PLAIN, *(PEERS if peers else [])]
    peaks = {name: measure_alone(name, shape, 1, device).beyond_weights(shape) for name in names}
    ends = draw_ends(shape, device)
    floor = Floor(shape.d_model, shape.d_vocab, floor_dtype(device), device)
    found = _time_in_pairs(names, shape, ends, n_layers, floor)
    with tempfile.TemporaryDirectory() as folder:
        disk = measure_writing(shape, ends, Path(folder))
    n_sides = shape.n_layers * shape.sides
    least = floor.seconds(n_sides)
    yield f"**{shape}**: {n_sides:,} direction-sides, {n_layers} of the layers measured."
    yield f"{_name_device(device)}; one large {_name_dtype(floor.dtype)} product runs at {floor.rate / 1e9:,.0f} GFLOP/s, so that the"
    yield f"floor of the model is {least:.1f} s."
    yield ""
    yield "| way | a layer | the model | times the floor | times ours | beyond weights | unsettled rays |"
    yield "|---|---|---|---|---|---|---|"
    for name in names:
        pairs = found[name]
        whole = n_sides * pairs.a_side(n_sides)
        ratio = pairs.times_ours(found[OURS].ready, n_sides)
        unsettled = f"{pairs.unsettled / (2 * pairs.sides):.3%}" if name in {OURS, PLAIN} else "–"
        yield (
            f"| {WAYS[name].what} | {whole / shape.n_layers:.2f} s | {whole:.1f} s | {whole / least:.2f} "
            f"| {ratio:.2f} | {peaks[name] / MIB:,.0f} MiB | {unsettled} |"
        )
    yield ""
    yield "Ways that read fewer sides, or were measured on fewer heads, are scaled to all direction-sides. Seconds include"
    yield f"what is done once a model ({found[OURS].ready:.2f} s for our two tables), memory the libraries. Ours proposes in"
    yield f"{_name_dtype(proposing_dtype(device))}. Writing comes after: {disk.seconds:.2f} s a layer,"
    yield f"{disk.seconds * shape.n_layers:.1f} s for the model; a head takes {disk.head / 1024:,.0f} KiB"
    yield f"(with its vectors it would be {(disk.head + disk.vectors) / 1024:,.0f} KiB)."


def write_growth(base: Shape, device: str) -> Iterator[str]:
    """Write the lines of Markdown on ours while one size at a time grows; each row in a process of its own."""
    yield f"Around **{base}**. {_name_device(device)}; proposing in {_name_dtype(proposing_dtype(device))}."
    yield ""
    yield (
        "| grows | layers | heads | d_model | tokens | tables, once | computing | floor | times the floor | µs a side "
        "| beyond weights | unsettled rays |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for axis, shape, n_layers in sweep_sizes(base):
        sizes = f"| {axis} | {n_layers} | {shape.n_heads} | {shape.d_model} | {shape.d_vocab:,} |"
        lacking = _why_not_here(shape, device)
        yield f"{sizes} {lacking or _write_growth_row(shape, n_layers, device)} |"


def measure_command(folder: Path, data: Path) -> list[Row]:
    """Measure the command over a checkpoint, from weights on disk to artifacts: seconds, peak memory, bytes."""
    command = [sys.executable, "-m", "app"]
    subprocess.run([*command, "import", str(folder), "--data", str(data)], check=True, capture_output=True)
    command += ["precompute", folder.name, "--data", str(data), "--weights", "folded"]
    with tempfile.TemporaryFile("w+") as progress:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=progress, text=True) as process:
            assert process.stdout
            peak = sample_peak(lambda: process.poll() is not None, process.pid)
            said = process.stdout.read()
        progress.seek(0)
        spent = re.search(r"([\d.]+) s computing, ([\d.]+) s writing", said)
        if process.returncode or not spent:
            raise RuntimeError(f"precompute: exit status {process.returncode}\n{said}{progress.read()[-1000:]}")
    size, vectors, count = count_artifact_bytes(data / "artifacts", D_MODEL)
    return [
        ("every head computed beforehand", f"{spent[1]} s computing, {spent[2]} s writing"),
        ("memory of that process", f"{peak / MIB:.0f} MiB at most, weights included"),
        (
            "a head on disk",
            f"{2 * size / count / 1024:,.0f} KiB; with its vectors it would be {2 * (size + vectors) / count / 1024:,.0f} KiB",
        ),
    ]


def _time_in_pairs(names: list[str], shape: Shape, ends: Ends, n_layers: int, floor: Floor) -> dict[str, Pairs]:
    """Time every way on every layer, each right before or right after ours, with the floor among them."""
    device = str(ends.W_E.device)
    works: dict[str, Work] = {}
    found = {}
    for name in names:
        works[name], seconds = time_work(device, WAYS[name].ready, ends)
        found[name] = Pairs(seconds)
        works[name](draw_heads(shape, 0, device)[:1])  # a warm-up: libraries load at the first call
    for layer in range(n_layers):
        heads = draw_heads(shape, layer, device)
        for name in names[1:]:
            floor.sample()
            pair = [OURS, name] if layer % 2 else [name, OURS]
            spent = {one: _time_turn(found[one], works[one], heads[: WAYS[one].n_heads], device) for one in pair}
            found[OURS].theirs.append(spent[OURS])
            found[OURS].ours.append(spent[OURS])
            found[name].theirs.append(spent[name])
            found[name].ours.append(spent[OURS])
    return found


def _time_turn(pairs: Pairs, work: Work, heads: list[Head], device: str) -> float:
    """Time one turn, in seconds a direction-side."""
    done, seconds = time_work(device, work, heads)
    pairs.sides += done.sides
    pairs.unsettled += done.unsettled
    return seconds / done.sides


def _write_growth_row(shape: Shape, n_layers: int, device: str) -> str:
    ours = measure_alone(OURS, shape, n_layers, device)
    floor = Floor(shape.d_model, shape.d_vocab, floor_dtype(device), device)
    floor.sample(3)
    least = floor.seconds(ours.done.sides)
    return (
        f"{ours.ready:.2f} s | {ours.seconds:.2f} s | {least:.2f} s | {ours.seconds / least:.2f} "
        f"| {1e6 * ours.seconds / ours.done.sides:.0f} | {ours.beyond_weights(shape) / MIB:,.0f} MiB "
        f"| {ours.done.unsettled / (2 * ours.done.sides):.3%}"
    )


def _name_device(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} threads of a CPU"


def _name_dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _why_not_here(shape: Shape, device: str) -> str:
    """Say why the shape cannot be measured here; empty if it can."""
    # Weights, both tables in 16 bits, the floor's table and its result, one batch and the libraries.
    needed = count_weight_bytes(shape) + 4 * shape.d_vocab * shape.d_model * 2 + 3 * 2**30
    free = torch.cuda.mem_get_info(device)[0] if device.startswith("cuda") else _read_available()
    return f"needs {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free" if needed > free else ""


def _read_available() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def main() -> None:
    """Measure the shapes and print, table by table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--shape", nargs="+", choices=SHAPES, default=["gpt2-small"], metavar="NAME", help=", ".join(SHAPES)
    )
    parser.add_argument("--layers", type=int, default=LAYERS, help=f"to measure of each shape (default: {LAYERS})")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1 (default: cpu)")
    parser.add_argument("--peers", action="store_true", help="also what one would use instead")
    parser.add_argument("--sweep", action="store_true", help="let one size at a time grow, instead")
    args = parser.parse_args()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        parser.exit(1, "There is no GPU here that torch can use; --device cpu measures this machine.\n")
    print(f"{os.cpu_count()} cores, torch {torch.__version__}.")
    for shape in (SHAPES[name] for name in args.shape):
        print(flush=True)
        if args.sweep:
            lines = write_growth(shape, args.device)
        elif lacking := _why_not_here(shape, args.device):
            lines = iter([f"**{shape}**: {lacking}."])
        else:
            lines = write_tables(shape, min(args.layers, shape.n_layers), args.device, args.peers)
        with torch.inference_mode():
            for line in lines:
                print(line, flush=True)


if __name__ == "__main__":
    main()
