"""Stamps change whenever anything writes, and are taken only of files at rest."""

import os
import time
from pathlib import Path

import pytest

from app.models import origin
from app.models.origin import Origin, read_origin, stamps_of


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A checkpoint's files, taken to be at rest as soon as the clock has ticked."""
    monkeypatch.setattr(origin, "REST_NS", 0)
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model-1.safetensors", "README.md"):
        (folder / name).write_bytes(name.encode())
    tick()
    return folder


def tick():
    """Past the next tick of the file system's clock."""
    time.sleep(0.02)


def same_size(folder):
    (folder / "model-1.safetensors").write_bytes(b"MODEL-1.safetensors")


def same_size_and_time(folder):
    times = (folder / "model-1.safetensors").stat()
    same_size(folder)
    os.utime(folder / "model-1.safetensors", ns=(times.st_atime_ns, times.st_mtime_ns))


def put_in_its_place(folder):
    times = (folder / "model-1.safetensors").stat()
    (folder / "new").write_bytes(b"MODEL-1.safetensors")
    os.utime(folder / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    (folder / "new").replace(folder / "model-1.safetensors")


def read_instead(folder):
    (folder / "model.safetensors").write_bytes(b"read in place of what an index names")


def led_elsewhere(folder):
    (folder.parent / "blob").write_bytes(b"model-1.safetensors")
    (folder / "model-1.safetensors").unlink()
    (folder / "model-1.safetensors").symlink_to("../blob")


@pytest.mark.parametrize(
    "change",
    [
        *(same_size, same_size_and_time, put_in_its_place, read_instead, led_elsewhere),
        *(lambda folder, name=name: (folder / name).write_text("{}") for name in ("config.json", "tokenizer.json")),
        lambda folder: (folder / "model-1.safetensors").unlink(),
    ],
)
def test_whatever_writes_changes_the_stamps(folder, change):
    before = stamps_of(folder)
    assert before.keys() == {"config.json", "tokenizer.json", "model-1.safetensors"}
    change(folder)
    tick()
    assert stamps_of(folder) != before


def test_what_does_not_touch_the_files_leaves_the_stamps(folder):
    before = stamps_of(folder)
    (folder / "README.md").write_text("a longer note")
    (folder / "model-1.safetensors").read_bytes()
    moved = folder.rename(folder.with_name("moved"))
    (moved.parent / "link").symlink_to(moved)
    assert stamps_of(moved) == stamps_of(moved.parent / "link") == before


def test_files_that_were_written_just_now_have_no_stamps(folder, monkeypatch):
    """What writes to them within the same tick of the clock would leave no trace."""
    monkeypatch.setattr(origin, "REST_NS", 2_000_000_000)
    assert stamps_of(folder) == {}


def test_what_cannot_be_looked_at_has_no_stamps(folder, monkeypatch):
    assert stamps_of(folder / "nowhere") == {}
    (folder / "lost.safetensors").symlink_to("nowhere")
    assert stamps_of(folder) == {}
    (folder / "lost.safetensors").unlink()
    monkeypatch.setattr(origin, "MOST_FILES", 2)
    assert stamps_of(folder) == {}


def test_both_origins_of_the_same_weights_are_known():
    older, newer = Origin(("a/x", "b/x"), {"old": [1]}), Origin(("b/x", "c/x"))
    assert newer.merge(older) == Origin(("a/x", "b/x", "c/x"), {"old": [1]})
    assert Origin(files={"new": [2]}).merge(older) == Origin(("a/x", "b/x"), {"new": [2]})


@pytest.mark.parametrize("entry", [{}, {"hub": 3, "files": []}, {"hub": "a/x", "files": None}, {"hub": [None]}])
def test_what_is_not_as_it_was_written_is_not_believed(entry):
    assert read_origin(entry) == Origin()
