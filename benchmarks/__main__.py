"""`python -m benchmarks`: every figure, as Markdown tables. Takes about ten minutes on two cores."""

import os
import tempfile
from pathlib import Path

import torch

from benchmarks.cold import cold
from benchmarks.precompute import LAYERS, end_to_end, tables
from benchmarks.shapes import SHAPES
from benchmarks.start import start
from benchmarks.synthetic import gpt2_small
from benchmarks.warm import warm


def main() -> None:
    """Measure in an empty folder and print."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, data = gpt2_small(Path(folder) / "random-gpt2-small"), Path(folder) / "data"
        rows = [*start(), *cold(checkpoint, data), *warm(checkpoint, data)]
        rows += end_to_end(checkpoint, Path(folder) / "precomputed")
    print(
        f"{os.cpu_count()} cores; the model of all but the first three rows is GPT-2 small's shape, random weights.\n"
    )
    print("| what | measured |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")
    print()
    with torch.inference_mode():
        for line in tables(SHAPES["gpt2-small"], LAYERS, device="cpu", peers=True):
            print(line, flush=True)


if __name__ == "__main__":
    main()
