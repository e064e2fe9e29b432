"""The lines of `make gpu-check`, run on a CPU that goes a GPU's way."""

import subprocess
import time
import zipfile

import pytest
import torch

from app.core import policy
from benchmarks import gpu_check
from benchmarks.shapes import SHAPES, Shape

TINY = Shape("tiny", 2, 2, 1, 24, 4, 300)


@pytest.fixture(autouse=True)
def _a_gpus_way(monkeypatch):
    monkeypatch.setattr(policy, "EVERYWHERE", True)
    # The library takes seconds to load; its way is measured by what has it loaded.
    monkeypatch.setattr(gpu_check.importlib.util, "find_spec", lambda name: None)


def test_heads_against_the_floor_and_peers():
    with torch.inference_mode():
        rows = list(gpu_check.measure_heads(TINY, 2, "cpu", time.monotonic() + 60, "at most 9 s"))
    said = {row.what.removeprefix("tiny: "): row for row in rows}
    assert {"floor of its 64 sides", "rays settled the slower way", "an expert's batched loop"} <= set(said)
    ours = next(row for what, row in said.items() if what.startswith("ours, 2 of 2 layers measured"))
    assert ours.wanted == "at most 9 s"
    assert "times the floor" in ours.measured
    assert not any("SVDInterpreter" in what for what in said)


def test_no_layer_is_begun_when_time_is_up():
    with torch.inference_mode():
        rows = list(gpu_check.measure_heads(TINY, 2, "cpu", time.monotonic() - 1))
    assert any("1 of 2 layers" in row.what for row in rows)


def test_a_layer_in_operations():
    with torch.inference_mode():
        lines = list(gpu_check.profile_layer(TINY, "cpu"))
    assert lines[0].startswith("| one layer of tiny: operation")
    assert 3 <= len(lines) <= 2 + gpu_check.SHOWN
    assert any("aten::" in line for line in lines)


def test_one_table_of_all_parts(monkeypatch):
    monkeypatch.setattr(gpu_check, "run_tests", lambda seconds, path: gpu_check.Row("tests", f"{seconds:.0f}", "all"))
    monkeypatch.setattr(gpu_check, "measure_heads", lambda *_: [gpu_check.Row("ours", "0.2 s")])
    lines = list(gpu_check.run_check("cpu", small=True, seconds=5, path=[]))
    assert lines[2:6] == ["| what | measured | wanted |", "|---|---|---|", "| tests | 5 | all |", "| ours | 0.2 s |  |"]
    assert "profile" not in lines[-1]
    lines = list(gpu_check.run_check("cpu", small=False, seconds=-1, path=[]))
    assert [line for line in lines if "no time was left" in line] == [
        f"| {name} | no time was left |  |" for name in gpu_check.LAYERS
    ]


def test_every_shape_and_figure_is_known():
    assert set(gpu_check.LAYERS) == set(gpu_check.WANTED) <= set(SHAPES)
    assert all(0 < n <= SHAPES[name].n_layers for name, n in gpu_check.LAYERS.items())


def test_what_is_missing_is_unpacked_and_found(tmp_path, monkeypatch):
    monkeypatch.undo()
    with zipfile.ZipFile(tmp_path / "brought-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("brought_along_by_test.py", "there = True\n")
    monkeypatch.setattr(gpu_check, "NEEDED", ("brought_along_by_test", "not_even_by_test"))
    monkeypatch.setattr(gpu_check.sys, "path", list(gpu_check.sys.path))
    assert gpu_check.unpack_missing(tmp_path / "unpacked", tmp_path) == ["not_even_by_test"]


def test_the_tests_that_need_a_gpu_run_by_themselves(monkeypatch, capsys):
    """In a process of their own; what failed is printed before the table goes on."""
    asked = []

    def run(command, **how):
        asked.append((command, how))
        return subprocess.CompletedProcess(command, 1, "E  the GPU said no\n1 failed in 2 s\n", "")

    monkeypatch.setattr(gpu_check.subprocess, "run", run)
    assert gpu_check.run_tests(60, ["/brought"]) == gpu_check.Row(
        "tests that need a GPU", "1 failed in 2 s", "all pass"
    )
    assert "the GPU said no" in capsys.readouterr().out
    ((command, how),) = asked
    assert "'/brought'" in command[2]
    assert all((how["cwd"] / name).is_file() for name in gpu_check.TESTS)
    assert how["timeout"] == 60
