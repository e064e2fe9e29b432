"""kill -9 at random moments of computations, of imports, of runs over a model: what is left is right, and completed."""

import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from app.core.address import parse
from app.explorer.resources import close_resources, open_resources
from app.explorer.running.upkeep import tidy_folder, verify_folder
from app.explorer.visits import browse
from app.models.catalog import Catalog
from app.store.jobs import JobStore
from app.store.sealed import unseal_contents
from tests.workers import start_in_thread

SETTINGS = {
    "device": "cpu",
    "weights": "folded",
    "quota_bytes": 10**9,
    "queue_size": 64,
    "wait_seconds": 60.0,
    "waiters": 8,
}

FORKING = """
import os, sys, traceback
import torch
torch.set_num_threads(1)  # so that no thread is lost where this process forks
import app.jobs.precompute, app.explorer.making.heads, app.models.importing.conversion, app.models.importing.importer, app.explorer.visits.orders, app.explorer.visits.browse
import app.core.bases, app.core.circuits, app.core.decomposition, app.core.folding, app.core.exact.readout, app.core.measuring.scores
import app.__main__ as command
from app.core.address import parse
from app.explorer.visits import browse
from app.core.exact.proposal import proposing_dtype
from app.explorer.resources import close_resources, open_resources
from pathlib import Path
from tests.workers import start_in_thread

# Histograms are counted by quick scores: all victims must propose in the same numbers, however busy the machine is.
proposing_dtype("cpu")

def compute(data):
    r = open_resources(data=Path(data), models=("tiny",), start_worker=start_in_thread, **SETTINGS)
    for weights in ("folded", "raw"):
        options = browse.Options(weights=weights)
        browse.visit_model(r, parse("tiny"), options)
        for layer in range(2):
            browse.visit_layer(r, parse(f"tiny/L{layer}"), options)
            for head in range(4):
                browse.visit_head(r, parse(f"tiny/L{layer}/H{head}"), options)
    close_resources(r)

def import_(data, source):
    command_line("import", source, "--name", "tiny", "--data", data)

def precompute(data):
    command_line("precompute", "tiny", "--matrices", "ov,qk", "--weights", "raw,folded", "--data", data)

def command_line(*words):
    sys.argv = ["singular-lens", *words]
    try:
        command.main()
    except SystemExit as end:
        if end.code:
            raise

print("ready", flush=True)
for line in sys.stdin:
    verb, *words = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        status = 1
        os.dup2(2, 1)
        try:
            {"compute": compute, "import": import_, "precompute": precompute}[verb](*words)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Victims:
    """Starts processes that have their libraries already, and kills them."""

    def __init__(self, errors):
        script = FORKING.replace("SETTINGS", repr(SETTINGS))
        command = [sys.executable, "-c", script]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert self._process.stdout.readline() == "ready\n"

    def run(self, *words, kill_after=None):
        """Its exit status (0, or -9 if it was killed in time), and how many seconds it took."""
        started = time.monotonic()
        print(*map(str, words), sep="\t", file=self._process.stdin, flush=True)
        child = int(self._process.stdout.readline())
        if kill_after is not None and not select.select([self._process.stdout], [], [], kill_after)[0]:
            os.kill(child, signal.SIGKILL)
        return int(self._process.stdout.readline()), time.monotonic() - started

    def close(self):
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def victims(tmp_path_factory):
    with (tmp_path_factory.mktemp("victims") / "errors").open("w+") as errors:
        started = Victims(errors)
        yield started
        started.close()
        errors.seek(0)
        print(errors.read())


@pytest.fixture
def chance():
    """Random moments; the seed is shown when a test fails."""
    seed = random.SystemRandom().randrange(10**9)
    print("seed", seed)
    return random.Random(seed)


def artifacts(data):
    """Every artifact by its place, proven."""
    root = data / "artifacts"
    found = {}
    for path in sorted(root.rglob("*.safetensors")):
        contents = unseal_contents(path.read_bytes())
        found[str(path.relative_to(root))] = (contents.recipe, contents.facts, contents.arrays)
    return found


def assert_same(found, expected):
    assert found[:2] == expected[:2]
    assert set(found[2]) == set(expected[2])
    for name, array in expected[2].items():
        np.testing.assert_array_equal(found[2][name], array)


def assert_whole_and_tidy(data):
    assert [checked for checked in verify_folder(data) if checked.fault] == []
    list(tidy_folder(data, SETTINGS["quota_bytes"]))
    unfinished = ("*.tmp", "*.part", "*.damaged", ".import-*")
    assert [path for pattern in unfinished for path in data.rglob(pattern)] == []


def shown(data):
    """What a server shows of two heads."""
    r = open_resources(data=data, models=("tiny",), start_worker=start_in_thread, **SETTINGS)
    try:
        return [browse.visit_head(r, parse(address), browse.Options()) for address in ("tiny/L0/H0", "tiny/L1/H3")]
    finally:
        close_resources(r)


def test_computations_killed_at_any_moment_lose_nothing_and_show_nothing_wrong(
    victims, chance, tiny_data, tmp_path, long
):
    undisturbed = shutil.copytree(tiny_data, tmp_path / "undisturbed", ignore=shutil.ignore_patterns("artifacts"))
    status, duration = victims.run("compute", undisturbed)
    assert status == 0
    expected = artifacts(undisturbed)
    assert len(expected) == 2 * (1 + 2 + 16) + 3  # controls: raw and tied, both ends share one
    pages = shown(undisturbed)
    killed, partly = 0, 0
    rounds = 50 if long else 8
    for round_ in range(rounds):
        data = shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))
        moment = duration * chance.uniform(round_, round_ + 1) / rounds
        status, _ = victims.run("compute", data, kill_after=moment)
        assert status in (0, -signal.SIGKILL)
        killed += status != 0
        left = artifacts(data)
        partly += 0 < len(left) < len(expected)
        for place, found in left.items():
            assert_same(found, expected[place])
        assert [checked for checked in verify_folder(data) if checked.fault] == []
        assert victims.run("compute", data)[0] == 0
        after = artifacts(data)
        assert set(after) == set(expected)
        for place, found in after.items():
            assert_same(found, expected[place])
        assert shown(data) == pages
        assert_whole_and_tidy(data)
        assert set(artifacts(data)) == set(expected)
        shutil.rmtree(data)
    print(f"{killed} killed, {partly} of them with some artifacts, in {duration:.2f} s each")
    assert partly > 0


def test_imports_killed_at_any_moment_are_completed_by_the_next(
    victims, chance, gpt2_folder, tiny_data, tmp_path, long
):
    expected = Catalog(tiny_data).get("tiny")
    status, duration = victims.run("import", tmp_path / "undisturbed", gpt2_folder)
    assert status == 0
    rounds = 50 if long else 3
    for round_ in range(rounds):
        data = tmp_path / f"data{round_}"
        data.mkdir()
        moment = duration * chance.uniform(round_, round_ + 1) / rounds
        status, _ = victims.run("import", data, gpt2_folder, kill_after=moment)
        assert status in (0, -signal.SIGKILL)
        # Whatever has a name is whole; whatever has none is not shown.
        assert [checked for checked in verify_folder(data) if checked.fault] == []
        assert Catalog(data).get("tiny") in (None, Catalog(tmp_path / "undisturbed").get("tiny"))
        if round_ % 2:  # tidied up between, or completed from where it was
            assert_whole_and_tidy(data)
        assert victims.run("import", data, gpt2_folder)[0] == 0
        assert Catalog(data).get("tiny").files == expected.files
        assert_whole_and_tidy(data)
        assert Catalog(data).get("tiny").files == expected.files


def test_runs_over_a_model_killed_at_any_moment_are_gone_on_with(victims, chance, tiny_data, tmp_path, long):
    undisturbed = shutil.copytree(tiny_data, tmp_path / "undisturbed", ignore=shutil.ignore_patterns("artifacts"))
    status, duration = victims.run("precompute", undisturbed)
    assert status == 0
    expected = artifacts(undisturbed)
    # A map, layers, matrices; raw and folded. And controls: raw and tied, both ends share one. Not all matrices are
    # asked for, so there is nothing of all.
    assert len(expected) == 2 * (1 + 2 + 16) + 3
    pages = shown(undisturbed)
    partly = 0
    rounds = 20 if long else 6
    for round_ in range(rounds):
        data = shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))
        moments = [duration * chance.uniform(round_, round_ + 1) / rounds]
        if round_ % 2:  # and again, while it goes on
            moments.append(duration * chance.random())
        for moment in moments:
            assert victims.run("precompute", data, kill_after=moment)[0] in (0, -signal.SIGKILL)
            left = artifacts(data)
            partly += 0 < len(left) < len(expected)
            for place, found in left.items():
                assert_same(found, expected[place])
            assert [checked for checked in verify_folder(data) if checked.fault] == []
        assert {job.state for job in JobStore(data / "jobs").all()} <= {"interrupted", "done"}
        files = {place: (data / "artifacts" / place).stat().st_ino for place in left}
        assert victims.run("precompute", data)[0] == 0
        after = artifacts(data)
        assert set(after) == set(expected)
        for place, found in after.items():
            assert_same(found, expected[place])
        assert files == {place: (data / "artifacts" / place).stat().st_ino for place in left}  # none was made twice
        assert shown(data) == pages
        assert_whole_and_tidy(data)
        assert set(artifacts(data)) == set(expected)
        shutil.rmtree(data)
    assert partly > 0
