"""Do the tests notice? `python -m benchmarks.faults` plants the faults of `faults.toml` one by one and runs the tests.

A fault is planted in a copy of the checkout, and the tests of its own room and those of the server run until one fails:
first the file named after the one with the fault, which is where it is mostly noticed, then the rest. `faults.tsv` keeps
for each the first test that failed. Knows nothing of what the faults mean.
"""

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parents[1]
LIST, KEPT = Path(__file__).with_suffix(".toml"), Path(__file__).with_suffix(".tsv")
ROOMS = {"templates": "tests/web", "static": "tests/browser"}
"""Where the tests are of what is no room of the package."""
SERVER = "tests/server"
LONGEST_SECONDS = 2_400.0
"""Tests that go on for so long are stopped, which counts as missed: nobody would wait for them."""
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """One change to one file."""

    name: str
    file: str
    right: str
    wrong: str

    @property
    def tests(self) -> list[list[str]]:
        """What is run, one after the other: the tests of that very file, then those of its room and of the server."""
        room, *folders, name = Path(self.file).parts[0 if self.file.split("/")[0] in ROOMS else 1 :]
        folder = ROOMS.get(room, f"tests/{room}")
        own = "/".join((folder, *folders, f"test_{Path(name).stem}.py"))
        if (ROOT / own).is_file():
            return [[own], [folder, SERVER, f"--ignore={own}"]]
        return [[folder, SERVER]]


@dataclass(frozen=True)
class Outcome:
    """What became of one fault."""

    fault: str
    caught_by: str
    """The first test that failed; empty where none did."""
    seconds: float


def read_faults() -> list[Fault]:
    """The list; ValueError for a fault that cannot be planted as the code is now."""
    faults = [Fault(**each) for each in tomllib.loads(LIST.read_text(encoding="utf-8"))["fault"]]
    for fault in faults:
        n = (ROOT / fault.file).read_text(encoding="utf-8").count(fault.right)
        if n != 1:
            raise ValueError(f"{fault.file} has {n} places for '{fault.name}': one is needed")
    return faults


def try_fault(fault: Fault, copy: Path) -> Outcome:
    """Plant the fault in the copy, run its tests until one fails, and take it out again."""
    file, began = copy / fault.file, time.monotonic()
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole.replace(fault.right, fault.wrong), encoding="utf-8")
    try:
        caught = next(filter(None, (first_failure(tests, copy) for tests in fault.tests)), "")
    finally:
        file.write_text(whole, encoding="utf-8")
    return Outcome(fault.name, caught, time.monotonic() - began)


def first_failure(tests: Sequence[str], copy: Path) -> str:
    """The first of these tests that fails; empty if all pass, or take too long. RuntimeError if they cannot be run."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ran = subprocess.run(
            command,
            check=False,
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return ""
    if ran.returncode == 0:
        return ""
    failed = FAILED.search(ran.stdout)
    if ran.returncode != 1 or failed is None:
        raise RuntimeError(f"pytest ended with {ran.returncode}: {ran.stdout[-2_000:]}{ran.stderr[-2_000:]}")
    return failed[1]


def copy_checkout(folder: Path) -> Path:
    """The files that git knows, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    return folder


def try_faults(faults: Sequence[Fault], at_once: int) -> Iterator[Outcome]:
    """What becomes of each, in the order in which that is known; each of those at work has a copy of its own."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(at_once) as pool:
        copies: Queue[Path] = Queue()
        for i in range(at_once):
            copies.put(copy_checkout(Path(folder) / str(i)))

        def attempt(fault: Fault) -> Outcome:
            copy = copies.get()
            try:
                return try_fault(fault, copy)
            finally:
                copies.put(copy)

        yield from pool.map(attempt, faults)


def keep_outcomes(outcomes: Sequence[Outcome], faults: Sequence[Fault]) -> None:
    """Write them to the table, beside what it says of the other faults."""
    rows = {}
    if KEPT.is_file():
        with KEPT.open(encoding="utf-8", newline="") as table:
            rows = {row["fault"]: row for row in csv.DictReader(table, delimiter="\t")}
    files = {fault.name: fault.file for fault in faults}
    for one in outcomes:
        caught, seconds = one.caught_by or "missed", f"{one.seconds:.0f}"
        rows[one.fault] = {"fault": one.fault, "file": files[one.fault], "caught by": caught, "seconds": seconds}
    with KEPT.open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, ["fault", "file", "caught by", "seconds"], delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in files if name in rows)


def main() -> None:
    """Try all faults, or those whose name or file has the words."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=main.__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="how many at a time")
    given, faults, began = parser.parse_args(), read_faults(), time.monotonic()
    words = " ".join(given.words)
    chosen = [fault for fault in faults if words in f"{fault.name} {fault.file}"]
    outcomes: list[Outcome] = []
    for outcome in try_faults(chosen, given.at_once):
        outcomes.append(outcome)
        keep_outcomes([outcome], faults)
        print(f"{outcome.seconds:6.0f} s  {outcome.caught_by or 'MISSED':60}  {outcome.fault}", flush=True)
    n_caught = sum(bool(one.caught_by) for one in outcomes)
    print(f"{n_caught} of {len(outcomes)} caught in {(time.monotonic() - began) / 60:.0f} min")
    sys.exit(n_caught < len(outcomes))


if __name__ == "__main__":
    main()
