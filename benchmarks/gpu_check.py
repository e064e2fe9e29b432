"""The check of a GPU, in one table: the tests that need one, two models' heads, and a profile of one layer.

    make gpu-check          (python -m benchmarks.gpu_check [--device cuda|cpu] [--seconds 330] [--small])

Needs Python 3.12, torch with CUDA and nothing from a network: other libraries are found here or unpacked from
`gpu-wheels/`, which `make gpu-wheels` fills beforehand where there is a network. Each part begins only while there is
time for it. `--small` and `--device cpu` run the same lines on made-up small shapes, so that they are known to run.
"""

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.shapes import Shape

ROOT = Path(__file__).parents[1]
WHEELS = ROOT / "gpu-wheels"
NEEDED = ("jaxtyping", "beartype", "numpy", "safetensors", "pytest")
SECONDS = 330.0
TEST_SECONDS = 120.0
TESTS = ("tests/core/test_cuda.py",)
LAYERS = {"gpt2-small": 12, "llama-3-8b": 3}
"""Layers measured of each shape: all cost the same."""
WANTED = {"gpt2-small": "at most 0.3 s", "llama-3-8b": "at most 3 times the floor"}
WARM_UP = 2
"""Layers that are not counted, while libraries load and clocks rise."""
SHOWN = 12
"""Lines shown of the profile."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    measured: str
    wanted: str = ""

    def __str__(self) -> str:
        return f"| {self.what} | {self.measured} | {self.wanted} |"


def unpack_missing(folder: Path, wheels: Path = WHEELS) -> list[str]:
    """Unpack wheels of missing libraries into the folder, and put it on the path; return the names still missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        for wheel in sorted(wheels.glob("*.whl")):
            with zipfile.ZipFile(wheel) as packed:
                packed.extractall(folder)
        sys.path.append(str(folder))  # last, since installed libraries fit this Python for sure
        importlib.invalidate_caches()
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def run_tests(seconds: float, path: list[str]) -> Row:
    """Run the tests that need a GPU, in a process of their own, with no more of the tests' set-up than they use."""
    # Unpacked libraries come last on the path there, too.
    begin = f"import sys; sys.path += {path!r}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    command = [sys.executable, "-c", begin, "-q", "--noconftest", "-p", "tests.core.conftest", "-o", "addopts="]
    command += ["--import-mode=importlib", "-p", "no:cacheprovider", *TESTS]
    try:
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return Row("tests that need a GPU", f"not done after {seconds:.0f} s", "all pass")
    last = ended.stdout.strip().rpartition("\n")[2] or ended.stderr.strip().rpartition("\n")[2]
    if ended.returncode:
        print(ended.stdout[-6000:], ended.stderr[-2000:], sep="\n", flush=True)
    return Row("tests that need a GPU", last, "all pass")


def measure_heads(shape: "Shape", n_layers: int, device: str, until: float, wanted: str = "") -> Iterator[Row]:
    """Read out every head of the layers that there is time for: ours, the floor, and peers in pairs with ours."""
    import torch

    from app.core.exact.proposal import proposing_dtype
    from benchmarks.clock import time_work
    from benchmarks.floor import Floor, floor_dtype
    from benchmarks.shapes import draw_ends, draw_heads
    from benchmarks.ways import OURS, PEERS, WAYS

    ends = draw_ends(shape, device)
    names = [OURS, *(name for name in PEERS if name != "interpreter" or importlib.util.find_spec("transformer_lens"))]
    floor = Floor(shape.d_model, shape.d_vocab, floor_dtype(device), device)
    works, ready = {}, {}
    for name in names:
        works[name], ready[name] = time_work(device, WAYS[name].ready, ends)
    spent: dict[str, list[float]] = {name: [] for name in names}
    rays = unsettled = 0
    for layer in range(-WARM_UP, n_layers):
        if layer > 0 and time.monotonic() > until:
            break
        of_layer = draw_heads(shape, max(0, layer), device)
        floor.sample()
        for name in names:
            done, seconds = time_work(device, works[name], of_layer[: WAYS[name].n_heads])
            if layer >= 0:
                spent[name].append(seconds / done.sides)
            if name == OURS:
                rays, unsettled = rays + 2 * done.sides, unsettled + done.unsettled
    n_sides = shape.n_layers * shape.sides
    least, ours = floor.seconds(n_sides), statistics.median(spent[OURS]) * n_sides
    peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.startswith("cuda") else 0.0
    dtypes = [str(dtype).removeprefix("torch.") for dtype in (floor.dtype, proposing_dtype(device))]
    yield Row(f"{shape.name}: one large product in {dtypes[0]}", f"{floor.rate / 1e12:.2f} TFLOP/s")
    yield Row(f"{shape.name}: floor of its {n_sides:,} sides", f"{least:.3f} s")
    yield Row(
        f"{shape.name}: ours, {len(spent[OURS])} of {shape.n_layers} layers measured, proposing in {dtypes[1]}",
        f"{ours:.3f} s, {ours / least:.2f} times the floor; tables once {ready[OURS]:.2f} s; at most {peak:.1f} GiB",
        wanted,
    )
    yield Row(f"{shape.name}: rays settled the slower way", f"{unsettled / max(1, rays):.3%}", "at most 0.2%")
    for name in names[1:]:
        ratio = statistics.median(theirs / own for theirs, own in zip(spent[name], spent[OURS], strict=True))
        yield Row(f"{shape.name}: {WAYS[name].what}", f"{ratio:.2f} times ours, median of pairs")


def profile_layer(shape: "Shape", device: str) -> Iterator[str]:
    """Profile one layer, by the device's own clock."""
    import torch
    from torch.profiler import ProfilerActivity

    from benchmarks.shapes import draw_ends, draw_heads
    from benchmarks.ways import OURS, WAYS

    on_cuda = device.startswith("cuda")
    work, of_layer = WAYS[OURS].ready(draw_ends(shape, device)), draw_heads(shape, 0, device)
    work(of_layer)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_cuda else [])]
    with torch.profiler.profile(activities=activities) as seen:
        work(of_layer)
    key = "self_device_time_total" if on_cuda else "self_cpu_time_total"
    events = sorted(seen.key_averages(), key=lambda event: -getattr(event, key))[:SHOWN]
    yield f"| one layer of {shape.name}: operation | calls | ms on the {'GPU' if on_cuda else 'CPU'} | ms of the CPU |"
    yield "|---|---|---|---|"
    for event in events:
        own, cpu = getattr(event, key) / 1e3, event.self_cpu_time_total / 1e3
        yield f"| {event.key[:60]} | {event.count} | {own:.2f} | {cpu:.2f} |"


def choose_shapes(*, small: bool) -> "Mapping[str, Shape]":
    """Choose the shapes to measure."""
    from benchmarks.shapes import SHAPES, Shape

    if small:
        return {"small": Shape("small", 2, 2, 1, 32, 8, 500)}
    return {name: SHAPES[name] for name in LAYERS}


def run_check(device: str, *, small: bool, seconds: float, path: list[str]) -> Iterator[str]:
    """Yield the lines of the table as they are measured, then the profile."""
    import torch

    until = time.monotonic() + seconds
    yield f"torch {torch.__version__}, {torch.cuda.get_device_name(device) if device.startswith('cuda') else 'a CPU'}."
    yield ""
    yield "| what | measured | wanted |"
    yield "|---|---|---|"
    yield str(run_tests(min(TEST_SECONDS, seconds), path))
    chosen = choose_shapes(small=small)
    with torch.inference_mode():
        for name, shape in chosen.items():
            if time.monotonic() > until:
                yield str(Row(name, "no time was left"))
                continue
            try:
                for row in measure_heads(shape, LAYERS.get(name, shape.n_layers), device, until, WANTED.get(name, "")):
                    yield str(row)
            except torch.OutOfMemoryError as error:
                yield str(Row(name, f"too little memory: {str(error)[:100]}"))
        yield ""
        if time.monotonic() < until:
            yield from profile_layer(next(iter(chosen.values())), device)


def main() -> None:
    """Unpack missing libraries, measure and print; exit status 1 where there is no GPU or a library is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu (default: cuda)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all of it (default: %(default).0f)")
    parser.add_argument("--small", action="store_true", help="made-up small shapes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        missing = unpack_missing(Path(folder))
        if missing:
            parser.exit(1, f"{', '.join(missing)}: not here. `make gpu-wheels` brings them where there is a network.\n")
        import torch

        if args.device.startswith("cuda") and not torch.cuda.is_available():
            parser.exit(1, "There is no GPU here that torch can use; --device cpu --small shows that the lines run.\n")
        for line in run_check(args.device, small=args.small, seconds=args.seconds, path=[folder]):
            print(line, flush=True)


if __name__ == "__main__":
    main()
