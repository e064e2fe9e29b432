"""`python -m benchmarks`: every figure, as a Markdown table. Takes about five minutes on two cores."""

import os
import tempfile
from pathlib import Path

from benchmarks.cold import cold
from benchmarks.load import load
from benchmarks.start import start
from benchmarks.synthetic import gpt2_small
from benchmarks.warm import warm


def main() -> None:
    """Measure in an empty folder and print."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, data = gpt2_small(Path(folder) / "random-gpt2-small"), Path(folder) / "data"
        rows = [*start(), *cold(checkpoint, data), *warm(checkpoint, data), *load(checkpoint, data)]
    print(f"{os.cpu_count()} cores; the model of all but the first two rows is GPT-2 small's shape, random weights.\n")
    print("| what | measured |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
