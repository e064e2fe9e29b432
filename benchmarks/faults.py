"""Mutation tests: `python -m benchmarks.faults` plants the faults of `faults.toml` one by one and runs the tests.

A fault is planted in a copy of the checkout, and the tests of its own room and those of the server run until one fails.
Most faults are caught by the test file that is named after the one with the fault: those run first, for all faults, and
the rest for the faults that are left. A test that fails without the fault, too, has caught nothing: it is left out.
`faults.tsv` keeps the first test that failed for each. Knows nothing of what the faults mean.
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
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parents[1]
LIST, KEPT = Path(__file__).with_suffix(".toml"), Path(__file__).with_suffix(".tsv")
ROOMS = {"templates": "tests/web", "static": "tests/browser"}
"""Folder of tests for files outside the package's rooms."""
SERVER = "tests/server"
LONGEST_SECONDS = 2_400.0
"""Seconds after which tests are stopped; the fault then counts as missed."""
FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """One change to one file."""

    name: str
    file: str
    right: str
    wrong: str

    @property
    def own_tests(self) -> str:
        """Find the test file that is named after the file with the fault; there may be none."""
        _, *folders, name = self._parts
        return "/".join((self._folder, *folders, f"test_{Path(name).stem}.py"))

    @property
    def other_tests(self) -> list[str]:
        """Find the other tests of the fault's room, and those of the server."""
        return [self._folder, SERVER, f"--ignore={self.own_tests}"]

    @property
    def _folder(self) -> str:
        return ROOMS.get(self._parts[0], f"tests/{self._parts[0]}")

    @property
    def _parts(self) -> tuple[str, ...]:
        parts = Path(self.file).parts
        return parts if parts[0] in ROOMS else parts[1:]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one fault: caught or missed."""

    fault: str
    caught_by: str
    """The first test that failed; empty where none did."""
    seconds: float


def read_faults() -> list[Fault]:
    """Read the list of faults; ValueError for one that cannot be planted in the present code."""
    faults = [Fault(**each) for each in tomllib.loads(LIST.read_text(encoding="utf-8"))["fault"]]
    for fault in faults:
        n = (ROOT / fault.file).read_text(encoding="utf-8").count(fault.right)
        if n != 1:
            raise ValueError(f"{fault.file} has {n} places for '{fault.name}': one is needed")
    return faults


def try_fault(fault: Fault, tests: Sequence[str], copy: Path) -> Outcome:
    """Plant a fault in the copy, and run the tests until one fails that passes without the fault."""
    file, began = copy / fault.file, time.monotonic()
    whole = file.read_text(encoding="utf-8")
    left_out: list[str] = []
    while True:
        file.write_text(whole.replace(fault.right, fault.wrong), encoding="utf-8")
        try:
            caught = find_first_failure([*tests, *(f"--deselect={test}" for test in left_out)], copy)
        finally:
            file.write_text(whole, encoding="utf-8")
        if not caught or not find_first_failure([caught], copy):
            return Outcome(fault.name, caught, time.monotonic() - began)
        left_out.append(caught)


def find_first_failure(tests: Sequence[str], copy: Path) -> str:
    """Run tests until one fails, and name it; empty if all pass or take too long. RuntimeError if they cannot run."""
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
    """Copy the files that git knows, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    return folder


def try_faults(faults: Sequence[Fault], at_once: int) -> Iterator[Outcome]:
    """Try each fault, several at once with a copy each; yield each outcome as soon as it is known."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(at_once) as pool:
        copies: Queue[Path] = Queue()
        for i in range(at_once):
            copies.put(copy_checkout(Path(folder) / str(i)))

        def attempt(fault: Fault, tests: Sequence[str]) -> Outcome:
            copy = copies.get()
            try:
                return try_fault(fault, tests, copy)
            finally:
                copies.put(copy)

        with_own = [fault for fault in faults if (ROOT / fault.own_tests).is_file()]
        first = dict(zip(with_own, pool.map(attempt, with_own, ([one.own_tests] for one in with_own)), strict=True))
        yield from (outcome for outcome in first.values() if outcome.caught_by)
        left = [fault for fault in faults if fault not in first or not first[fault].caught_by]
        for fault, rest in zip(left, pool.map(attempt, left, (one.other_tests for one in left)), strict=True):
            before = first[fault].seconds if fault in first else 0.0
            yield replace(rest, seconds=rest.seconds + before)


def keep_outcomes(outcomes: Sequence[Outcome], faults: Sequence[Fault]) -> None:
    """Write outcomes to the table, beside those of the other faults."""
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
    """Try all faults, or those whose name or file has the given words."""
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
