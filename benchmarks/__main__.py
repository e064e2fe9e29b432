"""The command `python -m benchmarks`: print every figure as Markdown tables, in about ten minutes on two cores."""

import os
import tempfile
from pathlib import Path

import torch

from benchmarks.cold import measure_cold
from benchmarks.precompute import LAYERS, measure_command, write_tables
from benchmarks.shapes import SHAPES
from benchmarks.start import measure_starts
from benchmarks.synthetic import write_gpt2_small
from benchmarks.warm import measure_warm


def main() -> None:
    """Measure in an empty folder and print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, data = write_gpt2_small(Path(folder) / "random-gpt2-small"), Path(folder) / "data"
        rows = [*measure_starts(), *measure_cold(checkpoint, data), *measure_warm(checkpoint, data)]
        rows += measure_command(checkpoint, Path(folder) / "precomputed")
    print(
        f"{os.cpu_count()} cores; the model of all but the first three rows is GPT-2 small's shape, random weights.\n"
    )
    print("| what | measured |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")
    print()
    with torch.inference_mode():
        for line in write_tables(SHAPES["gpt2-small"], LAYERS, device="cpu", peers=True):
            print(line, flush=True)


if __name__ == "__main__":
    main()
