"""A data folder without a server: the same answers, and nothing of it is left behind."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.client import Lens, LensError
from app.models.catalog import Catalog

HEAD = "tiny/L1/H3/ov"


def children():
    return {child for file in Path("/proc/self/task").glob("*/children") for child in file.read_text().split()}


@pytest.fixture(scope="module")
def folder(two_models, tmp_path_factory):
    """Copy the folder for a process of its own, with nothing computed yet."""
    target = tmp_path_factory.mktemp("inside") / "data"
    return shutil.copytree(two_models, target, ignore=shutil.ignore_patterns("artifacts", "prompts"))


def test_a_folder_answers_as_a_server_does_and_its_workers_end(folder, lens):
    before = children()
    with Lens(data=folder, timeout=120) as inside:
        assert set(inside) == {"tiny", "hostile"}
        here, there = inside[HEAD], lens[HEAD]
        assert {name: own for name, own in here.json.items() if name != "links"} == {
            name: own for name, own in there.json.items() if name != "links"
        }
        assert here.to_arrow() == there.to_arrow()
        assert here.url == f"http://127.0.0.1:8000/{HEAD}"
        with pytest.raises(LensError, match="tiny has layers L0 to L1"):
            inside["tiny/L99"]
        assert children() > before
    assert children() == before


def test_a_folder_that_is_not_closed_ends_with_its_process(folder):
    lines = f"from app.client import Lens; lens = Lens(data={str(folder)!r}, models=['tiny']); print(*lens)"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("tiny\n", "")


def test_a_folder_without_models_is_told(tmp_path):
    with pytest.raises(LensError, match=r"There is no model in .*: singular-lens import demo --data"):
        Lens(data=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_another_models_is_told(folder):
    Catalog(folder).add("demo", Catalog(folder).get("tiny").fingerprint)
    with pytest.raises(LensError, match="cannot be served: 'demo' is the name of one model"):
        Lens(data=folder, models=["demo"])
